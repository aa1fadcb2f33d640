import { invariant, MigratorError } from '../errors.ts';
import { decodeKey, type KeyKind } from './partition-key.ts';
import { canonicalKey, type KeyCanon, type KeyFields } from './row-key.ts';
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
  isFenced(key: string, xid: bigint): boolean;
  /** The key's row is going to be read again from the source. */
  isInRepair(key: string): boolean;
}

/** A row as the batch leaves it. */
export interface NetRow {
  /** The key that the row had before the batch; null when the batch inserted it. */
  readonly pre: KeyFields | null;
  readonly key: KeyFields;
  readonly tuple: Buffer;
  /** Plan columns whose TOASTed value was not sent, comma-separated; '' when all are known. */
  readonly unchanged: string;
  readonly partitionValue: bigint;
  /** Keys that the row had within the batch: all of them go into the repair set when the row cannot be rebuilt. */
  readonly passed: readonly KeyFields[];
}

/**
 * Reduces an ordered run of changes to what they leave per row: rows gone, rows changed, rows new.
 * Executed in the order deletes, updates, inserts, which is legal because a key is freed before it is taken again.
 */
export class NetEffect {
  /** Every old and new key that a change has hit. */
  readonly touched = new Map<string, KeyFields>();
  readonly gone = new Map<string, KeyFields>();
  readonly rows = new Map<string, NetRow>();
  /** Keys that the changes add to the repair set. */
  readonly repair = new Map<string, KeyFields>();
  /** Changes that contradict the batch's own history. */
  anomalies = 0;
  inserted = 0;
  updated = 0;
  deleted = 0;

  readonly #layout: RowLayout;
  readonly #rules: KeyRules;
  readonly #fields = new TupleFields();
  readonly #vacated = new Set<string>();

  constructor(layout: RowLayout, rules: KeyRules) {
    this.#layout = layout;
    this.#rules = rules;
  }

  insert(tuple: Buffer, xid: bigint): void {
    this.inserted++;
    const fields = this.#key(tuple);
    const key = this.#canonical(fields);
    this.touched.set(key, fields);
    if (this.#deferToRepair([[key, fields]])) return;
    if (this.#rules.isFenced(key, xid)) return;
    this.#put(key, { pre: null, key: fields, tuple, passed: [] });
  }

  /** @param old the old key or row, null when the key did not change and the identity is not full. */
  update(old: Buffer | null, tuple: Buffer, xid: bigint): void {
    this.updated++;
    const fields = this.#key(tuple);
    const key = this.#canonical(fields);
    const oldFields = old === null ? fields : this.#key(old);
    const oldKey = old === null ? key : this.#canonical(oldFields);
    this.touched.set(oldKey, oldFields).set(key, fields);
    if (
      this.#deferToRepair([
        [oldKey, oldFields],
        [key, fields],
      ])
    )
      return;
    const oldFenced = this.#rules.isFenced(oldKey, xid);
    const newFenced = oldKey === key ? oldFenced : this.#rules.isFenced(key, xid);
    if (oldFenced && newFenced) return;
    if (newFenced) return this.#takeOut(oldKey, oldFields);
    if (oldFenced) {
      // The old row is settled elsewhere; the new one has to come out of this change alone.
      if (this.#unchanged(tuple) === '') this.#put(key, { pre: null, key: fields, tuple, passed: [] });
      else this.repair.set(key, fields).set(oldKey, oldFields);
      return;
    }
    const row = this.rows.get(oldKey);
    if (row) {
      this.rows.delete(oldKey);
      if (oldKey !== key) this.#vacated.add(oldKey);
      this.#put(key, { pre: row.pre, key: fields, tuple: mergeTuples(tuple, row.tuple), passed: oldKey === key ? row.passed : [...row.passed, oldFields] });
      return;
    }
    if (this.#isVacant(oldKey)) this.anomalies++;
    if (oldKey !== key) this.#vacated.add(oldKey);
    this.#put(key, { pre: oldFields, key: fields, tuple, passed: oldKey === key ? [] : [oldFields] });
  }

  delete(old: Buffer, xid: bigint): void {
    this.deleted++;
    const fields = this.#key(old);
    const key = this.#canonical(fields);
    this.touched.set(key, fields);
    if (this.#deferToRepair([[key, fields]])) return;
    if (this.#rules.isFenced(key, xid)) return;
    this.#takeOut(key, fields);
  }

  #takeOut(key: string, fields: KeyFields): void {
    const row = this.rows.get(key);
    if (row) {
      this.rows.delete(key);
      this.#vacated.add(key);
      if (row.pre) this.gone.set(this.#canonical(row.pre), row.pre);
      return;
    }
    if (this.#isVacant(key)) this.anomalies++;
    this.gone.set(key, fields);
  }

  #put(key: string, row: Omit<NetRow, 'unchanged' | 'partitionValue'>): void {
    if (this.rows.has(key)) this.anomalies++;
    this.#vacated.delete(key);
    this.rows.set(key, { ...row, unchanged: this.#unchanged(row.tuple), partitionValue: this.#partitionValue(row.tuple) });
  }

  #isVacant(key: string): boolean {
    return this.#vacated.has(key) || this.gone.has(key);
  }

  #deferToRepair(keys: readonly (readonly [string, KeyFields])[]): boolean {
    if (!keys.some(([key]) => this.#rules.isInRepair(key) || this.repair.has(key))) return false;
    for (const [key, fields] of keys) this.repair.set(key, fields);
    return true;
  }

  #key(tuple: Buffer): KeyFields {
    this.#fields.read(tuple);
    return this.#layout.keyPositions.map((position) => this.#fields.bytes(position));
  }

  #canonical(fields: KeyFields): string {
    return canonicalKey(fields, this.#layout.keyCanons);
  }

  #unchanged(tuple: Buffer): string {
    const fields = this.#fields.read(tuple);
    if (!fields.hasUnchanged) return '';
    const columns: number[] = [];
    this.#layout.positions.forEach((position, column) => {
      if (fields.isUnchanged(position)) columns.push(column);
    });
    return columns.join(',');
  }

  #partitionValue(tuple: Buffer): bigint {
    const { partitionPosition, partitionKind, partitionWire } = this.#layout;
    const fields = this.#fields.read(tuple);
    if (fields.isNull(partitionPosition)) {
      throw new MigratorError('ROW_REFUSED', 'the application wrote a row whose partition key is NULL, and a partitioned table cannot hold it', {
        hint: 'give the row a value and set the column NOT NULL, then abort and start again',
      });
    }
    invariant(!fields.isUnchanged(partitionPosition), 'the partition key came as an unchanged TOAST value');
    return decodeKey(partitionKind, fields.bytes(partitionPosition), partitionWire);
  }
}
