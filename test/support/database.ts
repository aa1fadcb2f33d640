import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { Major } from '../../src/demo/embedded-server.ts';
import { quoteIdent, quoteLiteral } from '../../src/domain/identifier.ts';
import { connect, withClient, type Client } from '../../src/pg/client.ts';
import { describeConnection, resolveConnection, type ConnectionSettings } from '../../src/pg/connection.ts';
import { DEFAULT_MAJOR, serverUrl } from './server.ts';

export interface DatabaseOptions {
  readonly major?: Major;
  /** Instead of the tests' server of a major: the URL of a server of the test's own. */
  readonly server?: string;
  /** Settings of the database (ALTER DATABASE … SET). */
  readonly settings?: Readonly<Record<string, string>>;
  readonly encoding?: string;
}

/** A fresh database of one test. The end of its scope ends its clients; a failed test's database stays, its URL is printed. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly settings: ConnectionSettings;
  /** The server's own database, as superuser. */
  readonly server: ConnectionSettings;
  /** A session with pinned settings, as the tool's own have; named `test`. */
  client(applicationName?: string): Promise<Client>;
  /** Runs after the database has been dropped. */
  onDropped(cleanUp: (server: Client) => Promise<void>): void;
}

/** What tests have left behind; the setup file fails the test on it. */
const leaks: string[] = [];
const open = new Set<string>();
/** Out of scope, not dropped yet: whether their test fails is known later. */
const waiting: { name: string; drop: () => Promise<void> }[] = [];

/** A property runs many histories in one test; only the last one can be the one that failed. */
const KEPT = 2;
const SESSION = { applicationName: 'test' };

/** Makes a database with a random name: `await using database = await createDatabase()`. */
export async function createDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  while (waiting.length > KEPT) await waiting.shift()!.drop();
  const database = await make(options);
  open.add(database.name);
  const inTest = whenTestFinished(async (failed) => {
    for (const { name, drop } of waiting.splice(0)) {
      if (failed && name === database.name) {
        console.error(`the database is kept: ${database.url}`);
        // Every slot of the server would wait for what it has prepared.
        await withClient(database.server, SESSION, (server) => endPrepared(server, database.settings, name));
      } else await drop();
    }
  });
  return {
    ...database,
    [Symbol.asyncDispose]: async () => {
      if (!open.delete(database.name)) return;
      await database.close();
      if (inTest) waiting.push(database);
      else await database.drop();
    },
  };
}

/** One database for all the tests of a file. */
export function testDatabase(options: DatabaseOptions = {}): { settings(): ConnectionSettings; get(): TestDatabase } {
  let database: TestDatabase | null = null;
  const get = (): TestDatabase => {
    if (!database) throw new Error('the database exists within tests only');
    return database;
  };
  beforeAll(async () => {
    database = await createDatabase(options);
    open.delete(database.name); // it outlives a test
  });
  afterAll(async () => {
    if (database) open.add(database.name);
    await database?.[Symbol.asyncDispose]();
  });
  return { settings: () => get().settings, get };
}

/** Takes the list of what the tests before have left: sessions of the tool, databases that nobody disposed of. */
export function takeLeaks(): string[] {
  const undisposed = [...open].map((name) => `database ${name} was not disposed of`);
  open.clear();
  return [...leaks.splice(0), ...undisposed];
}

interface Made extends Omit<TestDatabase, typeof Symbol.asyncDispose> {
  close(): Promise<void>;
  drop(): Promise<void>;
}

async function make({ major = DEFAULT_MAJOR, server: given, settings: databaseSettings = {}, encoding }: DatabaseOptions): Promise<Made> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = given ?? (await serverUrl(major));
  const server = resolveConnection({ databaseUrl: url }, {});
  await withClient(server, SESSION, async (client) => {
    await client.query(
      `create database ${quoteIdent(name)}${encoding === undefined ? '' : ` template template0 encoding ${quoteLiteral(encoding)} locale 'C'`}`,
    );
    for (const [setting, value] of Object.entries(databaseSettings)) {
      await client.query(`alter database ${quoteIdent(name)} set ${quoteIdent(setting)} to ${quoteLiteral(value)}`);
    }
  });
  const own = withDatabase(url, name);
  const settings = resolveConnection({ databaseUrl: own }, {});
  const clients: Client[] = [];
  const cleanUps: ((server: Client) => Promise<void>)[] = [];
  return {
    name,
    url: own,
    settings,
    server,
    client: async (applicationName = 'test') => {
      const client = await connect(settings, { applicationName });
      clients.push(client);
      return client;
    },
    onDropped: (cleanUp) => void cleanUps.push(cleanUp),
    close: async () => {
      await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
      leaks.push(...(await withClient(server, SESSION, (client) => lastingSessions(client, name))));
    },
    drop: async () => {
      await withClient(server, SESSION, async (client) => {
        await dropDatabase(client, settings, name);
        for (const cleanUp of cleanUps.splice(0)) await cleanUp(client);
      });
    },
  };
}

/** The tool's sessions that are there two seconds after the test: the server needs a moment to notice an end. */
async function lastingSessions(server: Client, name: string): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    const { rows } = await server.query<{ application_name: string; state: string | null; query: string }>(
      `select application_name, state, left(query, 80) as query from pg_stat_activity where datname = $1 and application_name like 'partitioner%'`,
      [name],
    );
    if (rows.length === 0) return [];
    if (attempt === 20)
      return rows.map((row) => `a session of ${row.application_name} is still there (${row.state ?? 'walsender'}): ${row.query}`);
    await sleep(100);
  }
}

async function endPrepared(server: Client, settings: ConnectionSettings, name: string): Promise<void> {
  const { rows: prepared } = await server.query<{ gid: string }>('select gid from pg_prepared_xacts where database = $1', [name]);
  if (prepared.length > 0) {
    await withClient(settings, SESSION, async (client) => {
      for (const { gid } of prepared) await client.query(`rollback prepared ${quoteLiteral(gid)}`);
    });
  }
}

/** Slots and prepared transactions hold a database back, `with (force)` or not. */
async function dropDatabase(server: Client, settings: ConnectionSettings, name: string): Promise<void> {
  await endPrepared(server, settings, name);
  for (let attempt = 0; ; attempt++) {
    try {
      await server.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active_pid is not null',
        [name],
      );
      await server.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1', [name]);
      await server.query(`drop database if exists ${quoteIdent(name)} with (force)`);
      return;
    } catch (error) {
      if (attempt === 30) throw new Error(`cannot drop ${describeConnection(settings)}`, { cause: error });
      await sleep(100);
    }
  }
}

/** False outside of a test, where nothing tells of a failure. */
function whenTestFinished(act: (failed: boolean) => Promise<void>): boolean {
  try {
    onTestFinished(({ task }) => act(task.result?.state === 'fail'));
    return true;
  } catch {
    return false;
  }
}

function withDatabase(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${name}`;
  return parsed.href;
}
