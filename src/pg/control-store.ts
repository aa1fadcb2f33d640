import { readdirSync, readFileSync } from 'node:fs';
import type { Lsn } from '../domain/lsn.ts';
import { parseLsn } from '../domain/lsn.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import { invariant } from '../errors.ts';
import type { Phase, UnitState, UnitStep } from '../migration/phase.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { PlanOptions } from '../plan/options.ts';
import { loadSql } from '../sql/load.ts';
import { inTransaction, type Client } from './client.ts';

/** A migration's row. The plan is null until prepare has ended. */
export interface Migration {
  readonly id: number;
  readonly source: { readonly schema: string; readonly name: string };
  readonly sourceOid: number;
  readonly targetName: string;
  readonly retiredName: string;
  readonly phase: Phase;
  readonly options: PlanOptions;
  readonly plan: MigrationPlan | null;
  readonly fingerprint: string;
  readonly slotName: string;
  readonly publicationName: string;
  readonly paused: boolean;
  readonly failure: { readonly code: string; readonly message: string; readonly detail?: string; readonly hint?: string } | null;
  /** What the daemon waits for; stale when none runs. */
  readonly waiting: string | null;
  readonly receipt: unknown;
}

export interface StoredUnit {
  readonly unit: number;
  state: UnitState;
  step: UnitStep;
  readonly loadOrder: number;
  readonly rowsEstimated: number;
  lastSnapshotLsn: Lsn;
}

/** How far the stream is applied. A partial LSN is the commit LSN of a transaction of which `partialChanges` changes are applied. */
export interface Position {
  readonly lsn: Lsn;
  readonly partialLsn: Lsn | null;
  readonly partialChanges: number;
}

/** Runs one of the store's statements; the only place that names them. */
export async function store(client: Client, name: StoreStatement, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<Record<string, unknown>>({ text: loadSql(name), values: [...values] });
  return rows;
}

export type StoreStatement =
  `${'store' | 'abort' | 'backfill' | 'apply' | 'command' | 'cutover' | 'recover' | 'rollback' | 'throttle' | 'verify'}/${string}`;

/** Makes the control schema; safe to repeat. Must run in a transaction. */
export async function createControlSchema(client: Client): Promise<void> {
  const folder = new URL('../../sql/control/', import.meta.url);
  for (const file of readdirSync(folder).sort()) if (file.endsWith('.sql')) await client.query(readFileSync(new URL(file, folder), 'utf8'));
}

/** Adds what a later version of the tool has brought to a control schema that is there. */
export async function completeControlSchema(client: Client): Promise<void> {
  const [row] = await store(client, 'store/has-tables');
  if (row!.there === true) return;
  await inTransaction(client, async () => {
    await client.query('select pg_advisory_xact_lock(1886545776, 0)'); // two first starts in one database
    await createControlSchema(client);
  });
}

export async function hasControlSchema(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(`select to_regclass('partitioner.migration') is not null as there`);
  return rows[0]!.there;
}

export async function fetchMigration(client: Client, source: { schema: string; name: string }): Promise<Migration | null> {
  if (!(await hasControlSchema(client))) return null;
  const [row] = await store(client, 'store/fetch-migration', [source.schema, source.name]);
  return row ? toMigration(row) : null;
}

export async function fetchMigrationById(client: Client, id: number): Promise<Migration | null> {
  if (!(await hasControlSchema(client))) return null;
  const [row] = await store(client, 'store/fetch-migration-by-id', [id]);
  return row ? toMigration(row) : null;
}

export function toMigration(row: Record<string, unknown>): Migration {
  const plan = row.plan as MigrationPlan | Record<string, never>;
  return {
    id: row.id as number,
    source: { schema: row.source_schema as string, name: row.source_name as string },
    sourceOid: Number(row.source_oid),
    targetName: row.target_name as string,
    retiredName: row.retired_name as string,
    phase: row.phase as Phase,
    options: row.options as PlanOptions,
    plan: 'source' in plan ? (plan as MigrationPlan) : null,
    fingerprint: row.fingerprint as string,
    slotName: row.slot_name as string,
    publicationName: row.publication_name as string,
    paused: row.paused as boolean,
    failure: row.failure as Migration['failure'],
    waiting: row.waiting as string | null,
    receipt: row.receipt,
  };
}

export async function fetchPosition(
  client: Client,
  id: number,
): Promise<Position & { anomalies: number; base: { snapshot: string; lsn: Lsn } | null }> {
  const [row] = await store(client, 'store/fetch-position', [id]);
  invariant(row, `migration ${id} has no applied position`);
  return {
    lsn: parseLsn(row.lsn as string),
    partialLsn: row.partial_lsn === null ? null : parseLsn(row.partial_lsn as string),
    partialChanges: Number(row.partial_changes),
    anomalies: Number(row.anomalies),
    base: row.base_snapshot === null ? null : { snapshot: row.base_snapshot as string, lsn: parseLsn(row.base_lsn as string) },
  };
}

export async function listUnits(client: Client, id: number): Promise<StoredUnit[]> {
  const rows = await store(client, 'store/list-units', [id]);
  return rows.map((row) => ({
    unit: row.unit as number,
    state: row.state as UnitState,
    step: row.step as UnitStep,
    loadOrder: row.load_order as number,
    rowsEstimated: Number(row.rows_estimated),
    lastSnapshotLsn: row.last_snapshot_lsn === null ? 0n : parseLsn(row.last_snapshot_lsn as string),
  }));
}

export async function listLeaves(client: Client, id: number): Promise<LeafRange[]> {
  const rows = await store(client, 'store/list-leaves', [id]);
  return rows.map((row) => ({
    leaf: row.leaf as number,
    unit: row.unit as number,
    name: row.name as string,
    lower: row.lower === null ? null : BigInt(row.lower as string),
    upper: row.upper === null ? null : BigInt(row.upper as string),
  }));
}

export interface ChunkRange {
  readonly chunk: number;
  readonly lower: bigint | null;
  readonly upper: bigint | null;
}

export async function listOpenChunks(client: Client, id: number, unit: number): Promise<ChunkRange[]> {
  const rows = await store(client, 'store/list-chunks', [id, unit]);
  return rows.map((row) => ({
    chunk: row.chunk as number,
    lower: row.lower === null ? null : BigInt(row.lower as string),
    upper: row.upper === null ? null : BigInt(row.upper as string),
  }));
}

/** What a snapshot says of the applied position; it is settled when it sees every applied transaction. */
export interface SettledPosition {
  readonly lsn: Lsn;
  readonly snapshot: string;
  readonly unseen: number;
  readonly unseenXids: readonly string[];
  /** Read after the snapshot: every transaction that the snapshot sees committed before it. */
  readonly walLsn: Lsn;
  /** How many slots were lost and made anew. */
  readonly slots: number;
}

/** Must be the first statement of a repeatable read transaction whose snapshot it speaks of. */
export async function readSettledPosition(client: Client, id: number): Promise<SettledPosition> {
  const [row] = await store(client, 'backfill/settled-position', [id]);
  invariant(row, `migration ${id} has no applied position`);
  return {
    lsn: parseLsn(row.lsn as string),
    snapshot: row.snapshot as string,
    unseen: row.unseen as number,
    unseenXids: (row.unseen_xids as string[] | null) ?? [],
    walLsn: parseLsn(row.wal_lsn as string),
    slots: row.slots as number,
  };
}

export async function addHistory(client: Client, id: number, event: string, detail: object = {}): Promise<void> {
  await store(client, 'store/add-history', [id, event, JSON.stringify(detail)]);
}

/** Emits a transactional marker and flushes it. */
export async function emitMessage(client: Client, content: string): Promise<Lsn> {
  const [row] = await store(client, 'apply/emit-message', [content]);
  return parseLsn(row!.lsn as string);
}

export interface SlotRow {
  readonly active: boolean;
  readonly activePid: number | null;
  readonly confirmedLsn: Lsn;
  readonly walStatus: string;
}

export async function fetchSlot(client: Client, slotName: string): Promise<SlotRow | null> {
  const [row] = await store(client, 'store/fetch-slot', [slotName]);
  if (!row || row.here !== true) return null;
  return {
    active: row.active as boolean,
    activePid: row.active_pid as number | null,
    confirmedLsn: row.confirmed_lsn === null ? 0n : parseLsn(row.confirmed_lsn as string),
    walStatus: row.wal_status as string,
  };
}
