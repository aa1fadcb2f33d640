import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../src/pg/client.ts';
import type { TestDatabase } from './database.ts';
import type { History } from './history.ts';
import { startPartitioner } from './partitioner.ts';
import { DEFAULT_MAJOR } from './server.ts';

/** The daemon of a history, in the test's own process or as one of its own. */
export interface Daemon {
  /** Ends it in an orderly way, and starts it again. */
  readonly restart: (meanwhile?: () => Promise<void>) => Promise<void>;
  /** SIGKILL, where it is a process, and started again. */
  readonly kill: () => Promise<void>;
  readonly ended: () => Promise<void>;
  readonly failure: () => unknown;
}

/** As a process: for histories in which it is killed. */
export function startDaemonProcess(database: TestDatabase, { unitKind }: History): Daemon {
  const flags = ['--range', 'at', '--every', 'month', '--premake', '1', '--unit', unitKind, '--chunk-size', '64kB', '--http', 'off'];
  let failure: unknown;
  const start = (): ReturnType<typeof startPartitioner> => {
    const running = startPartitioner(['start', 'app.h', ...flags], { DATABASE_URL: database.url });
    running.ended.then(
      ({ code, stdout, stderr }) => {
        if (code !== null && code !== 0) failure ??= new Error(`the daemon ended with ${String(code)}: ${stdout}${stderr}`);
      },
      (error: unknown) => (failure ??= error),
    );
    return running;
  };
  let current = start();
  const end = async (signal: NodeJS.Signals, meanwhile?: () => Promise<void>): Promise<void> => {
    current.signal(signal);
    await current.ended;
    await meanwhile?.();
    current = start();
  };
  return {
    restart: (meanwhile) => end('SIGTERM', meanwhile),
    kill: () => end('SIGKILL'),
    ended: async () => {
      await current.ended;
    },
    failure: () => failure,
  };
}

/**
 * The server crashes with all its sessions, recovers from its WAL and takes connections again: what it does when one of its processes is killed.
 * A server that is not ours is left alone.
 */
export async function crashServer(database: TestDatabase): Promise<void> {
  if (process.env['TEST_SERVER'] === 'testcontainers' || process.env[`TEST_PG_${String(DEFAULT_MAJOR)}`] !== undefined) return;
  const client = await database.client();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  process.kill(rows[0]!.pid, 'SIGKILL');
  await reconnect(database);
}

/** A new session, as soon as the server gives one. */
export async function reconnect(database: TestDatabase): Promise<Client> {
  for (let attempt = 0; ; attempt++) {
    try {
      const client = await database.client();
      // The one that was there before the crash may still have been answered.
      await client.query('select 1');
      return client;
    } catch (error) {
      if (attempt === 300) throw error;
      await sleep(50);
    }
  }
}

/** A transaction that was prepared when the session was lost: a slot would wait for it for ever. */
export async function commitPrepared(client: Client, prefix: string): Promise<void> {
  const { rows } = await client.query<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database() and starts_with(gid, $1)',
    [prefix],
  );
  for (const { gid } of rows) await client.query(`commit prepared '${gid}'`);
}
