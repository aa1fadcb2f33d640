import pg from 'pg';
import { MigratorError } from '../errors.ts';
import { loadSql } from '../sql/load.ts';
import { guardAuthentication } from './authentication.ts';
import { carryClaim } from './claim.ts';
import { connectionHint, hintFor, NO_PASSWORD } from './connection-hint.ts';
import { describeConnection, driverConfig, type ConnectionSettings } from './connection.ts';
import { watchSession } from './session-watch.ts';

/** A session of the driver. Its int8, numeric and xid8 values are strings. */
export type Client = pg.Client;

export interface SessionOptions {
  readonly applicationName: string;
  readonly lockTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  /** The session only looks, also where the bookkeeping that knows of claims may be gone. */
  readonly unclaimed?: true;
}

/** What the driver says when a server answers `N` to the request for TLS; it gives the error no code. */
const NO_TLS = 'The server does not support SSL connections';

/**
 * Connects and pins the session's settings (sql/session/pin.sql), so that values read alike whatever a role or database has set.
 * A dropped connection rejects the queries under way and the later ones; it never crashes the process.
 */
export async function connect(settings: ConnectionSettings, options: SessionOptions): Promise<Client> {
  const client = await open(settings, options.applicationName);
  try {
    const { lockTimeoutMs = 0, statementTimeoutMs = 0 } = options;
    watchSession(settings, client, options.applicationName);
    await client.query({ text: loadSql('session/pin'), values: [String(lockTimeoutMs), String(statementTimeoutMs)] });
    if (settings.claim && !options.unclaimed) await carryClaim(client, settings.claim);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw toMigratorError(error, `preparing a session on ${describeConnection(settings)}`);
  }
}

async function open(settings: ConnectionSettings, applicationName: string): Promise<Client> {
  const { clientConfig } = settings;
  const isTlsTried = clientConfig.ssl !== false;
  const client = new pg.Client({
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    ...driverConfig(settings),
    application_name: applicationName,
  });
  client.on('error', () => undefined);
  const assertAuthenticated = guardAuthentication(client, settings.authentication);
  try {
    await client.connect();
    assertAuthenticated();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    // sslmode=prefer: the server's answer holds for every later session, the replication's too. A server may also have TLS and refuse it here.
    if (settings.tlsOptional === true && isTlsTried && (isWithoutTls(error) || sqlState(error) === '28000')) {
      const tls = clientConfig.ssl;
      clientConfig.ssl = false;
      if (isWithoutTls(error)) return open(settings, applicationName);
      try {
        return await open(settings, applicationName);
      } catch {
        clientConfig.ssl = tls;
      }
    }
    throw explainConnection(error, settings);
  }
}

const isWithoutTls = (error: unknown): boolean => error instanceof Error && error.message === NO_TLS;

/** Why there is no connection, with what the settings have to do with it. */
function explainConnection(error: unknown, settings: ConnectionSettings): MigratorError {
  const context = `connecting to ${describeConnection(settings)}`;
  const { code, message, detail, hint } = toMigratorError(error, context);
  const isUnanswered = error instanceof Error && NO_PASSWORD.test(error.message);
  return new MigratorError(code, isUnanswered ? `${context}: the server asks for a password, and none is given` : message, {
    detail,
    hint: connectionHint(error, settings) ?? hint,
    cause: error,
  });
}

/** How long a polite end may take before the socket is closed: the other side may be gone without a word. */
const END_MS = 2_000;

/** Ends a session, whatever its state; never fails and never hangs. */
export async function close(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      abandon(client);
      resolve();
    }, END_MS);
  });
  await Promise.race([client.end().catch(() => undefined), late]);
  clearTimeout(timer);
}

/**
 * Cuts a session's socket: what runs on it rejects. For a session in the middle of a COPY or a long statement, which no
 * further statement can reach; the server rolls it back.
 */
export function abandon(client: Client): void {
  (client as Client & { readonly connection: { readonly stream: { destroy(): void } } }).connection.stream.destroy();
}

/** Runs `use` on a session of its own and ends the session always. */
export async function withClient<T>(
  settings: ConnectionSettings,
  options: SessionOptions,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connect(settings, options);
  try {
    return await use(client);
  } finally {
    await close(client);
  }
}

/** Has the server end the statement that a session runs, if it runs one; from another session. */
export async function cancelBackend(settings: ConnectionSettings, client: Client, applicationName: string): Promise<void> {
  const pid = (client as Client & { processID?: number }).processID ?? 0;
  await withClient(settings, { applicationName }, (other) => other.query('select pg_catalog.pg_cancel_backend($1)', [pid])).catch(
    () => undefined,
  );
}

/** Commits what `use` did, or rolls it back and throws what `use` threw, whatever becomes of the rollback. */
export async function inTransaction<T>(client: Client, use: () => Promise<T>, begin = 'begin'): Promise<T> {
  await client.query(begin);
  try {
    const result = await use();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** The server's SQLSTATE, also through the errors that wrap it; undefined for errors that no server sent. */
export function sqlState(error: unknown): string | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth++) {
    if (current instanceof pg.DatabaseError && current.code !== undefined) return current.code;
  }
  return undefined;
}

/** connection_exception, too_many_connections, and operator intervention: shutdowns, crashes, pg_terminate_backend */
const LOST_STATE = /^(08|53300|57P0[1-5])/;
/** What the driver and Node say, without a code of the server's, of a session that is gone. */
const LOST_WORDS =
  /connection terminated|connection error|not queryable|connection was lost|timeout expired|an SSL connection|getaddrinfo|ECONN|EPIPE|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH/i;

/** Whether the error means that a session is gone or could not be had, not that a statement was refused. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return LOST_STATE.test(state);
  if (error instanceof MigratorError && error.code !== 'POSTGRES') return false;
  return LOST_WORDS.test(String(error)) || (error instanceof Error && error.cause !== undefined && isConnectionLost(error.cause));
}

/** Wraps what the driver threw as POSTGRES, with the SQLSTATE in the detail. An error of our own passes unchanged. */
export function toMigratorError(error: unknown, context: string): MigratorError {
  if (error instanceof MigratorError) return error;
  const message = `${context}: ${messageOf(error)}`;
  if (!(error instanceof pg.DatabaseError))
    return new MigratorError('POSTGRES', message, { detail: systemCode(error), hint: hintFor(systemCode(error)), cause: error });
  const detail = [`SQLSTATE ${error.code ?? 'unknown'}`, error.detail, error.where]
    .filter((part) => part !== undefined && part !== '')
    .join('; ');
  return new MigratorError('POSTGRES', message, { detail, hint: error.hint ?? hintFor(error.code), cause: error });
}

/** The driver's words for a statement on a session that is gone already. */
const NOT_QUERYABLE = /^Client .* is not queryable$/;

/** Node tries every address of a name; the error of all of them has no message of its own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  if (error instanceof Error) return NOT_QUERYABLE.test(error.message) ? 'the connection was lost' : error.message;
  return String(error);
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
