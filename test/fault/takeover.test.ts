import { expect, test } from 'vitest';
import type { Client } from '../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { holds, readMigration, until } from '../support/daemon.ts';
import { createEvents, endProcess, EVENTS, startLoad, switchAndCompare } from '../support/events-table.ts';
import { startMuteProxy } from '../support/mute-proxy.ts';
import { serverUrl } from '../support/server.ts';
import { startPartitioner, type Running } from '../support/partitioner.ts';

/** Two daemons of one table, as processes: the second takes over when the first one's lock is gone, and the first one commits nothing from then on. */

const ROWS = 15_000;

/** Keeps who has committed what: each transaction that moves the position or ends a chunk, with the epoch of its session. */
async function auditCommits(control: Client): Promise<void> {
  await control.query(`
    create table public.audit (claim text, pid int);
    create function public.audit() returns trigger language plpgsql as
      $$begin insert into public.audit values (current_setting('partitioner.claim', true), pg_backend_pid()); return null; end$$;
    create trigger audit after insert or update or delete on partitioner.position for each statement execute function public.audit();
    create trigger audit after insert or update or delete on partitioner.chunk for each statement execute function public.audit();
    create trigger audit after insert or update or delete on partitioner.unit for each statement execute function public.audit();
    create trigger audit after insert or update or delete on partitioner.verified for each statement execute function public.audit();`);
}

interface Stage {
  readonly database: TestDatabase;
  readonly control: Client;
  readonly first: Running;
  readonly second: Running;
}

/** Both run, the first one works in the middle of the copy; `strike` takes its lock, and the second one ends what it began. */
async function takeOver(
  firstUrl: (database: TestDatabase) => string,
  strike: (stage: Stage) => Promise<void>,
  afterwards: (stage: Stage) => Promise<void>,
): Promise<void> {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  const works = (daemon: Running) => () => holds(control, 'exists (select from partitioner.daemon where pid = $1)', [daemon.pid]);
  const first = startPartitioner(['start', ...EVENTS, '--chunk-size', '64kB'], { DATABASE_URL: firstUrl(database) });
  await until(control, 'the first works', works(first));
  const second = startPartitioner(['start', 'app.events', '--http', 'off', '--log-level', 'info'], { DATABASE_URL: database.url });
  const stage = { database, control, first, second };
  try {
    await until(control, 'the second stands by', () => Promise.resolve(second.output().stderr.includes('standing by')));
    await auditCommits(control);
    const ofFirst = async (): Promise<number> => {
      const { rows } = await control.query<{ commits: number }>(`select count(*)::int as commits from public.audit where claim like '%:1'`);
      return rows[0]!.commits;
    };
    await until(control, 'the first commits', async () => (await ofFirst()) > 3);
    await strike(stage);
    await until(control, 'the second has the epoch', () => holds(control, `(select epoch from partitioner.claim) >= 2`));
    const before = await ofFirst();
    await until(control, 'the second works', works(second));
    await afterwards(stage);
    await until(control, 'ready', async () => (await readMigration(control))?.phase === 'ready', 120_000);
    await load.stop();
    await switchAndCompare(control);
    expect(await ofFirst(), 'transactions of the first daemon').toBe(before);
    expect(await holds(control, `exists (select from public.audit where claim like '%:2')`)).toBe(true);
    expect((await second.ended).code).toBe(0);
  } finally {
    await endProcess(first);
    await endProcess(second);
  }
}

const direct = ({ url }: TestDatabase): string => url;

test('the first one is frozen, found silent, and continued when the second one works: it stands by, and has committed nothing more', async () => {
  await takeOver(
    direct,
    ({ first }) => {
      first.signal('SIGSTOP');
      return Promise.resolve();
    },
    async ({ control, first }) => {
      first.signal('SIGCONT');
      await until(control, 'it stands by', () => Promise.resolve(first.output().stderr.includes('standing by')));
      await endProcess(first);
    },
  );
});

test('the first one loses the session that holds its lock, and hears nothing of it: its other sessions can commit nothing more', async () => {
  const server = new URL(await serverUrl());
  await using proxy = await startMuteProxy({ host: server.hostname, port: Number(server.port) });
  await takeOver(
    ({ url }) => {
      const through = new URL(url);
      through.hostname = '127.0.0.1';
      through.port = String(proxy.port);
      return through.href;
    },
    async ({ control, first }) => {
      expect(proxy.mute('partitioner daemon')).toBe(1);
      // What the server does when it has noticed.
      await control.query('select pg_terminate_backend(backend_pid) from partitioner.daemon where pid = $1', [first.pid]);
    },
    () => Promise.resolve(),
  );
});
