import type { Point } from '../../support/fault-proxy.ts';
import type { Route } from './journey.ts';

/** A place of a migration where it may be struck. */
export interface Place extends Pick<Point, 'session' | 'statement'> {
  /** Which of them is struck. Several: one after the other, each in the attempt that follows. */
  readonly occurrences: readonly number[];
  /** What the migration is about there; the report's first column. */
  readonly phase: string;
  readonly name: string;
  readonly route: Route;
  readonly unit: 'leaf' | 'table';
  /** Struck when the migration is ready, so that the occurrence is counted from there. */
  readonly whenReady?: true;
  /** Something runs on the server for as long as it takes: it is struck in the middle too. */
  readonly long?: true;
  /** Something is committed, so that what comes after it differs from what comes before. */
  readonly commit?: true;
}

type Options = Partial<Pick<Place, 'route' | 'unit' | 'whenReady' | 'long' | 'commit'>> & {
  readonly occurrence?: number | readonly number[];
};

function place(phase: string, name: string, session: string, statement: RegExp, { occurrence = 1, ...options }: Options = {}): Place {
  const occurrences = typeof occurrence === 'number' ? [occurrence] : occurrence;
  return { phase, name, session: new RegExp(`^partitioner ${session}$`), statement, occurrences, route: 'there', unit: 'leaf', ...options };
}

const TABLE = { unit: 'table' } as const;
const READY = { whenReady: true } as const;
const BACK = { route: 'there and back' } as const;

const prepare: readonly Place[] = [
  place('prepare', 'control schema', 'daemon', /^create schema if not exists partitioner/),
  place('prepare', "migration's row", 'daemon', /^insert into partitioner\.migration/),
  place('prepare', "commit of the migration's row", 'daemon', /^commit/, { commit: true }),
  place('prepare', "daemon's lock", 'daemon', /pg_try_advisory_lock/),
  place('prepare', 'publication', 'daemon', /^create publication/),
  place('prepare', 'slot', 'daemon', /pg_create_logical_replication_slot/, { long: true, commit: true }),
  place('prepare', 'first position', 'daemon', /^insert into partitioner\.position/),
  place('prepare', 'commit of the first position', 'daemon', /^commit/, { occurrence: 2, commit: true }),
  place('prepare', 'target', 'daemon', /^create table "app"\."partitioner_\d+_target/),
  place('prepare', 'key tables', 'daemon', /^create table "partitioner"\."touched/),
  place('prepare', 'leaf', 'daemon', /^create table "app"\."events_p/, { occurrence: 3 }),
  place('prepare', 'empty leaf attached', 'daemon', /attach partition/, { occurrence: 2 }),
  place('prepare', 'staging parent', 'daemon', /^create table "app"\."partitioner_\d+_staging/, TABLE),
  place('prepare', 'leaf attached to the staging parent', 'daemon', /staging" attach partition/, { ...TABLE, occurrence: 3 }),
  place('prepare', 'chunks', 'daemon', /^insert into partitioner\.chunk/, { occurrence: 2 }),
  place('prepare', 'plan', 'daemon', /^update partitioner\.migration set plan/),
  place('prepare', 'commit of the plan', 'daemon', /^commit/, { occurrence: 3, commit: true }),
];

const backfill: readonly Place[] = [
  place('stream', "walsender's start", 'walsender', /^start_replication/i),
  place('stream', "applier's temporary tables", 'applier', /^create temporary table partitioner_stage/),
  place('stream', 'heartbeat of the control connection', 'daemon', /^insert into partitioner\.daemon/, { occurrence: 2 }),
  place('chunk', 'unit begins to load', 'applier', /^update partitioner\.unit set state/),
  place('chunk', 'its commit', 'applier', /^commit/, { commit: true }),
  place('chunk', 'snapshot', 'reader', /^begin isolation level repeatable read/, { occurrence: 2 }),
  place('chunk', 'COPY out', 'reader', /^copy \(select/, { occurrence: 2, long: true }),
  place('chunk', 'leaf emptied', 'writer', /^truncate only/),
  place('chunk', 'COPY in', 'writer', /^copy "app"/, { occurrence: 2, long: true }),
  place('chunk', 'recorded', 'writer', /update partitioner\.chunk/, { occurrence: 2 }),
  place('chunk', 'commit', 'writer', /^commit/, { occurrence: 2, commit: true }),
  place('chunk', "reader's commit", 'reader', /^commit/, { occurrence: 2 }),
  place('chunk', 'COPY out of blocks', 'reader', /^copy \(select/, { ...TABLE, occurrence: 3, long: true }),
  place('chunk', 'COPY in through the staging parent', 'writer', /^copy "app"/, { ...TABLE, occurrence: 3, long: true }),
  place('chunk', 'commit into the staging parent', 'writer', /^commit/, { ...TABLE, occurrence: 3, commit: true }),
  place('chunk', 'keys touched', 'applier', /^insert into "partitioner"\."touched/),
  place('chunk', 'commit of touched keys', 'applier', /^commit/, { occurrence: 4, commit: true }),
  place('purge', 'delete', 'builder', /^delete from "app"/),
  place('purge', 'recorded', 'builder', /^update partitioner\.unit/),
  place('purge', 'commit', 'builder', /^commit/, { commit: true }),
  place('purge', 'delete from the staging parent', 'builder', /^delete from "app"/, TABLE),
  place('purge', 'commit of the whole table', 'builder', /^commit/, { ...TABLE, commit: true }),
  place('index build', 'primary key', 'builder', /primary key/, { occurrence: 2, long: true }),
  place('index build', 'index', 'builder', /^create index/, { occurrence: 3, long: true, commit: true }),
  place('index build', 'replica identity', 'builder', /replica identity/, { occurrence: 2 }),
  place('index build', 'VACUUM', 'builder', /^vacuum/, { occurrence: 2, long: true }),
  place('index build', 'index of a leaf of the whole table', 'builder', /^create index/, { ...TABLE, occurrence: 4, long: true }),
  place('index build', 'ANALYZE of the target', 'builder', /^analyze/),
  place('go-live', 'touched keys taken', 'applier', /^with taken as/),
  place('go-live', 'rows taken out', 'applier', /^delete from "app"/),
  place('go-live', 'rows put back', 'applier', /^insert into "app"/),
  place('go-live', 'fences', 'applier', /^insert into "partitioner"\."fence/),
  place('go-live', 'leaf attached', 'applier', /attach partition/, { occurrence: 2 }),
  place('go-live', 'its bound dropped', 'applier', /drop constraint if exists partitioner_bound/, { occurrence: 2 }),
  place('go-live', 'leaf detached from the staging parent', 'applier', /detach partition/, { ...TABLE, occurrence: 3 }),
  place('go-live', 'leaf of the whole table attached', 'applier', /attach partition/, { ...TABLE, occurrence: 3 }),
  place('go-live', 'staging parent dropped', 'applier', /^drop table/, TABLE),
  place('go-live', 'unit live', 'applier', /^update partitioner\.unit set state/, { occurrence: 3 }),
  place('go-live', 'commit of the whole table', 'applier', /^commit/, { ...TABLE, occurrence: 8, commit: true }),
];

const steady: readonly Place[] = [
  place('verification', 'range', 'ranges', /^select \(select count/, { occurrence: 2, long: true }),
  place('verification', "range's result", 'ranges', /^insert into partitioner\.verified/, { occurrence: 2 }),
  place('verification', "range's commit", 'ranges', /^commit/, { occurrence: 2, commit: true }),
  place('verification', 'changed keys', 'verifier', /^insert into pg_temp\.partitioner_check/, READY),
  place('verification', 'how far', 'verifier', /^update partitioner\.verification set checked_to/, READY),
  place('verification', 'commit of changed keys', 'verifier', /^commit/, { ...READY, commit: true }),
  place('batch', 'begin', 'applier', /^begin/, READY),
  place('batch', 'stage', 'applier', /^copy pg_temp\.partitioner_stage/, { ...READY, long: true }),
  place('batch', 'rows gone', 'applier', /^with hit as \(delete/, READY),
  place('batch', 'rows changed', 'applier', /^with hit as \(update/, READY),
  place('batch', 'rows new', 'applier', /^copy "app"/, { ...READY, long: true }),
  place('batch', 'log of changes', 'applier', /^copy "partitioner"\."changed/, READY),
  place('batch', 'position', 'applier', /^update partitioner\.position/, READY),
  place('batch', 'commit', 'applier', /^commit/, { ...READY, occurrence: 2, commit: true }),
  place('batch', 'heartbeat', 'daemon', /^insert into partitioner\.daemon/, READY),
  place('batch', 'phase', 'daemon', /^update partitioner\.migration set phase/, READY),
];

/** Statements of the swap, by their order in the session: from `begin` of the way back's slot to the commit. */
const SWAP_STATEMENTS = 75;

const cutover: readonly Place[] = [
  place('cutover', 'command taken', 'commands', /^update partitioner\.command set started_at/, { ...READY, occurrence: 2 }),
  place('cutover', 'phase', 'commands', /^update partitioner\.migration set phase/, READY),
  place('fence', 'message', 'fence', /pg_logical_emit_message/, { ...READY, commit: true }),
  ...grouped(SWAP_STATEMENTS, 6, (occurrence, name) =>
    place('swap', name, 'cutover', /^(?!set|select set_config)/, { ...READY, occurrence }),
  ),
  place('swap', 'commit', 'cutover', /^commit/, { ...READY, commit: true }),
  place('cutover', 'command answered', 'commands', /^with done as/, READY),
  place('after the switch', 'slot dropped', 'daemon', /pg_drop_replication_slot/, READY),
  place('after the switch', 'publication dropped', 'daemon', /^drop publication/, READY),
];

const back: readonly Place[] = [
  place('way back', 'stream', 'walsender', /^start_replication/i, { ...READY }),
  place('way back', 'rows changed', 'applier', /retired_events" t set/, READY),
  place('way back', 'commit', 'applier', /^commit/, { ...READY, ...BACK, occurrence: 12, commit: true }),
  ...grouped(7, 7, (occurrence, name) =>
    place('rollback', `preparation, ${name}`, 'rollback', /^(?!set)/, { ...READY, ...BACK, occurrence }),
  ),
  ...[
    /retired_events" rename to "events"/,
    /drop trigger partitioner_refuse/,
    /setval/,
    /'rolled_back'/,
    /^delete from "partitioner"\."touched/,
  ].map((statement) => place('rollback', String(statement).replace(/^\/\^?|\/$|\\|"/g, ''), 'cutover', statement, { ...READY, ...BACK })),
  place('rollback', 'commit', 'cutover', /^commit/, { ...READY, ...BACK, occurrence: 2, commit: true }),
  place('rollback', 'way back removed', 'daemon', /^delete from partitioner\.migration/, { ...READY, ...BACK }),
  place('rollback', 'stream begins anew', 'walsender', /^start_replication/i, { ...READY, ...BACK, occurrence: 2 }),
];

const OWN = /^(?!set|select (set_config|to_regclass))/;

const end: readonly Place[] = [
  ...grouped(18, 6, (occurrence, name) => place('finish', name, 'finish', OWN, { ...READY, occurrence })),
  place('finish', 'commit', 'finish', /^commit/, { ...READY, commit: true }),
  ...grouped(20, 7, (occurrence, name) => place('abort', name, 'abort', OWN, { occurrence, route: 'abort' })),
  ...grouped(20, 10, (occurrence, name) =>
    place('abort', `${name} when ready`, 'abort', OWN, { ...TABLE, occurrence, route: 'abort when ready' }),
  ),
  place('abort', 'commit', 'abort', /^commit/, { route: 'abort', commit: true }),
];

export const PLACES: readonly Place[] = [...prepare, ...backfill, ...steady, ...cutover, ...back, ...end];

/** Statements by their order in the session: each of them is struck, `size` of them in one migration. */
function grouped(count: number, size: number, make: (occurrences: readonly number[], name: string) => Place): Place[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, group) => {
    const first = group * size + 1;
    const occurrences = Array.from({ length: Math.min(size, count - first + 1) }, (_, index) => first + index);
    return make(occurrences, `statements ${String(first)} to ${String(occurrences.at(-1))}`);
  });
}
