import { describe, expect, it } from 'vitest';
import { DAEMON_LOCK_CLASS } from '../../src/actions/command.ts';
import { fetchStatus } from '../../src/actions/status.ts';
import type { Client } from '../../src/pg/client.ts';
import { withClient } from '../../src/pg/client.ts';
import { inTransaction } from '../../src/pg/client.ts';
import { createControlSchema } from '../../src/pg/control-store.ts';
import { insertMigration } from '../support/control.ts';
import { testDatabase } from '../support/database.ts';

const database = testDatabase();
const session = { applicationName: 'test' };

const withControl = (use: (client: Client) => Promise<void>): Promise<void> =>
  withClient(database.settings(), session, async (client) => {
    await inTransaction(client, () => createControlSchema(client));
    await use(client);
  });

describe('the status', () => {
  it('of a database that never held a migration is WRONG_PHASE with a hint', async () => {
    await withClient(database.settings(), session, async (client) => {
      await expect(fetchStatus(client)).rejects.toMatchObject({
        code: 'WRONG_PHASE',
        exitCode: 3,
        message: 'there is no migration in this database',
      });
      await expect(fetchStatus(client, 'app.events')).rejects.toMatchObject({
        message: 'there is no migration of app.events',
        hint: 'partitioner start app.events --range COLUMN --every month',
      });
    });
  });

  it('shows what the control schema, the slot and the WAL tell', async () => {
    await withControl(async (client) => {
      const id = await insertMigration(client, { table: 'events', phase: 'backfill' });
      const units = [
        ['pending', 'chunks'],
        ['loading', 'chunks'],
        ['loading', 'purge'],
        ['loading', 'index'],
        ['loading', 'resync'],
        ['live', 'live'],
      ];
      for (const [unit, [state, step]] of units.entries()) {
        await client.query(
          'insert into partitioner.unit (migration, unit, state, step, load_order, rows_estimated, bytes_estimated) values ($1, $2, $3, $4, $2, 100, 8000)',
          [id, unit, state, step],
        );
      }
      await client.query(
        'insert into partitioner.chunk (migration, unit, chunk, done, rows, bytes) values ($1, 5, 0, true, 90, 7000), ($1, 1, 0, true, 60, 5000), ($1, 1, 1, false, 0, 0)',
        [id],
      );
      const [status] = await fetchStatus(client, 'app.events');
      expect(status).toEqual({
        migration: id,
        source: 'app.events',
        target: 'app.partitioner_target_events',
        phase: 'backfill',
        units: { pending: 1, loading: 2, indexing: 2, live: 1, total: 6 },
        rows: { copied: 150, estimated: 600 },
        bytes: { copied: 12_000, estimated: 48_000 },
        lag: null,
        appliedLsn: null,
        slot: null,
        verified: { units: 0, total: 0, at: null, pass: 0, rows: 0, rechecked: 0, differences: 0, tainted: false },
        after: { done: 0, failed: 0, total: 0 },
        wayBack: null,
        paused: false,
        anomalies: 0,
        waiting: 'a daemon: partitioner start app.events',
        eta: null,
        daemon: null,
        failure: null,
      });
    });
  });

  it('measures the lag against the WAL, and knows the daemon by its lock', async () => {
    await withControl(async (client) => {
      const id = await insertMigration(client, { table: 'lagging', phase: 'catchup', waiting: 'a lock' });
      const slot = `status_${id}`;
      await client.query('update partitioner.migration set slot_name = $2 where id = $1', [id, slot]);
      await client.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
      try {
        const { rows } = await client.query<{ lsn: string }>(
          'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
          [slot],
        );
        // One byte past the slot's confirmed position: a transaction was applied that the slot has not been told.
        await client.query(
          `insert into partitioner.position (migration, lsn, unsettled, commit_time)
           select $1, ($2::pg_lsn + 1), '{}', clock_timestamp() - interval '40 seconds'`,
          [id, rows[0]!.lsn],
        );
        await client.query("insert into partitioner.daemon values ($1, 4711, 'db1', 1, '2026-01-02 03:04:05+00', clock_timestamp())", [id]);

        const [dead] = await fetchStatus(client, 'app.lagging');
        expect(dead!.lag!.bytes).toBeGreaterThan(0);
        expect(dead!.lag!.seconds).toBeGreaterThanOrEqual(40);
        expect(dead!.lag!.seconds).toBeLessThan(60);
        expect(dead!.slot).toMatchObject({ name: slot, active: false, walStatus: 'reserved', safeBytes: null });
        expect(dead!.slot!.retainedBytes).toBeGreaterThan(0);
        expect(dead).toMatchObject({ daemon: null, waiting: 'a daemon: partitioner start app.lagging' });

        await client.query('select pg_advisory_lock($1, $2)', [DAEMON_LOCK_CLASS, id]);
        const [alive] = await fetchStatus(client, 'app.lagging');
        expect(alive).toMatchObject({ daemon: { pid: 4711, host: 'db1', since: '2026-01-02T03:04:05Z' }, waiting: 'a lock' });

        // What the end of the WAL has passed is no lag, however old the last transaction is.
        await client.query('update partitioner.position set lsn = pg_current_wal_lsn() + 1000000 where migration = $1', [id]);
        const [idle] = await fetchStatus(client, 'app.lagging');
        expect(idle!.lag).toEqual({ bytes: 0, seconds: 0 });
      } finally {
        await client.query('select pg_drop_replication_slot($1)', [slot]);
      }
    });
  });

  it('estimates the end from the pace since the backfill began', async () => {
    await withControl(async (client) => {
      const id = await insertMigration(client, { table: 'paced', phase: 'backfill' });
      await client.query(
        "insert into partitioner.unit (migration, unit, state, load_order, rows_estimated) values ($1, 0, 'loading', 0, 1000)",
        [id],
      );
      await client.query('insert into partitioner.chunk (migration, unit, chunk, done, rows) values ($1, 0, 0, true, 250)', [id]);
      await client.query(
        "insert into partitioner.history (migration, event, at) values ($1, 'prepared', clock_timestamp() - interval '100 seconds')",
        [id],
      );
      await client.query('select pg_advisory_lock($1, $2)', [DAEMON_LOCK_CLASS, id]);
      const [status] = await fetchStatus(client, 'app.paced');
      expect(status!.eta).toBeGreaterThanOrEqual(300);
      expect(status!.eta).toBeLessThan(320);
      await client.query('update partitioner.migration set paused = true where id = $1', [id]);
      expect((await fetchStatus(client, 'app.paced'))[0]).toMatchObject({ paused: true, eta: null });
    });
  });

  it('finds a table by its name, with or without the schema, quoted as SQL does', async () => {
    await withControl(async (client) => {
      const id = await insertMigration(client, { table: 'Mixed "Case".x', phase: 'ready' });
      for (const name of ['"Mixed ""Case"".x"', 'app."Mixed ""Case"".x"', 'APP."Mixed ""Case"".x"']) {
        expect(await fetchStatus(client, name)).toMatchObject([{ migration: id, source: 'app."Mixed ""Case"".x"' }]);
      }
      await expect(fetchStatus(client, 'other."Mixed ""Case"".x"')).rejects.toMatchObject({ code: 'WRONG_PHASE' });
      await expect(fetchStatus(client, 'app.')).rejects.toMatchObject({ code: 'USAGE', message: '"app." is no table\'s name' });
    });
  });

  it('is that of the newest migration of each table', async () => {
    await withControl(async (client) => {
      await insertMigration(client, { table: 'again', phase: 'aborted' });
      const second = await insertMigration(client, {
        table: 'again',
        phase: 'failed',
        failure: { code: 'SLOT_LOST', message: 'the slot is gone' },
      });
      expect(await fetchStatus(client, 'again')).toMatchObject([
        { migration: second, phase: 'failed', waiting: null, failure: { code: 'SLOT_LOST' } },
      ]);
    });
  });
});
