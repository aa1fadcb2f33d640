import type { CopyBuffer } from '../domain/copy-row.ts';
import { keyFieldsOf, type KeyTuple, type NetEffect, type NetRow } from '../domain/net-effect.ts';
import { canonicalKey, type CanonicalKey } from '../domain/row-key.ts';
import { invariant } from '../errors.ts';
import { copyIn } from '../pg/copy.ts';
import { STAGED } from '../plan/apply-sql.ts';
import type { ApplierSession } from './applier-session.ts';

export interface Merged {
  /** Rows that were not there although every unit is live. */
  readonly anomalies: number;
  /** Keys whose row neither the stream nor the live leaves can give. */
  readonly repair: ReadonlyMap<CanonicalKey, KeyTuple>;
  /** Updated rows that were not in the leaf where the stream has them now, or that were taken out and put back. */
  readonly moved: ReadonlySet<NetRow>;
}

/** Merges a net effect into the live leaves, inside the session's transaction. */
export type Merge = (
  session: ApplierSession,
  net: NetEffect,
  isLive: (partitionValue: bigint) => boolean,
  allLive: boolean,
) => Promise<Merged>;

interface Staged {
  readonly row: NetRow;
  readonly mask: string;
}

interface Stage {
  readonly buffer: CopyBuffer;
  readonly rows: Staged[];
  /** Seqs of the updates, by unsent columns. */
  readonly updates: Map<string, number[]>;
  readonly gone: CopyBuffer;
  deletes: number;
  readonly inserts: NetRow[];
}

/** Sorts a net effect into what is deleted, updated and inserted in the live leaves. */
function stageNet(session: ApplierSession, net: NetEffect, isLive: (value: bigint) => boolean): Stage {
  const { stage: buffer, gone } = session.buffers;
  buffer.clear();
  gone.clear();
  const stage: Stage = { buffer, rows: [], updates: new Map(), gone, deletes: 0, inserts: [] };
  for (const holder of net.gone.values()) stageGone(session, stage, holder);
  for (const row of net.rows.values()) {
    const live = isLive(row.partitionValue);
    if (row.pre === null) {
      if (live) stage.inserts.push(row);
    } else if (live) stageRow(session, stage, STAGED.update, row);
    else stageGone(session, stage, row.pre); // it moves, or moved before, into a unit that loads
  }
  return stage;
}

function stageGone({ layout }: ApplierSession, stage: Stage, holder: KeyTuple): void {
  const { gone } = stage;
  gone.beginRow(1 + layout!.keyPositions.length);
  gone.appendInt32Field(stage.deletes++);
  gone.appendSent(holder, layout!.keyPositions);
}

const masks = new Map<string, Buffer>();

function maskField(mask: string): Buffer {
  let field = masks.get(mask);
  if (!field) masks.set(mask, (field = Buffer.from(mask)));
  return field;
}

function stageRow({ layout }: ApplierSession, stage: Stage, kind: number, row: NetRow): void {
  const { buffer } = stage;
  const { positions, keyPositions } = layout!;
  const mask = row.unchanged;
  const seq = stage.rows.length;
  stage.rows.push({ row, mask });
  if (kind === STAGED.update) {
    const seqs = stage.updates.get(mask);
    if (seqs) seqs.push(seq);
    else stage.updates.set(mask, [seq]);
  }
  buffer.beginRow(3 + keyPositions.length + positions.length);
  buffer.appendInt32Field(kind);
  buffer.appendField(maskField(mask));
  buffer.appendInt32Field(seq);
  buffer.appendSent(row.pre ?? row.tuple, keyPositions);
  buffer.appendSent(row.tuple, positions);
}

/**
 * The common way: deletes, updates, inserts as they are. May fail with 23505 although the end state is legal. Where rows exchange keys and may be in any
 * leaf the other way is taken.
 */
export const mergeDirect: Merge = async (session, net, isLive, allLive) => {
  const { client, sql, plan } = session;
  const identityPrunes = plan.key.includes(plan.partitionKey.column);
  if (!identityPrunes && net.reusesKeys()) return mergeTakingOut(session, net, isLive, allLive);
  const stage = stageNet(session, net, isLive);
  const copiesAsIs = plan.columns.every(({ wire }) => wire === 'binary');
  const inserted = copiesAsIs ? [] : stageInserts(session, stage);
  if (stage.rows.length > 0) await copyIn(client, sql.copyStage, stage.buffer.take());
  const lost = new Lost(session, stage, allLive);
  await deleteGone(session, stage, lost);
  for (const [mask, seqs] of stage.updates) {
    let missing = await missed(session, `update ${mask}`, sql.updateExact(mask), seqs);
    lost.movedAre(missing);
    if (missing.length > 0 && !identityPrunes) {
      missing = await missed(session, `update anywhere ${mask}`, sql.updateAnywhere(mask), missing, true);
    }
    await lost.updates(missing);
  }
  if (copiesAsIs) await copyTuples(session, stage.inserts);
  else if (inserted.length > 0) await client.query(sql.insertStaged, [inserted]);
  return lost;
};

/** Copies new rows straight into the live leaves. */
export async function copyTuples(
  { client, sql, layout, buffers }: ApplierSession,
  rows: readonly { readonly tuple: Buffer }[],
): Promise<void> {
  if (rows.length === 0) return;
  const buffer = buffers.rows;
  buffer.clear();
  for (const { tuple } of rows) buffer.appendTuple(tuple, layout!.positions);
  const copied = await copyIn(client, sql.copyTarget, buffer.take());
  invariant(copied === rows.length, 'an insert of the change stream was not written', `${copied} of ${rows.length}`);
}

/** The same end state with every row of the batch taken out first and put back as it ends: no order can trip over a unique index. */
export const mergeTakingOut: Merge = async (session, net, isLive, allLive) => {
  const { client, sql } = session;
  const stage = stageNet(session, net, isLive);
  const inserted = stageInserts(session, stage);
  await client.query('set local enable_hashjoin = on'); // the rows taken out are joined to their stage
  if (stage.rows.length > 0) await copyIn(client, sql.copyStage, stage.buffer.take());
  const lost = new Lost(session, stage, allLive);
  await deleteGone(session, stage, lost);
  const { rows } = await client.query<{ seqs: number[] | null }>(sql.takeOut);
  const hit = new Set(rows[0]!.seqs ?? []);
  for (const [mask, seqs] of stage.updates) {
    await client.query(sql.putBack(mask));
    lost.movedAre(seqs);
    await lost.updates(seqs.filter((seq) => !hit.has(seq)));
  }
  if (inserted.length > 0) await client.query(sql.insertStaged, [inserted]);
  return lost;
};

function stageInserts(session: ApplierSession, stage: Stage): number[] {
  return stage.inserts.map((row) => {
    stageRow(session, stage, STAGED.insert, row);
    return stage.rows.length - 1;
  });
}

async function deleteGone(session: ApplierSession, stage: Stage, lost: Lost): Promise<void> {
  if (stage.deletes === 0) return;
  await copyIn(session.client, session.sql.copyGone, stage.gone.take());
  const { hits } = await runCounted(session, 'delete', session.sql.deleteByKey, stage.deletes);
  lost.anomaly(stage.deletes - hits);
}

/** What the live leaves did not hold: a defect once every unit is live, else it comes out of a unit that is not. */
class Lost implements Merged {
  anomalies = 0;
  readonly repair = new Map<CanonicalKey, KeyTuple>();
  readonly moved = new Set<NetRow>();
  readonly #session: ApplierSession;
  readonly #stage: Stage;
  readonly #allLive: boolean;

  constructor(session: ApplierSession, stage: Stage, allLive: boolean) {
    this.#session = session;
    this.#stage = stage;
    this.#allLive = allLive;
  }

  anomaly(count: number): void {
    invariant(count >= 0, 'a change hit more rows than it has', 'a key stands twice in the target');
    if (this.#allLive) this.anomalies += count;
  }

  movedAre(seqs: readonly number[]): void {
    for (const seq of seqs) this.moved.add(this.#stage.rows[seq]!.row);
  }

  async updates(missing: readonly number[]): Promise<void> {
    if (missing.length === 0) return;
    if (this.#allLive) return this.anomaly(missing.length);
    const { client, sql, layout, keyCanons } = this.#session;
    const whole: number[] = [];
    for (const seq of missing) {
      const { row, mask } = this.#stage.rows[seq]!;
      if (mask === '') whole.push(seq);
      else
        for (const holder of [row.pre!, row.tuple, ...row.passed])
          this.repair.set(canonicalKey(keyFieldsOf(holder, layout!), keyCanons), holder);
    }
    if (whole.length > 0) await client.query(sql.insertStaged, [whole]);
  }
}

interface Counted {
  readonly hits: number;
  readonly seqs: number[] | null;
}

/** Prepared once a session: planning an update of a partitioned table costs more than a small batch. */
async function runCounted(
  session: ApplierSession,
  name: string,
  text: string,
  expected: number,
  seqs?: readonly number[],
): Promise<Counted> {
  const { rows } = await session.client.query<Counted>({
    name: `partitioner ${name}`,
    text,
    values: seqs ? [expected, [...seqs]] : [expected],
  });
  return rows[0]!;
}

async function missed(session: ApplierSession, name: string, text: string, seqs: readonly number[], bySeq = false): Promise<number[]> {
  const { hits, seqs: hit } = await runCounted(session, name, text, seqs.length, bySeq ? seqs : undefined);
  invariant(
    hits <= seqs.length,
    'an update hit more rows than it has',
    `${hits} instead of ${seqs.length}: a key stands twice in the target`,
  );
  if (hits === seqs.length) return [];
  const found = new Set(hit ?? []);
  return seqs.filter((seq) => !found.has(seq));
}

/** Rule 1: records the keys of changes in every unit that loads. */
export async function touchKeys(
  session: ApplierSession,
  keys: ReadonlyMap<CanonicalKey, KeyTuple>,
  units: readonly number[],
): Promise<void> {
  await stageKeys(session, keys);
  await session.client.query(session.resync.touchKeys, [units]);
  await session.client.query('delete from pg_temp.partitioner_keys');
}

export async function addRepairKeys(session: ApplierSession, keys: ReadonlyMap<CanonicalKey, KeyTuple>): Promise<void> {
  await stageKeys(session, keys);
  await session.client.query(session.resync.addRepair);
  await session.client.query('delete from pg_temp.partitioner_keys');
}

async function stageKeys(session: ApplierSession, keys: ReadonlyMap<CanonicalKey, KeyTuple>): Promise<void> {
  const { keyPositions } = session.layout!;
  const buffer = session.buffers.rows;
  buffer.clear();
  for (const holder of keys.values()) {
    buffer.beginRow(keyPositions.length);
    buffer.appendSent(holder, keyPositions);
  }
  await copyIn(session.client, session.sql.copyKeys, buffer.take());
}
