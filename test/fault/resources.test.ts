import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/demo/embedded-server.ts';
import { sendCommand } from '../../src/actions/command.ts';
import type { Client } from '../../src/pg/client.ts';
import { resolveConnection, type ConnectionSettings } from '../../src/pg/connection.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startDaemon, until, untilPhase, type TestDaemon } from '../support/daemon.ts';
import { createEvents } from '../support/events-table.ts';
import { startKnownWriter, type KnownWriter } from '../support/known-writer.ts';
import { differingRows } from '../support/oracle.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';

/** Small, so that what it has is used up soon. */
const SETTINGS = {
  max_connections: 40,
  max_locks_per_transaction: 20,
  superuser_reserved_connections: 3,
  fsync: 'off',
  maintenance_work_mem: '1MB',
};
const ROWS = 4_000;

let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: SETTINGS });
});
afterAll(() => server.stop('immediate'));

interface Stage extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly control: Client;
  /** A session of the superuser that does harm. */
  readonly other: Client;
  readonly role: string;
  readonly settings: ConnectionSettings;
  readonly writer: KnownWriter;
  /** What the daemon has said at level warn and above. */
  readonly said: string[];
  start(): TestDaemon;
  /** Ready, switched, compared with the retired table and with what the writer knows. */
  end(daemon: TestDaemon): Promise<void>;
}

/** A table that a role of its own migrates, beside a writer that knows what it has written. */
async function setStage(): Promise<Stage> {
  const database = await createDatabase({ server: server.url });
  const control = await database.client();
  const other = await database.client('harm');
  const role = `migrator_${database.name}`;
  await createEvents(control, ROWS);
  await control.query(
    `create role ${role} login replication; grant connect, create, temporary on database ${database.name} to ${role}; grant usage, create on schema app to ${role}`,
  );
  await control.query(`alter table app.events owner to ${role}`);
  database.onDropped(async (admin) => {
    await admin.query(`drop owned by ${role}`);
    await admin.query(`drop role ${role}`);
  });
  const url = new URL(database.url);
  url.username = role;
  const settings = resolveConnection({ databaseUrl: url.href }, {});
  const writer = await startKnownWriter(database, 'writer');
  const said: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(line) });
  return {
    database,
    control,
    other,
    role,
    settings,
    writer,
    said,
    start: () => startDaemon(settings, 'app.events', { chunkBytes: 128 * 1024 }, { log }),
    end: async (daemon) => {
      await untilPhase(control, 'ready', 180_000);
      await writer.stop();
      // The phase may be what the daemon wrote before it was thrown back.
      const switched = await until(
        control,
        'the cutover',
        async () => {
          const migration = await untilPhase(control, 'ready', 180_000);
          const limits = { lockTimeoutMs: 1_000, maxLockHoldMs: 20_000, attempts: 60 };
          const outcome = await sendCommand(control, migration.id, 'cutover', limits, { waitMs: 60_000 });
          return outcome?.ok === true && migration;
        },
        180_000,
      );
      await daemon.ended;
      expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: switched.retired_name })).toEqual([]);
      const { rows } = await control.query<{ id: string; v: string; kind: number }>('select id::text, v, kind from app.events');
      const now = new Map(rows.map((row) => [row.id, row]));
      for (const [id, { v, kind }] of writer.rows) expect(now.get(id)).toMatchObject({ v, kind });
      for (const { id } of writer.keys) if (!writer.rows.has(id)) expect(now.has(id)).toBe(false);
    },
    [Symbol.asyncDispose]: async () => {
      await writer.stop().catch(() => undefined);
      await database[Symbol.asyncDispose]();
    },
  };
}

describe('what the DBA has set on our role', { timeout: 400_000 }, () => {
  it('changes nothing: the sessions pin what they need', async () => {
    await using stage = await setStage();
    const { control, role } = stage;
    const set: Record<string, string> = {
      statement_timeout: '300ms',
      lock_timeout: '20ms',
      idle_session_timeout: '300ms',
      idle_in_transaction_session_timeout: '300ms',
      ...(DEFAULT_MAJOR >= 17 ? { transaction_timeout: '500ms' } : {}),
      work_mem: '64kB',
      default_transaction_read_only: 'on',
      default_transaction_isolation: 'serializable',
      default_transaction_deferrable: 'on',
      search_path: 'nowhere',
      row_security: 'on',
      session_replication_role: 'replica',
      log_statement: 'all',
      log_min_duration_statement: '0',
      client_min_messages: 'debug1',
      default_tablespace: 'nowhere',
      DateStyle: 'German, DMY',
      IntervalStyle: 'iso_8601',
      TimeZone: 'Asia/Kathmandu',
      bytea_output: 'escape',
      extra_float_digits: '-5',
      standard_conforming_strings: 'off',
      quote_all_identifiers: 'on',
      array_nulls: 'off',
      transform_null_equals: 'on',
      synchronous_commit: 'off',
      enable_indexscan: 'off',
      max_parallel_workers_per_gather: '0',
    };
    for (const [name, value] of Object.entries(set))
      if (name !== 'default_tablespace') await control.query(`alter role ${role} set ${name} = '${value}'`);
    await using daemon = stage.start();
    await stage.end(daemon);
  });

  it('a limit of connections is waited out, and named', async () => {
    await using stage = await setStage();
    const { control, role, said } = stage;
    await control.query(`alter role ${role} connection limit 3`);
    await using daemon = stage.start();
    await until(control, 'the daemon to say it', () =>
      Promise.resolve(said.some((line) => line.includes('too many connections for role'))),
    );
    await control.query(`alter role ${role} connection limit -1`);
    await stage.end(daemon);
  });

  it('temp_file_limit stops the steps that need more, by name, until it is lifted', async () => {
    await using stage = await setStage();
    const { control, role, said } = stage;
    await control.query(
      `alter role ${role} set temp_file_limit = '64kB'; alter role ${role} set work_mem = '64kB'; alter role ${role} set maintenance_work_mem = '${DEFAULT_MAJOR >= 18 ? '64kB' : '1MB'}'`,
    );
    await control.query(
      `insert into app.events (at, v) select timestamptz '2026-03-01 00:00:00+00' + n * interval '1 minute', md5(n::text) || repeat('w', 50) from generate_series(1, 30000) n`,
    );
    await control.query(`create index on app.events (v, doc, kind)`).catch(() => undefined);
    await using daemon = stage.start();
    await until(control, 'the daemon to say it', () => Promise.resolve(said.some((line) => line.includes('temp_file_limit'))), 120_000);
    await control.query(`alter role ${role} reset temp_file_limit`);
    await stage.end(daemon);
  });
});

/** By hand 100, the size that docs/operations.md speaks of; in CI smaller. */
const LARGE_MB = Number(process.env['TEST_ROW_MB'] ?? '8');

it(`rows with values of ${String(LARGE_MB)} MB are carried by the copy and by the stream`, { timeout: 400_000 }, async () => {
  await using stage = await setStage();
  const { control } = stage;
  const value = (text: string): string => `repeat('${text}', ${String(LARGE_MB)} * 262144)`;
  await control.query(
    `insert into app.events (at, v, doc) select timestamptz '2026-02-03 00:00:00+00' + n * interval '20 days', 'large', ${value('copy')} from generate_series(1, 2) n`,
  );
  await using daemon = stage.start();
  await untilPhase(control, 'ready', 180_000);
  await control.query(`insert into app.events (at, v, doc) values ('2026-05-05 00:00:00+00', 'large', ${value('flow')})`);
  await control.query(`update app.events set at = at + interval '1 month' where v = 'large'`); // the values are not sent again
  await control.query(`update app.events set doc = ${value('more')} where id = (select min(id) from app.events where v = 'large')`);
  await stage.end(daemon);
  const { rows } = await control.query<{ doc: string; bytes: number }>(
    `select left(doc, 4) as doc, octet_length(doc) as bytes from app.events where v = 'large' order by id`,
  );
  expect(rows.map(({ doc }) => doc)).toEqual(['more', 'copy', 'flow']);
  for (const { bytes } of rows) expect(bytes).toBe(LARGE_MB * 2 ** 20);
});

describe('what the server has no more of', { timeout: 400_000 }, () => {
  it('connections: all are taken by others, and come back', async () => {
    await using stage = await setStage();
    const { database, control, said } = stage;
    await using daemon = stage.start();
    await untilPhase(control, 'ready', 180_000);
    const greedy: Client[] = [];
    // The daemon's sessions are ended as well, so that it has to come back.
    const fill = async (): Promise<void> => {
      for (;;) {
        try {
          greedy.push(await database.client('greedy'));
        } catch {
          return;
        }
      }
    };
    await control.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'partitioner%' and datname = current_database()`,
    );
    await fill();
    await until(control, 'the daemon to say it', () =>
      Promise.resolve(
        said.some((line) => /too many clients|remaining connection slots|number of requested standby connections/.test(line)),
      ),
    );
    await Promise.all(greedy.map((client) => client.end()));
    await stage.end(daemon);
  });

  it('locks: the shared lock table is full, and is given back', async () => {
    await using stage = await setStage();
    const { control, other, said, writer } = stage;
    await writer.pause(); // it has no more room than we
    await other.query('begin');
    await other.query('savepoint s');
    // As many as there is room for.
    for (let step = 4_096, n = 0; step >= 1;) {
      await other.query('savepoint s');
      try {
        await other.query(`select count(pg_advisory_xact_lock(i)) from generate_series($1::int, $2::int) i`, [n, n + step - 1]);
        n += step;
      } catch {
        await other.query('rollback to savepoint s');
        step = Math.floor(step / 2);
      }
    }
    await using daemon = stage.start();
    await until(
      control,
      'the daemon to say it',
      () => Promise.resolve(said.some((line) => line.includes('out of shared memory'))),
      120_000,
    );
    await other.query('rollback');
    writer.resume();
    await stage.end(daemon);
  });

  const mounts = canMount();
  it.runIf(mounts)('disk: the tablespace is full (ENOSPC), and gets larger', async () => {
    await using stage = await setStage();
    const { control, role, said } = stage;
    const place = mkdtempSync(join(tmpdir(), 'partitioner-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', place]);
    try {
      const { uid, gid } = statSync(server.dataDirectory);
      chownSync(place, uid, gid);
      const space = `space_${stage.database.name}`;
      await control.query(`create tablespace ${space} location '${place}'`);
      await control.query(`grant create on tablespace ${space} to ${role}`);
      await stage.writer.pause();
      await control.query(
        `insert into app.events (at, v) select timestamptz '2026-03-01 00:00:00+00' + n * interval '1 minute', repeat('w', 900) from generate_series(1, 15000) n`,
      );
      await control.query(`alter table app.events set tablespace ${space}`);
      stage.writer.resume();
      stage.database.onDropped(async (admin) => {
        await admin.query(`drop tablespace ${space}`);
        execFileSync('umount', [place]);
        rmSync(place, { recursive: true });
      });
      let daemon = stage.start();
      try {
        const failure = await Promise.race([
          until(
            control,
            'the daemon to say it',
            () => Promise.resolve(said.find((line) => line.includes('No space left on device'))),
            120_000,
          ),
          daemon.ended.then(
            () => '',
            (error: unknown) => String(error),
          ),
        ]);
        expect(failure).toContain('No space left on device');
        execFileSync('mount', ['-o', 'remount,size=400m', place]);
        if (
          await Promise.race([
            daemon.ended.then(
              () => true,
              () => true,
            ),
            new Promise<false>((resolve) => setTimeout(resolve, 1_000, false)),
          ])
        )
          daemon = stage.start();
        await stage.end(daemon);
      } finally {
        await daemon.stop();
      }
    } catch (error) {
      execFileSync('umount', ['-l', place]);
      throw error;
    }
  });
});

/** Mounting takes a capability that containers may lack. */
function canMount(): boolean {
  const place = mkdtempSync(join(tmpdir(), 'partitioner-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', place], { stdio: 'ignore' });
    execFileSync('umount', [place]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
