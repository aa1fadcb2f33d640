import type { BadInput } from './row.ts';

type Row = readonly [name: string, env: Readonly<Record<string, string>>, message: string, hint: string];

const HOST = { PGHOST: '127.0.0.1', PGPORT: '1' };

const WRONG: readonly Row[] = [
  ['no database', {}, 'no database is given', 'pass --database-url'],
  ['a URL that is none', { DATABASE_URL: 'nonsense' }, 'DATABASE_URL is no connection string', 'postgres://USER:PASSWORD@HOST'],
  ['a URL of another database', { DATABASE_URL: 'mysql://u:secret@h/d' }, 'DATABASE_URL is no connection string', 'postgres://USER'],
  ['an unknown parameter', { DATABASE_URL: 'postgres://u@h/d?sslmod=require' }, 'unknown connection parameter "sslmod"', 'one of host,'],
  ['a broken escape', { DATABASE_URL: 'postgres://u:secret%@h/d' }, 'DATABASE_URL holds a broken percent-escape', '%25'],
  ['several hosts', { PGHOST: 'a,b' }, 'several hosts are given: "a,b"', 'name the primary alone'],
  ['a port that is none', { ...HOST, PGPORT: 'postgres' }, 'invalid port number: "postgres"', 'between 1 and 65535'],
  ['a port out of range', { ...HOST, PGPORT: '65536' }, 'invalid port number: "65536"', 'between 1 and 65535'],
  ['a timeout that is none', { ...HOST, PGCONNECT_TIMEOUT: 'soon' }, 'invalid connect_timeout: "soon"', 'a whole number of seconds'],
  ['an unknown sslmode', { ...HOST, PGSSLMODE: 'yes' }, 'invalid sslmode: "yes"', 'one of disable,'],
  [
    'no authority to verify',
    { ...HOST, PGSSLMODE: 'verify-ca' },
    'sslmode "verify-ca" needs the authority\'s certificate',
    'sslrootcert=FILE',
  ],
  [
    'an authority that is not there',
    { ...HOST, PGSSLMODE: 'require', PGSSLROOTCERT: '{dir}/none.crt' },
    'cannot read sslrootcert "{dir}/none.crt"',
    'PGSSLROOTCERT',
  ],
  ['a key that is not there', { ...HOST, PGSSLCERT: '{dir}/none.crt' }, 'cannot read sslcert', 'PGSSLCERT'],
  [
    'channel binding without TLS',
    { ...HOST, PGSSLMODE: 'disable', PGCHANNELBINDING: 'require' },
    'channel_binding=require needs TLS',
    'sslmode=require',
  ],
  ['an unknown channel binding', { ...HOST, PGCHANNELBINDING: 'on' }, 'invalid channel_binding: "on"', 'one of disable, prefer, require'],
  [
    'a service that is not there',
    { PGSERVICE: 'none', PGSERVICEFILE: '{dir}/pg_service.conf' },
    'the definition of service "none" is not found',
    '[none]',
  ],
  [
    'a service that is misspelt',
    { PGSERVICE: 'bad', PGSERVICEFILE: '{dir}/pg_service.conf' },
    'unknown connection parameter "hots"',
    'one of host,',
  ],
  [
    'a service that names another',
    { PGSERVICE: 'nested', PGSERVICEFILE: '{dir}/pg_service.conf' },
    'service "nested" names another service',
    'libpq does not nest services',
  ],
];

const FILES = { 'pg_service.conf': '[bad]\nhots=h\n[nested]\nservice=bad\n' };

const UNREACHED: readonly Row[] = [
  ['a server that is down', HOST, 'connecting to 127.0.0.1:1/', 'is the server running there?'],
  [
    'a host that is not there',
    { PGHOST: 'nosuchhost.invalid' },
    'connecting to nosuchhost.invalid:5432/',
    "the host's name does not resolve",
  ],
  ['a socket that is not there', { PGHOST: '{dir}' }, 'connecting to {dir}:5432/', 'is the server running there?'],
  ['a database that is missing', { DATABASE_URL: '{nodatabase}' }, 'database "no such" does not exist', 'check --database-url'],
  ['a role that is missing', { DATABASE_URL: '{norole}' }, 'role "nobody at all" does not exist', 'is it the right role'],
];

/** Variables, service files and addresses. */
export const ENVIRONMENT: readonly BadInput[] = [
  ...WRONG.map(([name, env, message, hint]) => ({
    name: `environment: ${name}`,
    args: 'status',
    env,
    files: FILES,
    code: 1,
    error: 'USAGE',
    message,
    hint,
  })),
  ...UNREACHED.map(([name, env, message, hint]) => ({
    name: `connection: ${name}`,
    args: 'status',
    env,
    code: 4,
    error: 'POSTGRES',
    message,
    hint,
  })),
];
