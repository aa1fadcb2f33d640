import type { ConnectionSettings } from './connection.ts';

/** What the driver says when it is asked for a password and has none; it gives the error no code. */
export const NO_PASSWORD = /^SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be/;

/** Node's and OpenSSL's codes for a certificate that is not taken, and what that means here. */
const TLS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the server has a certificate that no authority signed: give it as sslrootcert=FILE if it is the right one',
  SELF_SIGNED_CERT_IN_CHAIN: "the authority of the server's certificate is not known: give its certificate as sslrootcert=FILE",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the authority of the server's certificate is not known: give its certificate as sslrootcert=FILE",
  UNABLE_TO_GET_ISSUER_CERT: "the authority of the server's certificate is not known: give its certificate as sslrootcert=FILE",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the authority of the server's certificate is not known: give its certificate as sslrootcert=FILE",
  CERT_SIGNATURE_FAILURE: "the server's certificate is of another authority than sslrootcert",
  CERT_HAS_EXPIRED: "the server's certificate has expired: its administrator has to renew it",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet: is the clock of this host right?",
  CERT_REVOKED: "the server's certificate was revoked",
  ERR_TLS_CERT_ALTNAME_INVALID:
    'the certificate is of another host: connect by a name that it has, or use sslmode=verify-ca if the authority is enough',
};

/** A hint that depends on how the connection was described; null where the error speaks for itself. */
export function connectionHint(error: unknown, settings: ConnectionSettings): string | null {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === '28P01' || NO_PASSWORD.test(error.message)) {
    return settings.openPasswordFile === undefined
      ? hintFor('28P01')!
      : `the password file was passed over, because others may read it: chmod 0600 ${settings.openPasswordFile}`;
  }
  if (code in TLS) return TLS[code]!;
  if (code === '28000' && /certificate/.test(error.message)) return 'give the certificate of the client with sslcert and sslkey';
  if (/^ERR_(SSL|OSSL)_|^EPROTO$/.test(code))
    return 'the server and this host could not agree on TLS: look at sslmode, sslcert, sslkey and the TLS versions';
  if (error.message.startsWith('The server does not support SSL'))
    return 'the server has no TLS (ssl = off): turn it on there, or use sslmode=prefer or disable';
  return null;
}

/** What to look at, by SQLSTATE or the operating system's code. */
export function hintFor(code: string | undefined): string | undefined {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return 'is the server running there? Check host and port of --database-url';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return "the host's name does not resolve: check --database-url";
    case '28P01':
      return 'give the password in PGPASSWORD or in ~/.pgpass';
    case '28000':
      return 'is it the right role, and has it LOGIN? Else pg_hba.conf does not let it in from here, or not without TLS (sslmode)';
    case '3D000':
      return 'the database does not exist: check --database-url';
    case '42501':
      return 'the role lacks a privilege: GRANT CONNECT ON DATABASE, or what "Which privileges, exactly?" in docs/operations.md lists; or connect as the role that began the migration';
    case '53300':
      return 'raise max_connections, or end idle sessions';
    default:
      return undefined;
  }
}
