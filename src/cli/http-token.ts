import { readFileSync, statSync } from 'node:fs';
import { MigratorError } from '../errors.ts';

/** Shorter ones can be guessed. */
const LEAST = 16;

/**
 * The bearer token of the HTTP server: of PARTITIONER_HTTP_TOKEN, or the first line of --http-token-file, which nobody else may read. Never a
 * flag's value: those are public on the host. Null: nothing can be changed over HTTP.
 */
export function readHttpToken(file: string | undefined, env: NodeJS.ProcessEnv): string | null {
  const fromEnv = env['PARTITIONER_HTTP_TOKEN'] ?? '';
  if (file === undefined && fromEnv === '') return null;
  const origin = file ?? 'PARTITIONER_HTTP_TOKEN';
  const token = file === undefined ? fromEnv : readFile(file);
  if (!/^[\x21-\x7e]+$/.test(token) || token.length < LEAST)
    throw new MigratorError('USAGE', `the token of ${origin} is no token: at least ${String(LEAST)} characters without blanks are needed`, {
      hint: 'openssl rand -hex 32 makes one',
    });
  return token;
}

function readFile(file: string): string {
  try {
    if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0)
      throw new MigratorError('USAGE', `the token file ${file} may be read by others`, { hint: `chmod 0600 ${file}` });
    return readFileSync(file, 'utf8').split(/\r?\n/)[0]!.trim();
  } catch (error) {
    if (error instanceof MigratorError) throw error;
    throw new MigratorError('USAGE', `cannot read the token file ${file}`, {
      detail: error instanceof Error ? error.message : undefined,
      hint: 'write the token as its first line, with mode 0600',
      cause: error,
    });
  }
}
