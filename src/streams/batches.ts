import type { Lsn } from '../domain/lsn.ts';
import type { WalMessage } from '../domain/pgoutput.ts';
import { invariant } from '../errors.ts';
import type { Position } from '../pg/control-store.ts';
import type { ReplicationEvent } from './replication.ts';

/** A change of the source. */
export type Change = Extract<WalMessage, { kind: 'insert' | 'update' | 'delete' | 'truncate' }>;

/** Successive changes of one transaction, by its 32-bit xid. */
export interface Run {
  readonly xid: number;
  readonly changes: number;
}

/** What one database transaction applies: whole transactions of the stream, or a slice of one. */
export interface Batch {
  readonly changes: readonly Change[];
  /** Where the applied position stands after it. */
  readonly position: Position;
  /** Whose changes they are, in their order; transactions without any are left out. */
  readonly runs: readonly Run[];
  /** When the last whole transaction committed, null for a slice or an idle advance. */
  readonly commitTimeUs: bigint | null;
  /** Credit that its events hold. */
  readonly messages: number;
  readonly bytes: number;
}

/** Messages without a change of ours (PostgreSQL 14 sends empty transactions) that give their credit back together. */
const IDLE_MESSAGES = 1_000;

/**
 * Cuts the stream into batches. Transactions that are applied already are skipped (the slot resends from its confirmed
 * position), of the one that is applied in part its first changes.
 */
export class BatchBuilder {
  readonly #isSource: (oid: number) => boolean;
  readonly #onRelation: (relation: Extract<WalMessage, { kind: 'relation' }>) => void;
  readonly #sliceBytes: number;
  /** Batches that are full: the next ones are gathered while these are applied, so the credit is never held by one alone. */
  readonly #closed: Batch[] = [];
  #done: Change[] = [];
  #doneRuns: Run[] = [];
  #doneMessages = 0;
  #doneBytes = 0;
  #commitTimeUs: bigint | null = null;
  #position: Position;
  #advanced = false;
  #open: { finalLsn: Lsn; xid: number; changes: Change[]; passed: number; skip: number; touched: boolean } | null = null;
  #openMessages = 0;
  #openBytes = 0;

  /**
   * @param position where the applied position stands.
   * @param sliceBytes about what a batch holds at most; a transaction that holds more is applied in slices.
   */
  constructor(
    position: Position,
    sliceBytes: number,
    isSource: (oid: number) => boolean,
    onRelation: (relation: Extract<WalMessage, { kind: 'relation' }>) => void,
  ) {
    this.#position = position;
    this.#sliceBytes = sliceBytes;
    this.#isSource = isSource;
    this.#onRelation = onRelation;
  }

  push(event: ReplicationEvent): void {
    if (event.kind === 'keepalive') {
      // Of a transaction that is applied in part the rest is still to come: the server says where it reads, which may be beyond where it began.
      if (!this.#open && this.#position.partialLsn === null && event.walEnd > this.#position.lsn) this.#advance(event.walEnd);
      return;
    }
    this.#openMessages++;
    this.#openBytes += event.bytes;
    const { message } = event;
    switch (message.kind) {
      case 'begin':
        return this.#begin(message);
      case 'commit':
        return this.#commit(message);
      case 'relation':
        return this.#onRelation(message);
      case 'insert':
      case 'update':
      case 'delete':
        if (this.#isSource(message.oid)) this.#change(message);
        return;
      case 'truncate':
        if (message.oids.some(this.#isSource)) this.#change(message);
        return;
      default:
        if (!this.#open) this.#close(); // a message outside of a transaction moves no position, but holds credit
        return;
    }
  }

  /** Whether there are changes that no batch has taken. */
  get isPending(): boolean {
    return this.#closed.length > 0 || this.#done.length > 0 || (this.#open?.changes.length ?? 0) > 0;
  }

  /**
   * What can be applied now: every whole transaction, else a slice of the open one when it is large.
   * @param wantsPosition take an advance of the position also when no change came with it.
   */
  take(wantsPosition: boolean): Batch | null {
    const part = this.#closed.shift();
    if (part) return part;
    const isHoldingCredit = this.#doneMessages > IDLE_MESSAGES || this.#doneBytes >= this.#sliceBytes;
    if (this.#done.length > 0 || (this.#advanced && wantsPosition) || isHoldingCredit) {
      return this.#takeDone();
    }
    return this.#openBytes >= this.#sliceBytes ? this.#takeSlice() : null;
  }

  #takeDone(): Batch {
    const batch: Batch = {
      changes: this.#done,
      position: this.#position,
      runs: this.#doneRuns,
      commitTimeUs: this.#commitTimeUs,
      messages: this.#doneMessages,
      bytes: this.#doneBytes,
    };
    this.#done = [];
    this.#doneRuns = [];
    this.#doneMessages = this.#doneBytes = 0;
    this.#commitTimeUs = null;
    this.#advanced = false;
    return batch;
  }

  #takeSlice(): Batch | null {
    const open = this.#open;
    if (!open) return null;
    open.passed += open.changes.length;
    if (open.changes.length > 0) this.#position = { lsn: this.#position.lsn, partialLsn: open.finalLsn, partialChanges: open.passed };
    const batch: Batch = {
      changes: open.changes,
      position: this.#position,
      runs: open.changes.length > 0 ? [{ xid: open.xid, changes: open.changes.length }] : [],
      commitTimeUs: null,
      messages: this.#openMessages,
      bytes: this.#openBytes,
    };
    open.changes = [];
    this.#openMessages = this.#openBytes = 0;
    return batch;
  }

  #begin({ finalLsn, xid }: Extract<WalMessage, { kind: 'begin' }>): void {
    invariant(!this.#open, 'a transaction of the change stream begins inside another');
    const { lsn, partialLsn, partialChanges } = this.#position;
    const skip = finalLsn < lsn ? Infinity : finalLsn === partialLsn ? partialChanges : 0;
    invariant(
      partialLsn === null || finalLsn <= partialLsn,
      'the change stream passed a transaction that is applied in part without resending it',
      `applied in part: ${partialLsn}, sent: ${finalLsn}`,
    );
    this.#open = { finalLsn, xid, changes: [], passed: skip === Infinity ? 0 : skip, skip, touched: skip > 0 && skip !== Infinity };
  }

  #change(message: Extract<WalMessage, { kind: 'insert' | 'update' | 'delete' | 'truncate' }>): void {
    const open = this.#open;
    invariant(open, 'a change of the change stream lies outside of a transaction');
    if (open.skip > 0) {
      open.skip--;
      return;
    }
    open.touched = true;
    open.changes.push(message);
  }

  #commit({ endLsn, commitLsn, commitTimeUs }: Extract<WalMessage, { kind: 'commit' }>): void {
    const open = this.#open;
    invariant(open && open.finalLsn === commitLsn, 'a transaction of the change stream ends that did not begin');
    this.#open = null;
    for (const change of open.changes) this.#done.push(change);
    this.#close();
    if (open.skip === Infinity) return; // applied before
    invariant(open.skip === 0, 'a transaction that was applied in part came again with fewer changes', `${open.skip} are missing`);
    if (open.touched) {
      this.#doneRuns.push({ xid: open.xid, changes: open.changes.length });
      this.#commitTimeUs = commitTimeUs;
    }
    this.#advance(endLsn);
    if (this.#doneBytes >= this.#sliceBytes && this.#done.length > 0) this.#closed.push(this.#takeDone());
  }

  /** What was read since the last commit belongs to what is done. */
  #close(): void {
    this.#doneMessages += this.#openMessages;
    this.#doneBytes += this.#openBytes;
    this.#openMessages = this.#openBytes = 0;
  }

  #advance(lsn: Lsn): void {
    const { partialLsn } = this.#position;
    if (lsn <= this.#position.lsn && partialLsn === null) return;
    invariant(partialLsn === null || lsn > partialLsn, 'the applied position would forget a transaction that is applied in part');
    this.#position = { lsn, partialLsn: null, partialChanges: 0 };
    this.#advanced = true;
  }
}
