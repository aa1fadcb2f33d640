import { filter, interval, map, merge, Subject, takeUntil, tap, type Observable } from 'rxjs';
import { applyBatch, type Applied } from '../actions/apply-batch.ts';
import type { ApplierSession } from '../actions/applier-session.ts';
import { repairKeys, type SnapshotOutcome } from '../actions/resync.ts';
import { formatLsn, type Lsn } from '../domain/lsn.ts';
import { invariant } from '../errors.ts';
import { changed, missingColumns, planRowLayout } from '../plan/row-layout.ts';
import type { PadTuple } from '../domain/pad-tuple.ts';
import { BatchBuilder, type Batch } from '../streams/batches.ts';
import { gatherMap } from '../streams/gather-map.ts';
import type { Replication, ReplicationEvent } from '../streams/replication.ts';

/** An idle position is written down this often: each write moves the WAL that it follows. */
const IDLE_POSITION_MS = 2_000;
const TICK_MS = 250;
/** Repair keys wait this long for more of them. */
const UNSETTLED_RETRY_MS = 20;

interface Job {
  readonly run: () => Promise<void>;
  readonly fail: (error: unknown) => void;
}

interface Waiter {
  readonly lsn: Lsn;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One thing that the applier has done. */
export type AppliedEvent = { readonly type: 'batch'; readonly applied: Applied; readonly seconds: number } | { readonly type: 'job' };

/**
 * The one ordered consumer of the change stream. Batches, and between whole transactions of the stream the jobs that change
 * the migration's state (a unit begins to load, resyncs, goes live), run one after the other on its session.
 */
export class Applier {
  /** Cold: subscribing starts the stream. Completes after stop(), errors with the first error. */
  readonly events$: Observable<AppliedEvent>;
  readonly session: ApplierSession;
  readonly #replication: Replication;
  readonly #builder: BatchBuilder;
  readonly #jobs: Job[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #wake$ = new Subject<void>();
  readonly #stop$ = new Subject<void>();
  /** Of changes from before the source's last columns. */
  #pad: PadTuple | null = null;
  #idleWrittenAt = 0;
  #pendingSince: number | null = null;
  readonly #now: () => number;
  #ended: { readonly error: unknown } | null = null;

  /**
   * @param sliceBytes transactions above it are applied in slices.
   * @param now milliseconds, monotonic.
   */
  constructor(session: ApplierSession, replication: Replication, sliceBytes: number, now: () => number) {
    this.session = session;
    this.#replication = replication;
    this.#now = now;
    const { plan } = session;
    this.#builder = new BatchBuilder(
      session.position,
      sliceBytes,
      (oid) => oid === plan.sourceOid,
      (relation) => {
        if (relation.oid !== plan.sourceOid) return;
        if (relation.schema !== plan.source.schema || relation.name !== plan.source.name)
          throw changed(plan, `it is now ${relation.schema}.${relation.name}`);
        session.layout = planRowLayout(plan, session.baseTypes, relation);
        const missing = missingColumns(plan, relation);
        this.#pad = missing === 0 ? null : session.pad(missing);
      },
    );
    // The source is cut, not the work: what is being applied when stop() is called is applied to its end.
    const gathered$ = merge(replication.events$, this.#wake$.pipe(map(() => [])), interval(TICK_MS).pipe(map(() => []))).pipe(
      takeUntil(this.#stop$),
    );
    this.events$ = gathered$.pipe(
      gatherMap(
        (events) => {
          for (const event of events) this.#builder.push(this.#pad === null ? event : padded(event, plan.sourceOid, this.#pad));
          if (this.#builder.isPending) this.#pendingSince ??= this.#now();
        },
        () => this.#work(),
      ),
      filter((event) => event !== null),
      tap({
        error: (error: unknown) => {
          this.#end(error);
        },
      }),
    );
  }

  get position(): Lsn {
    return this.session.position.lsn;
  }

  /** For how long there have been changes that are not applied, in ms; null while there are none. */
  get pendingMs(): number | null {
    return this.#pendingSince === null ? null : this.#now() - this.#pendingSince;
  }

  /** Whether somebody waits for a position. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Ends after what is being applied. */
  stop(): void {
    this.#stop$.next();
    this.#end(new Error('the applier has stopped'));
  }

  /** Runs between two transactions of the stream, with nothing else running on the session. */
  between<T>(run: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended.error);
      this.#jobs.push({
        run: () => run().then(resolve),
        fail: reject,
      });
      this.#wake$.next();
    });
  }

  /** Like between, until the snapshot is settled. */
  async betweenSettled<T>(run: () => Promise<SnapshotOutcome<T>>, onUnsettled: (xids: readonly string[]) => void): Promise<T> {
    for (;;) {
      const outcome = await this.between(run);
      if (outcome.type === 'done') return outcome.value;
      onUnsettled(outcome.xids);
      await new Promise((resolve) => setTimeout(resolve, UNSETTLED_RETRY_MS));
    }
  }

  /** Resolves when the applied position is at or past the LSN. The caller makes sure that the WAL goes that far. */
  passed(lsn: Lsn): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended.error);
    if (this.position >= lsn) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.add({ lsn, resolve, reject });
      this.#wake$.next();
    });
  }

  async #work(): Promise<AppliedEvent | null | false> {
    // By what is committed, not by what is gathered: the rest of a transaction may be waiting already.
    if (this.session.position.partialLsn === null) {
      const job = this.#jobs.shift();
      if (job) {
        try {
          await job.run();
        } catch (error) {
          job.fail(error);
          throw error;
        }
        return { type: 'job' };
      }
      if (this.session.repair.size > 0 && (await this.#repair())) return { type: 'job' };
    }
    const idle = this.#now() - this.#idleWrittenAt >= IDLE_POSITION_MS;
    const batch = this.#builder.take(idle || this.#waiters.size > 0);
    if (!batch) {
      if (!this.#builder.isPending) this.#pendingSince = null;
      return false;
    }
    const begun = this.#now();
    const applied = await applyBatch(this.session, batch);
    this.#idleWrittenAt = this.#now();
    this.#settle(batch);
    return { type: 'batch', applied, seconds: (this.#now() - begun) / 1000 };
  }

  async #repair(): Promise<boolean> {
    const outcome = await repairKeys(this.session);
    return outcome.type === 'done';
  }

  #settle(batch: Batch): void {
    this.#replication.release(batch.messages, batch.bytes);
    const { lsn, partialLsn } = this.session.position;
    invariant(
      partialLsn === null || partialLsn >= lsn,
      'a transaction is applied in part that lies behind the applied position',
      formatLsn(lsn),
    );
    this.#replication.confirm(lsn);
    for (const waiter of this.#waiters) {
      if (waiter.lsn > lsn) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #end(error: unknown): void {
    this.#ended ??= { error };
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
    for (const job of this.#jobs.splice(0)) job.fail(error);
  }
}

/** A change of the source with its tuples filled up. */
function padded(event: ReplicationEvent, oid: number, pad: PadTuple): ReplicationEvent {
  if (event.kind === 'keepalive') return event;
  const { message } = event;
  if (message.kind === 'insert' && message.oid === oid) return { ...event, message: { ...message, tuple: pad(message.tuple) } };
  if (message.kind === 'delete' && message.oid === oid) return { ...event, message: { ...message, old: pad(message.old) } };
  if (message.kind === 'update' && message.oid === oid)
    return { ...event, message: { ...message, tuple: pad(message.tuple), old: message.old && pad(message.old) } };
  return event;
}
