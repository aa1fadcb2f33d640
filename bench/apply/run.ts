import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../src/pg/client.ts';
import { endDaemon, startDaemon, waitForQuery, waitForStatus } from '../daemon.ts';
import { note, readFlags, report, round, seconds } from '../report.ts';
import { withServer } from '../server.ts';
import { createPartitioned, createSource, fillSource, indexes, insertSpread } from '../table.ts';

// The same changes of one table, gathered while nobody applies them, then applied by PostgreSQL's own subscription and by the
// tool, one after the other, into the same partitioned table of 26 leaves.
const { values, out } = readFlags({ inserts: 1_000_000, updates: 300_000, deletes: 300_000, indexes: 0 });
const SOURCE = 'app.events';
const SUBSCRIPTION = 'bench_subscription';
/** Rows that are there before, some in each leaf; the changes are to rows above. */
const FIRST_ROWS = 2600;
/** Rows per transaction. */
const BATCH = 10;
const ACTIVE = 'select coalesce(bool_or(active), false) as reached from pg_replication_slots where slot_name = $1';

interface Phase {
  readonly name: 'inserts' | 'updates' | 'deletes';
  readonly first: number;
  readonly count: number;
  /** Changes rows `begun` to `begun + 9`. */
  readonly sql: string;
}

const PHASES: readonly Phase[] = [
  { name: 'inserts', first: FIRST_ROWS + 1, count: values.inserts, sql: insertSpread(SOURCE, 'begun::bigint', 'begun::bigint + 9') },
  {
    name: 'updates',
    first: FIRST_ROWS + 1,
    count: values.updates,
    sql: `update ${SOURCE} set amount = amount + 1, title = 'Changed number ' || id where id between begun and begun + 9`,
  },
  {
    name: 'deletes',
    first: FIRST_ROWS + 1 + values.inserts - values.deletes,
    count: values.deletes,
    sql: `delete from ${SOURCE} where id between begun and begun + 9`,
  },
];

await withServer(async (server) => {
  const source = await server.session('bench');
  await createSource(source, SOURCE, 'id, created_at');
  if (values.indexes > 0) for (const sql of indexes(SOURCE)) await source.query(sql);
  // The partitioning needs an index of its own, or whole-table units.
  else await source.query(`create index events_created_at on ${SOURCE} (created_at)`);
  await fillSource([source], SOURCE, FIRST_ROWS);
  await source.query(`vacuum (analyze) ${SOURCE}`);
  await source.query('create database subscriber');
  const subscriber = await server.session('subscriber');
  await createPartitioned(subscriber, SOURCE);
  await subscriber.query(`alter table ${SOURCE} add primary key (id, created_at)`);
  if (values.indexes > 0) for (const sql of indexes(SOURCE)) await subscriber.query(sql);
  else await subscriber.query(`create index events_created_at on ${SOURCE} (created_at)`);

  note('the tool loads its target');
  const daemon = startDaemon(server.url('bench'), SOURCE);
  const ready = await waitForStatus(source, daemon, SOURCE, ({ phase }) => phase === 'ready');
  await endDaemon(daemon);

  // A publication of its own would change the source under the migration: the tool's serves both.
  const { rows: migrations } = await source.query<{ publication: string }>(
    'select publication_name as publication from partitioner.migration',
  );
  // The subscription's own CREATE would wait for the transaction that it runs in: both are on one server.
  await source.query(`select pg_create_logical_replication_slot('${SUBSCRIPTION}', 'pgoutput')`);
  await subscriber.query(
    `create subscription ${SUBSCRIPTION} connection 'host=127.0.0.1 port=${server.port} dbname=bench user=postgres' publication "${migrations[0]!.publication}"
     with (create_slot = false, slot_name = '${SUBSCRIPTION}', copy_data = false, enabled = false, binary = true)`,
  );

  const results: Record<string, object> = {};
  for (const [number, phase] of PHASES.entries()) {
    note(`${phase.count} ${phase.name}`);
    const marker = -1 - number;
    await change(source, phase, marker);
    const builtIn = await timeSubscription(source, subscriber, marker);
    const ours = await timeDaemon(source, server.url('bench'), ready.target, ready.slot!.name, marker);
    // What the tool wrote is in the WAL of the subscription's database: it is read past before the next measurement.
    await source.query(insertSpread(SOURCE, '-10::bigint - $1', '-10::bigint - $1'), [number]);
    await timeSubscription(source, subscriber, -10 - number, true);
    // The same for the tool, which reads its own writes too.
    await timeDaemon(source, server.url('bench'), ready.target, ready.slot!.name, -10 - number, true);
    results[phase.name] = {
      builtIn: { seconds: round(builtIn), perSecond: Math.round(phase.count / builtIn) },
      ours: { seconds: round(ours), perSecond: Math.round(phase.count / ours) },
      ratio: round(builtIn / ours),
    };
    note(JSON.stringify(results[phase.name]));
  }
  const last = startDaemon(server.url('bench'), SOURCE);
  await waitForQuery(source, `select exists (select from ${ready.target} where id = $1) as reached`, [-10 - (PHASES.length - 1)], last);
  await endDaemon(last);
  const equal = {
    builtIn: (await digest(subscriber, SOURCE)) === (await digest(source, SOURCE)),
    ours: (await digest(source, ready.target)) === (await digest(source, SOURCE)),
  };
  await subscriber.query(`alter subscription ${SUBSCRIPTION} disable`);
  await subscriber.query(`alter subscription ${SUBSCRIPTION} set (slot_name = none)`);
  await subscriber.query(`drop subscription ${SUBSCRIPTION}`);
  await report(
    'apply',
    server.version,
    {
      rowsPerTransaction: BATCH,
      leaves: 26,
      secondaryIndexes: Math.max(1, values.indexes),
      reach: { inserts: 1.5, updates: 1, deletes: 1 },
      results,
      equal,
    },
    out,
  );
});

/** Changes the source in transactions of ten rows, then marks the end with a row of its own. */
async function change(client: Client, { first, count, sql }: Phase, marker: number): Promise<void> {
  await client.query(
    `create or replace procedure app.change(first bigint, last bigint) language plpgsql as $$
     begin
       for begun in first..last by ${BATCH} loop
         ${sql};
         commit;
       end loop;
     end $$`,
  );
  await client.query('set synchronous_commit = off');
  const took = await seconds(() => client.query(`call app.change(${first}, ${first + count - 1})`));
  await client.query('set synchronous_commit = on');
  await client.query(insertSpread(SOURCE), [marker, marker]);
  await client.query('checkpoint');
  note(`changed in ${round(took)} s`);
}

/** Seconds from the moment the slot is read to the moment the marker is in the table. */
async function timeSubscription(source: Client, subscriber: Client, marker: number, settle = false): Promise<number> {
  await subscriber.query(`alter subscription ${SUBSCRIPTION} enable`);
  await waitForQuery(source, ACTIVE, [SUBSCRIPTION]);
  const took = await seconds(() => waitForQuery(subscriber, `select exists (select from ${SOURCE} where id = $1) as reached`, [marker]));
  if (settle) await settleSlot(source, SUBSCRIPTION);
  await subscriber.query(`alter subscription ${SUBSCRIPTION} disable`);
  await waitForQuery(source, 'select not bool_or(active) as reached from pg_replication_slots where slot_name = $1', [SUBSCRIPTION]);
  return took;
}

async function timeDaemon(
  source: Client,
  databaseUrl: string,
  target: string,
  slot: string,
  marker: number,
  settle = false,
): Promise<number> {
  const daemon = startDaemon(databaseUrl, SOURCE);
  await waitForQuery(source, ACTIVE, [slot], daemon);
  const took = await seconds(() =>
    waitForQuery(source, `select exists (select from ${target} where id = $1) as reached`, [marker], daemon),
  );
  if (settle) await settleSlot(source, slot);
  await endDaemon(daemon);
  return took;
}

/**
 * A slot that is read again begins at its restart position, which moves only where the running transactions are logged: without this the
 * next measurement would begin with decoding what the last one wrote.
 */
async function settleSlot(source: Client, slot: string): Promise<void> {
  const { rows } = await source.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  const reached = 'select restart_lsn >= $2::pg_lsn as reached from pg_replication_slots where slot_name = $1';
  for (;;) {
    await source.query('select pg_log_standby_snapshot()');
    await source.query("select pg_logical_emit_message(true, 'bench', '')");
    const { rows: found } = await source.query<{ reached: boolean }>(reached, [slot, rows[0]!.lsn]);
    if (found[0]?.reached === true) return;
    await sleep(100);
  }
}

/** Rows and an order-free hash of what was changed. */
async function digest(client: Client, table: string): Promise<string> {
  const { rows } = await client.query<{ digest: string }>(
    `select count(*) || '/' || sum(hashtextextended(e::text, 0)::numeric) as digest from ${table} e where id not between 1 and ${FIRST_ROWS}`,
  );
  return rows[0]!.digest;
}
