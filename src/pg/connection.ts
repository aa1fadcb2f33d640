import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import { MigratorError } from '../errors.ts';
import { authenticationRules, type AuthenticationRules } from './authentication.ts';
import { findPassword } from './passfile.ts';
import { parseConninfo, parseUrl, type ConnectionParameters } from './conninfo.ts';
import { readService } from './service-file.ts';
import { resolveTls } from './tls.ts';

export interface ConnectionSettings {
  readonly clientConfig: ClientConfig;
  /** sslmode=prefer: a server without TLS is taken too. */
  readonly tlsOptional?: boolean;
  /** Of the sessions of a daemon that works. */
  readonly claim?: Claim;
  /** A session that has been silent for so long in the middle of a statement is asked after; libpq's keepalives_idle. */
  readonly silenceMs?: number;
  readonly authentication?: AuthenticationRules;
  /** A password file that was passed over, because others may read it. */
  readonly openPasswordFile?: string;
}

/** What lets a daemon's transactions commit: no later daemon has taken the migration over. See sql/control. */
export interface Claim {
  readonly migrationId: number;
  /** A bigint, as text. */
  readonly epoch: string;
}

/** A server that answers at all answers sooner; without a limit a connection into a black hole would be waited for for ever. */
const CONNECT_SECONDS = 15;

/** libpq's variables. https://www.postgresql.org/docs/current/libpq-envars.html */
const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  options: 'PGOPTIONS',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  channel_binding: 'PGCHANNELBINDING',
  require_auth: 'PGREQUIREAUTH',
};

/** Of libpq's too: what they ask for is not done here, and must not be thought to be. */
const REFUSED_VARIABLES = ['PGSSLCRL', 'PGSSLCRLDIR'];

const SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp'];

/**
 * Where to connect: the URL (or libpq's `key=value` form) given, else DATABASE_URL, completed as libpq completes it:
 * service file, then PG* variables, then the password file and libpq's defaults.
 */
export function resolveConnection(
  options: { databaseUrl?: string | undefined; origin?: string },
  env: NodeJS.ProcessEnv,
): ConnectionSettings {
  const text = options.databaseUrl ?? nonEmpty(env['DATABASE_URL']);
  const given =
    text === undefined ? {} : parse(text, options.databaseUrl === undefined ? 'DATABASE_URL' : (options.origin ?? '--database-url'));
  refuseRevocationLists(env);
  const fromEnv = variables(env);
  const service = given['service'] ?? nonEmpty(env['PGSERVICE']);
  if (
    text === undefined &&
    service === undefined &&
    !['host', 'hostaddr', 'dbname', 'user', 'port'].some((name) => fromEnv[name] !== undefined)
  ) {
    throw new MigratorError('USAGE', 'no database is given', {
      hint: 'pass --database-url postgres://USER@HOST/DATABASE, or set DATABASE_URL, PGSERVICE or PGHOST and PGDATABASE',
    });
  }
  const home = nonEmpty(env['HOME']) ?? homedir();
  const parameters: ConnectionParameters = { ...fromEnv, ...(service === undefined ? {} : readService(service, env, home)), ...given };
  return complete(parameters, home);
}

/**
 * What the driver is given. Without a password it is given an empty one: else it would look into the password file by itself, by rules of
 * its own, and warn on stderr.
 */
export function driverConfig({ clientConfig }: ConnectionSettings): ClientConfig {
  return clientConfig.password === undefined ? { ...clientConfig, password: () => '' } : clientConfig;
}

/** `host:port/database as user`, for messages and logs; never the password. */
export function describeConnection({ clientConfig }: ConnectionSettings): string {
  const { host, port, database, user } = clientConfig;
  return `${host ?? 'localhost'}:${String(port ?? 5432)}/${database ?? ''} as ${user ?? ''}`;
}

function parse(text: string, origin: string): ConnectionParameters {
  return /^postgres(ql)?:\/\//.test(text) ? parseUrl(text, origin) : parseConninfo(text, origin);
}

function complete(parameters: ConnectionParameters, home: string): ConnectionSettings {
  const port = parsePort(parameters['port']);
  // Where both are given, hostaddr only spares the look-up: the name is still what a certificate and the password file are checked against.
  const host = nonEmpty(parameters['host']) ?? nonEmpty(parameters['hostaddr']) ?? defaultHost(port);
  for (const [name, value] of [
    ['host', host],
    ['port', parameters['port'] ?? ''],
  ] as const) {
    if (value.includes(','))
      throw new MigratorError('USAGE', `several ${name}s are given: "${value}"`, {
        hint: 'name the primary alone: a migration holds on to one server',
      });
  }
  const user = nonEmpty(parameters['user']) ?? userInfo().username;
  const database = nonEmpty(parameters['dbname']) ?? user;
  const passwordFile = parameters['passfile'] ?? join(home, '.pgpass');
  const found = parameters['password'] === undefined ? findPassword(passwordFile, { host, port, database, user }) : undefined;
  const password = parameters['password'] ?? (found === 'open to others' ? undefined : found?.password);
  const seconds = parseSeconds(parameters['connect_timeout']);
  const silence = Number(nonEmpty(parameters['keepalives_idle']) ?? 0);
  const tls = resolveTls(parameters, host, home);
  const clientConfig: ClientConfig = {
    host,
    port,
    user,
    database,
    ssl: tls.ssl,
    ...(password === undefined ? {} : { password }),
    ...(nonEmpty(parameters['options']) === undefined ? {} : { options: parameters['options'] }),
    ...(seconds > 0 ? { connectionTimeoutMillis: seconds * 1000 } : {}),
    ...(tls.ssl !== false && parameters['channel_binding'] !== undefined && parameters['channel_binding'] !== 'disable'
      ? { enableChannelBinding: true }
      : {}),
  };
  return {
    clientConfig,
    tlsOptional: tls.optional,
    authentication: authenticationRules(parameters, tls.ssl !== false),
    ...(silence > 0 ? { silenceMs: silence * 1000 } : {}),
    ...(found === 'open to others' ? { openPasswordFile: passwordFile } : {}),
  };
}

/** libpq's: the Unix socket where one is, else the loopback. */
function defaultHost(port: number): string {
  return SOCKET_DIRECTORIES.find((directory) => existsSync(join(directory, `.s.PGSQL.${String(port)}`))) ?? 'localhost';
}

function parsePort(text: string | undefined): number {
  if (nonEmpty(text) === undefined) return 5432;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  if (text?.includes(',') === true) return 5432; // refused as several ports
  throw new MigratorError('USAGE', `invalid port number: "${text ?? ''}"`, { hint: 'a port lies between 1 and 65535' });
}

function parseSeconds(text: string | undefined): number {
  if (nonEmpty(text) === undefined) return CONNECT_SECONDS;
  const seconds = Number(text);
  // libpq waits for at least two seconds, and for ever when it is 0 or less.
  if (Number.isInteger(seconds)) return seconds <= 0 ? 0 : Math.max(2, seconds);
  throw new MigratorError('USAGE', `invalid connect_timeout: "${text ?? ''}"`, { hint: 'a whole number of seconds; 0 waits for ever' });
}

function refuseRevocationLists(env: NodeJS.ProcessEnv): void {
  const given = REFUSED_VARIABLES.find((name) => nonEmpty(env[name]) !== undefined);
  if (given === undefined) return;
  throw new MigratorError('USAGE', `${given} is set, and certificate revocation lists are not looked at`, {
    hint: `unset ${given}, if the connection may do without it`,
  });
}

function variables(env: NodeJS.ProcessEnv): ConnectionParameters {
  const found: Record<string, string> = {};
  for (const [name, variable] of Object.entries(VARIABLES)) {
    const value = nonEmpty(env[variable]);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
