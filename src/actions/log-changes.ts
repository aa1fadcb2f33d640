import type { CopyBuffer } from '../domain/copy-row.ts';
import type { KeyTuple, NetEffect, NetRow } from '../domain/net-effect.ts';
import { copyIn } from '../pg/copy.ts';
import type { ApplierSession } from './applier-session.ts';

const FALSE = Buffer.from([0]);
const TRUE = Buffer.from([1]);

/**
 * The keys that one batch changes in the live leaves, for the verification: logged in the batch's transaction, compared later. `anywhere`
 * says that a row has left a leaf, or may have: then every leaf is asked whether it stayed behind.
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
    for (const { tuple } of rows) this.#add(tuple, false);
  }

  /** @param moved rows that were not where the stream said. */
  net(net: NetEffect, moved: ReadonlySet<NetRow>): void {
    for (const holder of net.gone.values()) this.#add(holder, true);
    for (const row of net.rows.values()) {
      const isSettled = row.pre === null || (row.passed.length === 0 && !moved.has(row));
      this.#add(row.tuple, !isSettled);
      for (const holder of row.passed) this.#add(holder, true);
    }
  }

  async write(): Promise<void> {
    if (this.#rows > 0) await copyIn(this.#session.client, this.#session.verify.copyChanged, this.#buffer.take());
  }

  #add(holder: KeyTuple, anywhere: boolean): void {
    const { keyPositions } = this.#session.layout!;
    this.#buffer.beginRow(1 + keyPositions.length);
    this.#buffer.appendField(anywhere ? TRUE : FALSE);
    this.#buffer.appendSent(holder, keyPositions);
    this.#rows++;
  }
}
