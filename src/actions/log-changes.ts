import type { CopyBuffer } from '../domain/copy-row.ts';
import type { KeyTuple, NetEffect, NetRow } from '../domain/net-effect.ts';
import { copyIn } from '../pg/copy.ts';
import type { ApplierSession } from './applier-session.ts';

const FALSE = Buffer.from([0]);
const TRUE = Buffer.from([1]);

/**
 * The keys that one batch changes in the live leaves, for the verification: logged in the batch's transaction with where their rows are now,
 * and compared later. `anywhere` says that a row has left a leaf and nobody knows which: then every leaf is asked whether it stayed behind.
 * Rows that are deleted are logged by the statement that deletes them: it knows where they were.
 */
export class ChangeLog {
  readonly #session: ApplierSession;
  readonly #buffer: CopyBuffer;
  #rows = 0;

  constructor(session: ApplierSession) {
    this.#session = session;
    this.#buffer = session.buffers.log;
    this.#buffer.clear();
  }

  inserts(rows: readonly { readonly tuple: KeyTuple }[]): void {
    for (const { tuple } of rows) this.#add(tuple, false, true);
  }

  /** @param moved rows that were not where the stream said. */
  net(net: NetEffect, moved: ReadonlySet<NetRow>): void {
    for (const holder of net.vanished.values()) this.#add(holder, false, false);
    for (const row of net.rows.values()) {
      const isSettled = row.pre === null || (row.passed.length === 0 && !moved.has(row));
      this.#add(row.tuple, !isSettled, true);
      for (const holder of row.passed) this.#add(holder, true, false);
    }
  }

  async write(): Promise<void> {
    if (this.#rows > 0) await copyIn(this.#session.client, this.#session.verify.copyChanged, this.#buffer.take());
  }

  /** @param isRow whether the tuple is the whole row, and not an old key alone. */
  #add(holder: KeyTuple, anywhere: boolean, isRow: boolean): void {
    const { keyPositions, partitionPosition } = this.#session.layout!;
    this.#buffer.beginRow(2 + keyPositions.length);
    this.#buffer.appendField(anywhere ? TRUE : FALSE);
    if (isRow) this.#buffer.appendSent(holder, [partitionPosition]);
    else this.#buffer.appendNull();
    this.#buffer.appendSent(holder, keyPositions);
    this.#rows++;
  }
}
