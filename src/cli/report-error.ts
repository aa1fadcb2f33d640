import { MigratorError } from '../errors.ts';
import { hintFor } from '../pg/connection-hint.ts';
import { redact } from './redact.ts';

/** Connection failures that Node reports itself. */
const CONNECTION_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'EPIPE',
]);

/** Any thrown value as one of the tool's errors: what it did not foresee is a defect. */
export function asMigratorError(error: unknown): MigratorError {
  if (error instanceof MigratorError) return error;
  // Node gathers the attempts at several addresses of one host, with an empty message.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const { message, code, severity } = describe(first);
  if (code !== undefined && CONNECTION_ERRORS.has(code)) {
    return new MigratorError('POSTGRES', `the connection to PostgreSQL failed: ${message}`, {
      hint: 'check --database-url or PGHOST and PGPORT, and that the server runs',
      cause: error,
    });
  }
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && severity !== undefined) {
    return new MigratorError('POSTGRES', message, { detail: `SQLSTATE ${code}`, hint: hintFor(code), cause: error });
  }
  return new MigratorError('DEFECT', message === '' ? 'unexpected failure' : message, {
    detail: first instanceof Error ? first.stack : undefined,
    hint: 'This is a defect: run it again with --log-level debug, keep the output and partitioner.history, and report it.',
    cause: error,
  });
}

function describe(error: unknown): { message: string; code: string | undefined; severity: string | undefined } {
  const { code, severity } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown; severity?: unknown };
  return {
    message: error instanceof Error ? error.message : String(error),
    code: typeof code === 'string' ? code : undefined,
    severity: typeof severity === 'string' ? severity : undefined,
  };
}

/** Prints the error, as JSON on stdout or as `error:`, `detail:`, `hint:` on stderr, and returns the exit code. */
export function reportError(thrown: unknown, json: boolean): number {
  const error = asMigratorError(thrown);
  if (json) {
    process.stdout.write(`${redact(JSON.stringify({ error }))}\n`);
  } else {
    const lines = [`error: ${error.message}`];
    if (error.detail !== undefined) lines.push(`detail: ${error.detail}`);
    if (error.hint !== undefined) lines.push(`hint: ${error.hint}`);
    process.stderr.write(`${redact(lines.join('\n'))}\n`);
  }
  return error.exitCode;
}
