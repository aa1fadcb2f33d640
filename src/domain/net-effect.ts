import { invariant, MigratorError } from '../errors.ts';
import { decodeKey, type KeyKind } from './partition-key.ts';
import { canonicalField, joined, type CanonicalKey, type KeyCanon, type KeyFields } from './row-key.ts';
import { mergeTuples, TupleFields } from './tuple.ts';
import type { WireFormat } from './table.ts';

/** Where the plan's columns stand in the stream's tuples. */
export interface RowLayout {
  /** Tuple position of each copied column, in the plan's order. */
  readonly positions: readonly number[];
  /** Tuple positions of the key columns. */
  readonly keyPositions: readonly number[];
  readonly keyCanons: readonly KeyCanon[];
  readonly partitionPosition: number;
  readonly partitionKind: KeyKind;
  readonly partitionWire: WireFormat;
}

/** What a batch needs to know of the keys that are settled outside the stream. */
export interface KeyRules {
  /** The live leaves hold the key as a snapshot saw it that sees this transaction: not applied again. */
  isFenced(key: CanonicalKey, xid: bigint): boolean;
  /** The key's row is going to be read again from the source. */
  isInRepair(key: CanonicalKey): boolean;
}

/** A tuple that holds a key at the layout's key positions: the old key, the old row or the new row. */
export type KeyTuple = Buffer;

/** A row as the batch leaves it. */
export interface NetRow {
  /** Holds the key that the row had before the batch; null when the batch inserted it. */
  readonly pre: KeyTuple | null;
  /** The row, and its key. */
  readonly tuple: Buffer;
  /** Plan columns whose TOASTed value was not sent, comma-separated; '' when all are known. */
  readonly unchanged: string;
  readonly partitionValue: bigint;
  /** Keys that the row had within the batch: all of them go into the repair set when the row cannot be rebuilt. */
  readonly passed: readonly KeyTuple[];
}

const NONE: readonly KeyTuple[] = [];

/**
 * Reduces an ordered run of changes to what they leave per row: rows gone, rows changed, rows new.
 * Executed in the order deletes, updates, inserts, which is legal because a key is freed before it is taken again.
 */
export class NetEffect {
  /** Every old and new key that a change has hit, when they are asked for. */
  readonly touched = new Map<CanonicalKey, KeyTuple>();
  readonly gone = new Map<CanonicalKey, KeyTuple>();
  readonly rows = new Map<CanonicalKey, NetRow>();
  /** Keys of rows that came and went within the batch: nothing becomes of them, but the source may have shown them in between. */
  readonly vanished = new Map<CanonicalKey, KeyTuple>();
  /** Keys that the changes add to the repair set. */
  readonly repair = new Map<CanonicalKey, KeyTuple>();
  /** Changes that contradict the batch's own history. */
  anomalies = 0;
  inserted = 0;
  updated = 0;
  deleted = 0;

  readonly #layout: RowLayout;
  readonly #rules: KeyRules;
  readonly #keepsTouched: boolean;
  readonly #fields = new TupleFields();
  /** Keys that rows of the batch have left, and nobody has taken since. */
  readonly #vacated = new Set<CanonicalKey>();
  #rekeys = false;

  /** @param keepsTouched whether a unit loads: only then somebody asks which keys were touched. */
  constructor(layout: RowLayout, rules: KeyRules, keepsTouched: boolean) {
    this.#layout = layout;
    this.#rules = rules;
    this.#keepsTouched = keepsTouched;
  }

  /** Whether a row ends with the key that another one has left: who looks for the old key after the first is written would find the wrong row. */
  reusesKeys(): boolean {
    if (!this.#rekeys) return false;
    for (const [key, { pre }] of this.rows) {
      if (!pre) continue;
      const left = this.#key(pre);
      if (left !== key && this.rows.get(left)?.pre) return true;
    }
    return false;
  }

  insert(tuple: Buffer, xid: bigint): void {
    this.inserted++;
    const key = this.#key(tuple);
    if (this.#keepsTouched) this.touched.set(key, tuple);
    if (this.#isInRepair(key)) return void this.repair.set(key, tuple);
    if (this.#rules.isFenced(key, xid)) return;
    if (this.rows.has(key)) this.anomalies++;
    this.#put(key, null, tuple, NONE);
  }

  /**
   * @param old the old key or row, null when the key did not change and the identity is not full.
   * @param sent the new row. A key that is stored out of line and did not change is not sent with it: then the old key is.
   */
  update(old: Buffer | null, sent: Buffer, xid: bigint): void {
    this.updated++;
    const tuple = old !== null && this.#lacksKey(sent) ? mergeTuples(sent, old, this.#layout.keyPositions) : sent;
    const oldTuple = old ?? tuple;
    const oldKey = this.#key(oldTuple);
    const key = old === null ? oldKey : this.#key(tuple);
    if (key !== oldKey) this.#rekeys = true;
    if (this.#keepsTouched) this.touched.set(oldKey, oldTuple).set(key, tuple);
    if (this.#isInRepair(key) || (oldKey !== key && this.#isInRepair(oldKey))) {
      this.repair.set(oldKey, oldTuple).set(key, tuple);
      return;
    }
    const oldFenced = this.#rules.isFenced(oldKey, xid);
    const newFenced = oldKey === key ? oldFenced : this.#rules.isFenced(key, xid);
    if (oldFenced && newFenced) return;
    if (newFenced) return this.#takeOut(oldKey, oldTuple);
    if (oldFenced) {
      // The old row is settled elsewhere; the new one has to come out of this change alone.
      if (this.#fields.read(tuple).hasUnchanged) this.repair.set(key, tuple).set(oldKey, oldTuple);
      else this.#put(key, null, tuple, NONE);
      return;
    }
    const row = this.rows.get(oldKey);
    if (row) {
      if (oldKey !== key) {
        this.rows.delete(oldKey);
        this.#vacated.add(oldKey);
        if (this.rows.has(key)) this.anomalies++;
      }
      this.#put(key, row.pre, mergeTuples(tuple, row.tuple), oldKey === key ? row.passed : [...row.passed, oldTuple]);
      return;
    }
    if (this.#isVacant(oldKey)) this.anomalies++;
    if (oldKey !== key) {
      this.#vacated.add(oldKey);
      if (this.rows.has(key)) this.anomalies++;
    }
    this.#put(key, oldTuple, tuple, oldKey === key ? NONE : [oldTuple]);
  }

  delete(old: Buffer, xid: bigint): void {
    this.deleted++;
    const key = this.#key(old);
    if (this.#keepsTouched) this.touched.set(key, old);
    if (this.#isInRepair(key)) return void this.repair.set(key, old);
    if (this.#rules.isFenced(key, xid)) return;
    this.#takeOut(key, old);
  }

  #takeOut(key: CanonicalKey, holder: KeyTuple): void {
    const row = this.rows.get(key);
    if (row) {
      this.rows.delete(key);
      this.#vacated.add(key);
      this.vanished.set(key, holder);
      for (const passed of row.passed) this.vanished.set(this.#key(passed), passed);
      if (row.pre) this.gone.set(this.#key(row.pre), row.pre);
      return;
    }
    if (this.#isVacant(key)) this.anomalies++;
    this.gone.set(key, holder);
  }

  #put(key: CanonicalKey, pre: KeyTuple | null, tuple: Buffer, passed: readonly KeyTuple[]): void {
    if (this.#vacated.size > 0) this.#vacated.delete(key);
    const fields = this.#fields.read(tuple);
    const unchanged = fields.hasUnchanged ? this.#unchanged(fields) : '';
    this.rows.set(key, { pre, tuple, unchanged, partitionValue: partitionValueOf(this.#layout, fields, tuple), passed });
  }

  #isVacant(key: CanonicalKey): boolean {
    return this.#vacated.has(key) || this.gone.has(key);
  }

  #isInRepair(key: CanonicalKey): boolean {
    return this.#rules.isInRepair(key) || this.repair.has(key);
  }

  #lacksKey(tuple: Buffer): boolean {
    const fields = this.#fields.read(tuple);
    return fields.hasUnchanged && this.#layout.keyPositions.some((position) => fields.isUnchanged(position));
  }

  #key(tuple: Buffer): CanonicalKey {
    const { keyPositions, keyCanons } = this.#layout;
    const fields = this.#fields.read(tuple);
    if (keyPositions.length === 1) return canonicalAt(fields, tuple, keyPositions[0]!, keyCanons[0]!);
    let key: CanonicalKey = '';
    for (let k = 0; k < keyPositions.length; k++) key = joined(key, canonicalAt(fields, tuple, keyPositions[k]!, keyCanons[k]!));
    return key;
  }

  #unchanged(fields: TupleFields): string {
    const columns: number[] = [];
    this.#layout.positions.forEach((position, column) => {
      if (fields.isUnchanged(position)) columns.push(column);
    });
    return columns.join(',');
  }
}

function canonicalAt(fields: TupleFields, tuple: Buffer, position: number, canon: KeyCanon): CanonicalKey {
  invariant(fields.hasValue(position), 'a key column of the change stream has no value');
  return canonicalField(tuple, fields.start(position), fields.end(position), canon);
}

/** The partition key of a tuple, of which `fields` is a reading. Throws ROW_REFUSED when it is NULL. */
export function partitionValueOf(
  { partitionPosition, partitionKind, partitionWire }: RowLayout,
  fields: TupleFields,
  tuple: Buffer,
): bigint {
  if (fields.isNull(partitionPosition)) {
    throw new MigratorError(
      'ROW_REFUSED',
      'the application wrote a row whose partition key is NULL, and a partitioned table cannot hold it',
      {
        hint: 'give the row a value and set the column NOT NULL, then abort and start again',
      },
    );
  }
  invariant(!fields.isUnchanged(partitionPosition), 'the partition key came as an unchanged TOAST value');
  const start = fields.start(partitionPosition);
  const end = fields.end(partitionPosition);
  // Every binary key of eight bytes is a big-endian int64.
  if (partitionWire === 'binary' && end - start === 8) return tuple.readBigInt64BE(start);
  return decodeKey(partitionKind, tuple.subarray(start, end), partitionWire);
}

/** The key's fields out of a tuple that holds it. */
export function keyFieldsOf(holder: KeyTuple, { keyPositions }: RowLayout): KeyFields {
  const fields = new TupleFields().read(holder);
  return keyPositions.map((position) => fields.bytes(position));
}
