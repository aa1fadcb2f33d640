import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import { MigratorError } from '../errors.ts';
import type { ConnectionParameters } from './conninfo.ts';

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/**
 * sslmode with libpq's meaning; the driver's own reading of it differs (it takes `require` for `verify-full`).
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export function resolveTls(
  parameters: ConnectionParameters,
  host: string,
  home: string,
): { ssl: NonNullable<ClientConfig['ssl']>; optional: boolean } {
  const root = file(parameters['sslrootcert'], join(home, '.postgresql', 'root.crt'));
  const mode = parameters['sslmode'] ?? (root === 'system' ? 'verify-full' : 'prefer');
  if (!MODES.includes(mode)) throw new MigratorError('USAGE', `invalid sslmode: "${mode}"`, { hint: `one of ${MODES.join(', ')}` });
  if (mode === 'disable' || host.startsWith('/')) return { ssl: false, optional: false }; // no TLS over a Unix socket
  const verified = mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && root !== undefined);
  if (mode === 'verify-ca' && root === undefined) {
    throw new MigratorError('USAGE', `sslmode "${mode}" needs the authority's certificate`, {
      hint: 'give it with sslrootcert=FILE, or use sslmode=verify-full',
    });
  }
  const cert = file(parameters['sslcert'], join(home, '.postgresql', 'postgresql.crt'));
  const key = file(parameters['sslkey'], join(home, '.postgresql', 'postgresql.key'));
  const ssl = {
    rejectUnauthorized: verified,
    ...protocolVersion('minVersion', parameters['ssl_min_protocol_version']),
    ...protocolVersion('maxVersion', parameters['ssl_max_protocol_version']),
    ...(verified && root !== undefined && root !== 'system' ? { ca: readParameterFile(root, 'sslrootcert') } : {}),
    // Everything but verify-full trusts the authority alone: the certificate's name is not looked at.
    ...(verified && mode !== 'verify-full' ? { checkServerIdentity: () => undefined } : {}),
    ...(cert === undefined ? {} : { cert: readParameterFile(cert, 'sslcert') }),
    ...(key === undefined ? {} : { key: readParameterFile(key, 'sslkey') }),
  };
  return { ssl, optional: mode === 'prefer' || mode === 'allow' };
}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

function protocolVersion(bound: 'minVersion' | 'maxVersion', text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {};
  const version = VERSIONS.find((each) => each.toLowerCase() === text.toLowerCase());
  if (version !== undefined) return { [bound]: version };
  throw new MigratorError('USAGE', `invalid TLS version: "${text}"`, { hint: `one of ${VERSIONS.join(', ')}` });
}

/** The file that is named, else libpq's default where it exists. */
function file(named: string | undefined, standard: string): string | undefined {
  if (named !== undefined && named !== '') return named;
  return existsSync(standard) ? standard : undefined;
}

const HINTS: Readonly<Record<string, string>> = {
  sslrootcert: "name the file of the authority's certificate, in PEM, in sslrootcert or PGSSLROOTCERT",
  sslcert: "name the file of the client's certificate, in PEM, in sslcert or PGSSLCERT",
  sslkey: "name the file of the client's private key, in PEM and without a passphrase, in sslkey or PGSSLKEY",
};

function readParameterFile(path: string, parameter: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MigratorError('USAGE', `cannot read ${parameter} "${path}"`, {
      detail: error instanceof Error ? error.message : String(error),
      hint: HINTS[parameter],
      cause: error,
    });
  }
}
