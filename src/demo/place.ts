import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { quoteIdent, quoteLiteral } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { connect, sqlState, withClient, type Client } from '../pg/client.ts';
import { resolveConnection, type ConnectionSettings } from '../pg/connection.ts';
import { startEmbeddedServer, type EmbeddedServer } from './embedded-server.ts';

/** Where the demo runs: a database for the table and one, out of the migration's sight, for the truth. */
export interface Place {
  /** The table's database, as a role that is no superuser: REPLICATION, CONNECT and CREATE on the database, no more. */
  readonly table: ConnectionSettings;
  readonly tableUrl: string;
  readonly truth: ConnectionSettings;
  /** Drops both databases and the role, or ends the embedded server. */
  dispose(): Promise<void>;
}

const SERVER_SETTINGS = { shared_buffers: '256MB', max_wal_size: '4GB', checkpoint_timeout: '15min', maintenance_work_mem: '128MB' };

/** Starts PostgreSQL 17, or takes the server of `databaseUrl`, and makes the two databases there. */
export async function preparePlace({
  databaseUrl,
  log,
  tell,
}: {
  databaseUrl: string | undefined;
  log: Logger;
  tell: (line: string) => void;
}): Promise<Place> {
  const found = databaseUrl ?? (await startServer());
  const server = typeof found === 'string' ? null : found;
  const url = typeof found === 'string' ? found : found.url;
  try {
    const name = `partitioner_demo_${randomBytes(4).toString('hex')}`;
    const password = randomBytes(12).toString('hex');
    const admin = await connect(resolveConnection({ databaseUrl: url }, process.env), { applicationName: 'demo' });
    try {
      const { rows } = await admin.query<{ version: string }>(`select current_setting('server_version') as version`);
      tell(
        `PostgreSQL ${rows[0]!.version}${server ? `, started for the demo on port ${server.port}` : ''}; databases ${name} and ${name}_truth`,
      );
      const owner = await createOwner(admin, name, password);
      await createDatabase(admin, name, owner);
      await createDatabase(admin, `${name}_truth`, owner);
      const own = owner ? { user: owner, password } : {};
      const tableUrl = withDatabase(url, { ...own, database: name });
      const settings = (database: string): ConnectionSettings =>
        resolveConnection({ databaseUrl: withDatabase(url, { ...own, database }) }, process.env);
      return {
        table: settings(name),
        tableUrl,
        truth: settings(`${name}_truth`),
        dispose: () => (server ? server.stop() : dropAll(url, name, owner, log)),
      };
    } finally {
      await admin.end().catch(() => undefined);
    }
  } catch (error) {
    await server?.stop();
    throw error;
  }
}

/** The embedded server; where none is installed, that of DATABASE_URL. */
async function startServer(): Promise<EmbeddedServer | string> {
  try {
    return await startEmbeddedServer({ major: 17, settings: SERVER_SETTINGS });
  } catch (error) {
    const given = process.env['DATABASE_URL'];
    if (given !== undefined && given !== '' && error instanceof MigratorError && error.code === 'USAGE') return given;
    throw error;
  }
}

/** A role that may do what the tool needs and no more; null where we may not make one: then everything runs as the given role. */
async function createOwner(admin: Client, name: string, password: string): Promise<string | null> {
  try {
    await admin.query(`create role ${quoteIdent(name)} login replication password ${quoteLiteral(password)}`);
    return name;
  } catch (error) {
    if (sqlState(error) === '42501') return null;
    throw error;
  }
}

async function createDatabase(admin: Client, name: string, owner: string | null): Promise<void> {
  await admin.query(`create database ${quoteIdent(name)} encoding 'UTF8' template template0`);
  if (owner === null) return;
  await admin.query(`grant connect, create on database ${quoteIdent(name)} to ${quoteIdent(owner)}`);
  if (!name.endsWith('_truth')) return;
  // The truth's table goes into public, which no longer belongs to everybody from 15 on.
  await admin.query(`alter database ${quoteIdent(name)} owner to ${quoteIdent(owner)}`);
}

async function dropAll(url: string, name: string, owner: string | null, log: Logger): Promise<void> {
  await withClient(resolveConnection({ databaseUrl: url }, process.env), { applicationName: 'demo' }, async (admin) => {
    // A demo that failed leaves its slot, which would keep the WAL of the whole server.
    await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active', [name]);
    for (const database of [name, `${name}_truth`]) await admin.query(`drop database if exists ${quoteIdent(database)} with (force)`);
    if (owner !== null) await admin.query(`drop role if exists ${quoteIdent(owner)}`);
  }).catch((error: unknown) => log.error({ database: name, err: (error as Error).message }, 'the demo could not remove its databases'));
}

/** The same server by another name and role. */
function withDatabase(url: string, { user, password, database }: { user?: string; password?: string; database: string }): string {
  if (!URL.canParse(url))
    throw new MigratorError('USAGE', 'demo takes the database as a URL', { hint: '--database-url postgres://user@host:port/database' });
  const changed = new URL(url);
  if (user !== undefined) changed.username = user;
  if (password !== undefined) changed.password = password;
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.href;
}
