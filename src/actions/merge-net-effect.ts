import { CopyBuffer } from '../domain/copy-row.ts';
import type { NetEffect, NetRow } from '../domain/net-effect.ts';
import { canonicalKey, type KeyFields } from '../domain/row-key.ts';
import { TupleFields } from '../domain/tuple.ts';
import { invariant } from '../errors.ts';
import { copyIn } from '../pg/copy.ts';
import { STAGED } from '../plan/apply-sql.ts';
import type { ApplierSession } from './applier-session.ts';

export interface Merged {
  /** Rows that were not there although every unit is live. */
  readonly anomalies: number;
  /** Keys whose row neither the stream nor the live leaves can give. */
  readonly repair: ReadonlyMap<string, KeyFields>;
}

/** Merges a net effect into the live leaves, inside the session's transaction. */
export type Merge = (
  session: ApplierSession,
  net: NetEffect,
  isLive: (partitionValue: bigint) => boolean,
  allLive: boolean,
) => Promise<Merged>;

interface Staged {
  readonly row: NetRow | null;
  readonly mask: string;
}

interface Stage {
  readonly buffer: CopyBuffer;
  readonly rows: Staged[];
  /** Seqs of the updates, by unsent columns. */
  readonly updates: Map<string, number[]>;
  deletes: number;
  readonly inserts: NetRow[];
}

/** Sorts a net effect into what is deleted, updated and inserted in the live leaves. */
function stageNet(session: ApplierSession, net: NetEffect, isLive: (value: bigint) => boolean): Stage {
  const stage: Stage = { buffer: new CopyBuffer(), rows: [], updates: new Map(), deletes: 0, inserts: [] };
  for (const fields of net.gone.values()) stageRow(session, stage, STAGED.delete, fields, null, '');
  for (const row of net.rows.values()) {
    const live = isLive(row.partitionValue);
    if (row.pre === null) {
      if (live) stage.inserts.push(row);
    } else if (live) stageRow(session, stage, STAGED.update, row.pre, row, row.unchanged);
    else stageRow(session, stage, STAGED.delete, row.pre, null, ''); // it moves, or moved before, into a unit that loads
  }
  return stage;
}

function stageRow(session: ApplierSession, stage: Stage, kind: number, pre: KeyFields | null, row: NetRow | null, mask: string): void {
  const { plan, layout } = session;
  const { buffer } = stage;
  const seq = stage.rows.length;
  stage.rows.push({ row, mask });
  if (kind === STAGED.update) {
    const seqs = stage.updates.get(mask);
    if (seqs) seqs.push(seq);
    else stage.updates.set(mask, [seq]);
  } else if (kind === STAGED.delete) stage.deletes++;
  buffer.beginRow(3 + plan.key.length + plan.columns.length);
  buffer.appendInt32Field(kind);
  buffer.appendField(Buffer.from(mask));
  buffer.appendInt32Field(seq);
  for (let k = 0; k < plan.key.length; k++) {
    if (pre) buffer.appendField(pre[k]!);
    else buffer.appendNull();
  }
  if (row) appendTuple(buffer, row.tuple, layout!.positions);
  else for (let i = 0; i < plan.columns.length; i++) buffer.appendNull();
}

const fields = new TupleFields();

function appendTuple(buffer: CopyBuffer, tuple: Buffer, positions: readonly number[]): void {
  fields.read(tuple);
  for (const position of positions) {
    if (fields.isNull(position) || fields.isUnchanged(position)) buffer.appendNull();
    else buffer.appendSlice(tuple, fields.start(position), fields.end(position));
  }
}

/** The common way: deletes, updates, inserts as they are. May fail with 23505 although the end state is legal. */
export const mergeDirect: Merge = async (session, net, isLive, allLive) => {
  const { client, sql, layout, plan } = session;
  const stage = stageNet(session, net, isLive);
  const copiesAsIs = plan.columns.every(({ wire }) => wire === 'binary');
  const inserted = copiesAsIs ? [] : stageInserts(session, stage);
  if (stage.rows.length > 0) await copyIn(client, sql.copyStage, stage.buffer.take());
  const lost = new Lost(session, stage, allLive);
  if (stage.deletes > 0) lost.anomaly(stage.deletes - (await runCounted(session, 'delete', sql.deleteByKey, stage.deletes)).hits);
  for (const [mask, seqs] of stage.updates) {
    let missing = await missed(session, `update ${mask}`, sql.updateExact(mask), seqs);
    if (missing.length > 0 && !plan.key.includes(plan.partitionKey.column)) {
      missing = await missed(session, `update anywhere ${mask}`, sql.updateAnywhere(mask), missing, true);
    }
    await lost.updates(missing);
  }
  if (copiesAsIs && stage.inserts.length > 0) {
    const buffer = new CopyBuffer();
    for (const { tuple } of stage.inserts) buffer.appendTuple(tuple, layout!.positions);
    const rows = await copyIn(client, sql.copyTarget, buffer.take());
    invariant(rows === stage.inserts.length, 'an insert of the change stream was not written', `${rows} of ${stage.inserts.length}`);
  } else if (inserted.length > 0) await client.query(sql.insertStaged, [inserted]);
  return lost;
};

/** The same end state with every row of the batch taken out first and put back as it ends: no order can trip over a unique index. */
export const mergeTakingOut: Merge = async (session, net, isLive, allLive) => {
  const { client, sql } = session;
  const stage = stageNet(session, net, isLive);
  const inserted = stageInserts(session, stage);
  if (stage.rows.length === 0) return { anomalies: 0, repair: new Map() };
  await client.query('set local enable_hashjoin = on'); // the rows taken out are joined to their stage
  await copyIn(client, sql.copyStage, stage.buffer.take());
  const { rows } = await client.query<{ seqs: number[] | null }>(sql.takeOut);
  const hit = new Set(rows[0]!.seqs ?? []);
  const lost = new Lost(session, stage, allLive);
  let deleted = 0;
  for (const seq of hit) if (stage.rows[seq]!.row === null) deleted++;
  lost.anomaly(stage.deletes - deleted);
  for (const [mask, seqs] of stage.updates) {
    await client.query(sql.putBack(mask));
    await lost.updates(seqs.filter((seq) => !hit.has(seq)));
  }
  if (inserted.length > 0) await client.query(sql.insertStaged, [inserted]);
  return lost;
};

function stageInserts(session: ApplierSession, stage: Stage): number[] {
  return stage.inserts.map((row) => {
    stageRow(session, stage, STAGED.insert, null, row, '');
    return stage.rows.length - 1;
  });
}

/** What the live leaves did not hold: a defect once every unit is live, else it comes out of a unit that is not. */
class Lost implements Merged {
  anomalies = 0;
  readonly repair = new Map<string, KeyFields>();
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

  async updates(missing: readonly number[]): Promise<void> {
    if (missing.length === 0) return;
    if (this.#allLive) return this.anomaly(missing.length);
    const whole: number[] = [];
    for (const seq of missing) {
      const { row, mask } = this.#stage.rows[seq]!;
      if (mask === '') whole.push(seq);
      else for (const key of [row!.pre!, row!.key, ...row!.passed]) this.repair.set(canonicalKey(key, this.#session.keyCanons), key);
    }
    if (whole.length > 0) await this.#session.client.query(this.#session.sql.insertStaged, [whole]);
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
export async function touchKeys(session: ApplierSession, keys: ReadonlyMap<string, KeyFields>, units: readonly number[]): Promise<void> {
  await stageKeys(session, keys);
  await session.client.query(session.resync.touchKeys, [units]);
  await session.client.query('delete from pg_temp.partitioner_keys');
}

export async function addRepairKeys(session: ApplierSession, keys: ReadonlyMap<string, KeyFields>): Promise<void> {
  await stageKeys(session, keys);
  await session.client.query(session.resync.addRepair);
  await session.client.query('delete from pg_temp.partitioner_keys');
}

async function stageKeys(session: ApplierSession, keys: ReadonlyMap<string, KeyFields>): Promise<void> {
  const buffer = new CopyBuffer();
  for (const key of keys.values()) {
    buffer.beginRow(key.length);
    for (const field of key) buffer.appendField(field);
  }
  await copyIn(session.client, session.sql.copyKeys, buffer.take());
}
