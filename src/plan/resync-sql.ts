import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { keyLiteral } from '../domain/partition-key.ts';
import { keyTable, KEYS } from './apply-sql.ts';
import type { MigrationPlan } from './migration-plan.ts';

/** Keys that one transaction takes out and puts back: a temporary table of the applier's session. */
export const JOB = 'pg_temp.partitioner_job';

/**
 * Of a recovery (docs/slot.md): all live leaves together are one unit, so that a change touches its keys once. Only the applier writes
 * touched keys of the one number; keys that a comparison has seen differ are written by the sessions that compare, under the other.
 */
export const KEPT_UNIT = -1;
export const DIFFERENT_UNIT = -2;
export const RECOVERED_UNITS: readonly number[] = [KEPT_UNIT, DIFFERENT_UNIT];

/** A half-open interval of the partition key; null means unbounded. */
export interface KeyInterval {
  readonly lower: bigint | null;
  readonly upper: bigint | null;
}

/** The statements over touched, fenced and repair keys, as text; `id` is the migration's. */
export interface ResyncSql {
  /** The per-migration key tables, made by prepare. */
  readonly createKeyTables: readonly string[];
  /** The fence table, quoted. */
  readonly fence: string;
  readonly dropKeyTables: readonly string[];
  /** The session's job table. */
  readonly createJob: string;
  /** Params: unit numbers. Adds the keys of the session's key table to the touched keys of the units. */
  readonly touchKeys: string;
  /** Params: unit numbers. The same for the job's keys. */
  readonly touchJob: string;
  /** Params: unit numbers, at most. Moves touched keys into the job. */
  readonly takeTouched: string;
  readonly takeRepair: string;
  readonly addRepair: string;
  readonly copyJobKeys: string;
  readonly copyRepairKeys: string;
  readonly copyFences: string;
  readonly deleteJob: (from: QualifiedName) => string;
  /** Rows of the job's keys as the transaction's snapshot sees them in the source, where they fall into the intervals. */
  readonly insertJob: (into: QualifiedName, intervals: readonly KeyInterval[]) => string;
  /** Partition key values (text) of the job's rows that fall into none of the intervals. */
  readonly strayJob: (intervals: readonly KeyInterval[]) => string;
  /** The least partition key value (text) of the source in an interval, null when it has none. */
  readonly firstIn: (interval: KeyInterval) => string;
  /** Params: snapshot, lsn. */
  readonly fenceJob: string;
  /** Params: lsn. */
  readonly dissolveFences: string;
  /** Params: unit. Deletes every touched key from a table that has no index yet. */
  readonly purge: (from: QualifiedName) => string;
  /** Params: unit numbers, at most. How many keys of each are touched, up to that. */
  readonly countTouched: string;
}

export function planResyncSql(plan: MigrationPlan, id: number): ResyncSql {
  const { columns, key, partitionKey } = plan;
  const names = key.map((i) => quoteIdent(columns[i]!.name));
  const ks = key.map((_, k) => `k${k}`);
  const list = ks.join(', ');
  const touched = quoteName(keyTable('touched', id));
  const fence = quoteName(keyTable('fence', id));
  const repair = quoteName(keyTable('repair', id));
  const source = quoteName(plan.source);
  const rows = sourceRows(plan);
  const copied = columns.map((column) => quoteIdent(column.name)).join(', ');
  const keysOf = (alias: string): string => names.map((name, k) => `${alias}.${name} as k${k}`).join(', ');
  const on = (row: string, keys: string): string => names.map((name, k) => `${row}.${name} = ${keys}.k${k}`).join(' and ');
  const wire = (alias: string): string =>
    key.map((i, k) => (columns[i]!.wire === 'text' ? `${alias}.k${k}::text` : `${alias}.k${k}`)).join(', ');
  const staged = key.map((i, k) => (columns[i]!.wire === 'text' ? `o${k}::${columns[i]!.type}` : `o${k}`)).join(', ');
  const within = (intervals: readonly KeyInterval[]): string => intervalPredicate(`s.${quoteIdent(partitionKey.name)}`, plan, intervals);
  return {
    createKeyTables: [
      `create table ${touched} as select 0::int as unit, ${keysOf('s')} from only ${source} s with no data`,
      `alter table ${touched} add primary key (unit, ${list})`,
      `create table ${fence} as select ${keysOf('s')}, null::pg_snapshot as snapshot, null::pg_lsn as lsn from only ${source} s with no data`,
      `alter table ${fence} add primary key (${list})`,
      `create table ${repair} as select ${keysOf('s')} from only ${source} s with no data`,
      `alter table ${repair} add primary key (${list})`,
    ],
    fence,
    dropKeyTables: [`drop table if exists ${touched}, ${fence}, ${repair}`],
    createJob: `create temporary table partitioner_job on commit delete rows as select ${list} from ${touched} with no data`,
    touchKeys: `insert into ${touched} (unit, ${list}) select u, ${staged} from ${KEYS} cross join unnest($1::int[]) u on conflict do nothing`,
    touchJob: `insert into ${touched} (unit, ${list}) select u, ${list} from ${JOB} cross join unnest($1::int[]) u on conflict do nothing`,
    takeTouched:
      `with taken as (delete from ${touched} where ctid = any(array(select ctid from ${touched} where unit = any($1::int[]) limit $2)) returning ${list}) ` +
      `insert into ${JOB} select distinct ${list} from taken`,
    takeRepair: `with taken as (delete from ${repair} returning ${list}) insert into ${JOB} select ${list} from taken on conflict do nothing`,
    addRepair: `insert into ${repair} (${list}) select ${staged} from ${KEYS} on conflict do nothing`,
    copyJobKeys: `copy (select ${wire('j')} from ${JOB} j) to stdout (format binary)`,
    copyRepairKeys: `copy (select ${wire('r')} from ${repair} r) to stdout (format binary)`,
    copyFences: `copy (select ${wire('f')}, f.snapshot::text, f.lsn::text from ${fence} f) to stdout (format binary)`,
    deleteJob: (from) => `delete from ${quoteName(from)} t using ${JOB} j where ${on('t', 'j')}`,
    insertJob: (into, intervals) =>
      `insert into ${quoteName(into)} (${copied}) overriding system value ` +
      `select ${columns.map((column) => `s.${quoteIdent(column.name)}`).join(', ')} from ${JOB} j join ${rows} s on ${on('s', 'j')} where ${within(intervals)}`,
    strayJob: (intervals) =>
      `select distinct s.${quoteIdent(partitionKey.name)}::text as value from ${JOB} j join ${rows} s on ${on('s', 'j')} where (${within(intervals)}) is not true`,
    firstIn: (interval) => `select min(s.${quoteIdent(partitionKey.name)})::text as value from ${rows} s where ${within([interval])}`,
    fenceJob:
      `insert into ${fence} (${list}, snapshot, lsn) select ${list}, $1::pg_snapshot, $2::pg_lsn from ${JOB} ` +
      `on conflict (${list}) do update set snapshot = excluded.snapshot, lsn = excluded.lsn`,
    dissolveFences: `delete from ${fence} where lsn <= $1::pg_lsn`,
    purge: (from) => `delete from ${quoteName(from)} t using ${touched} k where k.unit = $1 and ${on('t', 'k')}`,
    countTouched: `select u as unit, (select count(*)::int from (select from ${touched} where unit = u limit $2) k) as keys from unnest($1::int[]) u`,
  };
}

/** What is read of the source: on the way back it is partitioned, and its rows are its leaves'. */
export function sourceRows({ source, wayBackOf }: MigrationPlan): string {
  return `${wayBackOf === undefined ? 'only ' : ''}${quoteName(source)}`;
}

/** `false` for no interval. Bounds are literals, so the planner can use the index on the partition key. */
export function intervalPredicate(
  expression: string,
  { partitionKey: { kind } }: MigrationPlan,
  intervals: readonly KeyInterval[],
): string {
  const parts = intervals.map(({ lower, upper }) =>
    [
      ...(lower === null ? [] : [`${expression} >= ${keyLiteral(kind, lower)}`]),
      ...(upper === null ? [] : [`${expression} < ${keyLiteral(kind, upper)}`]),
      ...(lower === null && upper === null ? [`${expression} is not null`] : []),
    ].join(' and '),
  );
  return parts.length === 0 ? 'false' : parts.map((part) => `(${part})`).join(' or ');
}

/** Joins neighbouring intervals, so that a predicate over 1,000 leaves stays short. Expects ascending order. */
export function joinIntervals(intervals: readonly KeyInterval[]): KeyInterval[] {
  const joined: KeyInterval[] = [];
  for (const interval of intervals) {
    const last = joined.at(-1);
    if (last && last.upper !== null && last.upper === interval.lower)
      joined[joined.length - 1] = { lower: last.lower, upper: interval.upper };
    else joined.push(interval);
  }
  return joined;
}

/** What lies in no leaf. Expects ascending leaves that do not overlap. */
export function gapsBetween(leaves: readonly KeyInterval[]): KeyInterval[] {
  const joined = joinIntervals(leaves);
  const gaps: KeyInterval[] = [];
  let from: bigint | null = null;
  for (const [position, { lower, upper }] of joined.entries()) {
    if (lower !== null) gaps.push({ lower: position === 0 ? null : from, upper: lower });
    from = upper;
  }
  if (joined.length === 0 || from !== null) gaps.push({ lower: from, upper: null });
  return gaps;
}
