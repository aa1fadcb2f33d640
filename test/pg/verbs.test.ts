import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/actions/status.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { partitioner, startPartitioner, type Run, type Running } from '../support/partitioner.ts';

const PARTITIONING = ['--range', 'created_at', '--every', 'month'];

async function withTable(database: TestDatabase): Promise<void> {
  const client = await database.client();
  await client.query('create schema app');
  await client.query('create table app.events (id bigserial primary key, created_at timestamptz not null, v text)');
  await client.query('create index on app.events (created_at)');
  await client.query(
    "insert into app.events (created_at, v) select '2026-01-01'::timestamptz + n * interval '1 hour', 'x' from generate_series(1, 2000) n",
  );
  await client.query('analyze app.events');
}

const json = <T>({ stdout }: Run): T => JSON.parse(stdout) as T;

/** Waits until the daemon has printed this. */
async function printed(daemon: Running, text: string): Promise<void> {
  await expect.poll(() => daemon.output().stdout, { timeout: 60_000, interval: 50 }).toContain(text);
}

describe('the verbs, one after the other', () => {
  it('lead from a check to a finished migration', async () => {
    await using database = await createDatabase();
    await withTable(database);
    const env = { DATABASE_URL: database.url };
    const run = (...args: string[]): Promise<Run> => partitioner(args, env);

    expect(await run('status')).toMatchObject({ code: 3, stdout: '' });
    const checked = await run('check', 'app.events', ...PARTITIONING, '--json');
    expect([checked.code, json<{ ok: boolean; table: string }>(checked)]).toMatchObject([0, { ok: true, table: 'app.events' }]);
    const planned = await run('plan', 'app.events', ...PARTITIONING);
    expect(planned).toMatchObject({ code: 0, stderr: '' });
    for (const part of ['events_p2026_02', 'attach partition', 'ACCESS EXCLUSIVE on app.events', 'events_pkey'])
      expect(planned.stdout).toContain(part);
    expect(json<{ begun: boolean }>(await run('plan', 'app.events', ...PARTITIONING, '--json')).begun).toBe(false);

    const start = ['start', 'app.events', ...PARTITIONING, '--http', 'off', '--log-level', 'warn'];
    const first = startPartitioner(start, env);
    await printed(first, 'app.events ready');
    const refused = await run('start', 'app.events', '--every', 'day');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('--every day does not fit');
    first.signal('SIGTERM');
    const drained = await first.ended;
    expect(drained).toMatchObject({ code: 0, stderr: '' });
    expect(drained.stdout).toContain('Stopped: app.events ready');

    const alone = await run('cutover', 'app.events');
    expect(alone).toMatchObject({ code: 3, stdout: '' });
    expect(alone.stderr).toContain('hint: partitioner start app.events');
    expect(json<object>(await run('pause', 'app.events', '--json'))).toMatchObject({ paused: true, daemon: false });

    // The partitioning is known by now.
    const second = startPartitioner(['start', 'app.events', '--http', 'off', '--log-level', 'warn'], env);
    await printed(second, 'Resumes migration 1 of app.events');
    await printed(second, 'ready');
    expect(json<Status>(await run('status', 'app.events', '--json'))).toMatchObject({
      source: 'app.events',
      paused: true,
      daemon: { pid: second.pid },
    });
    // A table of the file that has no migration is passed over beside one that has.
    const config = new URL('../support/two-tables.yaml', import.meta.url).pathname;
    expect(json<Status>(await run('status', '--config', config, '--json'))).toMatchObject({ source: 'app.events' });
    expect(json<object>(await run('resume', 'app.events', '--json'))).toMatchObject({ paused: false, daemon: true });
    const receipt = json<object>(await run('cutover', 'app.events', '--when-ready', '--no-way-back', '--json'));
    expect(receipt).toMatchObject({
      source: 'app.events',
      attempts: 1,
      differences: 0,
      sequences: [{ name: 'app.events_id_seq', lastValue: '2000' }],
    });
    expect((await second.ended).code).toBe(0);

    expect((await run('abort', 'app.events')).code).toBe(3);
    expect((await run('status')).stdout).toContain('app.events switched');
    expect(await run('finish', 'app.events', '--drop-retired', '--json')).toMatchObject({ code: 0, stderr: '' });
    expect((await run('status')).code).toBe(3);
    const client = await database.client();
    const { rows } = await client.query(
      "select relkind, (select count(*) from app.events) as rows from pg_class where oid = 'app.events'::regclass",
    );
    expect(rows).toEqual([{ relkind: 'p', rows: '2000' }]);
  });

  it('abort takes everything back, with a daemon and without', async () => {
    await using database = await createDatabase();
    await withTable(database);
    const env = { DATABASE_URL: database.url };
    const client = await database.client();
    const objects = async (): Promise<unknown> =>
      (
        await client.query(`select relname, relkind from pg_class where relnamespace = 'app'::regnamespace
          union all select nspname, 'n' from pg_namespace where nspname = 'partitioner'
          union all select slot_name, 's' from pg_replication_slots where database = current_database()
          union all select pubname, 'p' from pg_publication order by 1`)
      ).rows;
    const before = await objects();
    for (const withDaemon of [true, false]) {
      const daemon = startPartitioner(['start', 'app.events', ...PARTITIONING, '--http', 'off', '--log-level', 'warn'], env);
      await printed(daemon, 'app.events ready');
      if (!withDaemon) {
        daemon.signal('SIGTERM');
        await daemon.ended;
      }
      expect(await partitioner(['abort', 'app.events'], env)).toMatchObject({ code: 0, stderr: '' });
      expect((await daemon.ended).code).toBe(0);
      expect(await objects()).toEqual(before);
    }
  });

  it('start refuses a table with a blocker and leaves nothing behind', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query('create schema app');
    await client.query('create table app.bare (created_at timestamptz not null)');
    const refused = await partitioner(['start', 'app.bare', ...PARTITIONING], { DATABASE_URL: database.url });
    expect(refused).toMatchObject({ code: 2, stderr: '' });
    expect(refused.stdout).toContain('app.bare has no primary key');
    const document = await partitioner(['start', 'app.bare', ...PARTITIONING, '--json'], { DATABASE_URL: database.url });
    expect(json<object>(document)).toMatchObject({ ok: false, error: { code: 'PREFLIGHT_REFUSED' }, table: 'app.bare' });
    expect(document.code).toBe(2);
    const { rows } = await client.query("select nspname from pg_namespace where nspname = 'partitioner'");
    expect(rows).toEqual([]);
  });

  it('several tables of a configuration file are checked in one go', async () => {
    await using database = await createDatabase();
    await withTable(database);
    const config = new URL('../support/two-tables.yaml', import.meta.url).pathname;
    const checked = await partitioner(['check', '--config', config, '--json'], { DATABASE_URL: database.url });
    expect(checked.code).toBe(2);
    expect(json<object>(checked)).toMatchObject([
      { table: 'app.events', ok: true },
      { table: 'app.missing', ok: false },
    ]);
  });
});
