import { setTimeout as sleep } from 'node:timers/promises';
import { verifyBeside, verifyBound, verifyRange, WHOLE_TABLE, type Part } from '../actions/verify-range.ts';
import { abandon, close, type Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import type { Gate } from './gate.ts';
import { Pool } from './pool.ts';
import { rangeRows } from './range-rows.ts';
import { Rate } from './rate.ts';
import { openRangeSession } from './verifier-sessions.ts';
import type { VerifierOptions } from './verifier.ts';

const RETRY_MS = 50;

/** The parts of one pass, range by range, several at once: leaves, or the whole table where an index by the key alone can be read in order. */
export class PartComparison {
  readonly #options: VerifierOptions;
  readonly #gate: Gate;
  readonly #rate: Rate;
  readonly #sessions: Pool<Client>;
  readonly #running = new Map<number, Promise<void>>();
  /** Of this pass. */
  readonly #checked = new Set<number>();
  /** Of parts that an earlier daemon has begun. */
  readonly #reached = new Map<number, readonly string[]>();
  #byKey = false;
  #pass = 1;
  /** Also when it was not looked at yet, which is a matter of moments. */
  #wasComplete = true;

  /** @param gate ranges pass it, one by one. */
  constructor(options: VerifierOptions, gate: Gate) {
    this.#options = options;
    this.#gate = gate;
    this.#rate = new Rate(options.bytesPerSecond);
    this.#sessions = new Pool<Client>({ size: options.jobs, make: () => openRangeSession(options.settings), dispose: close, abandon });
  }

  /** How many parts are compared, and of how many. The stream may add some: `wasComplete` says that all were before. */
  get progress(): { readonly checked: number; readonly total: number; readonly wasComplete: boolean } {
    const total = this.#byKey ? 1 : this.#options.applier.session.leaves.leaves.length;
    return { checked: this.#checked.size, total, wasComplete: this.#wasComplete };
  }

  get isEveryLive(): boolean {
    return [...this.#options.applier.session.units.values()].every((state) => state === 'live');
  }

  /** Takes a pass up where it stands. What runs for another one ends after its range. */
  async reload(client: Client, { byKey, pass }: { readonly byKey: boolean; readonly pass: number }): Promise<void> {
    this.#byKey = byKey;
    this.#pass = pass;
    this.#checked.clear();
    this.#reached.clear();
    for (const { part, reached, checked } of await store(client, 'verify/list-parts', [this.#options.migrationId])) {
      if (checked === true) this.#checked.add(part as number);
      else this.#reached.set(part as number, reached as string[]);
    }
    this.#wasComplete = false;
    this.#noteComplete();
  }

  #noteComplete(): void {
    const { checked, total } = this.progress;
    if (checked >= total) this.#wasComplete = true;
  }

  /** Begins what is live and not compared yet. */
  begin(signal: AbortSignal, onError: (error: unknown) => void): void {
    const { jobs, applier } = this.#options;
    const { leaves, units } = applier.session;
    const { isEveryLive } = this;
    // While rows are copied, the comparison keeps out of the copy's way.
    const most = isEveryLive ? jobs : 1;
    const parts = this.#byKey ? [{ part: WHOLE_TABLE, leaf: null }] : leaves.leaves.map((leaf) => ({ part: leaf.leaf, leaf }));
    for (const { part, leaf } of parts) {
      if (this.#running.size >= most || signal.aborted) return;
      if (this.#running.has(part) || this.#checked.has(part)) continue;
      const isLive = leaf ? units.get(leaf.unit) === 'live' : isEveryLive;
      if (!isLive) continue;
      const running = this.#compare({ part, leaf, reached: this.#reached.get(part) ?? null }, signal)
        .catch((error: unknown) => {
          if (!signal.aborted) onError(error);
        })
        .finally(() => {
          this.#running.delete(part);
          this.begin(signal, onError);
        });
      this.#running.set(part, running);
    }
  }

  /** Makes what runs fail soon. */
  abandon(reason: unknown): void {
    this.#sessions.abandon(reason);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#running.values());
    await this.#sessions.close();
  }

  /** One part, range by range, as long as the pass goes on. */
  async #compare(begun: Part, signal: AbortSignal): Promise<void> {
    const { applier, unpaused, rowBytes, bytesPerSecond } = this.#options;
    const pass = this.#pass;
    const rows = rangeRows(rowBytes, bytesPerSecond);
    let part: Part | null = begun;
    if (!part.leaf && part.reached === null) {
      for (const leaf of applier.session.leaves.leaves)
        await this.#gate.pass(() => this.#sessions.use((client) => verifyBound(client, this.#options, leaf)));
    }
    if (part.leaf && part.reached === null) {
      const { leaf } = part;
      const isDone = (): Promise<boolean> =>
        this.#gate.pass(() =>
          this.#sessions.use((client) => verifyBeside(client, this.#options, applier.session.leaves.gapsBeside(leaf), leaf.leaf)),
        );
      while (this.#pass === pass && !(await isDone())) await sleep(RETRY_MS, undefined, { signal });
    }
    while (part) {
      await unpaused(signal);
      await this.#rate.wait(signal);
      const current: Part = part;
      part = await this.#gate.pass(() =>
        this.#sessions.use(async (client) => {
          signal.throwIfAborted();
          if (this.#pass !== pass) return null;
          const outcome = await verifyRange(client, this.#options, current, rows);
          if (outcome.type !== 'compared') return current;
          this.#rate.spend(outcome.rows * rowBytes);
          if (outcome.reached === null) {
            this.#checked.add(current.part);
            this.#noteComplete();
          }
          return outcome.reached === null ? null : { ...current, reached: outcome.reached };
        }),
      );
      if (part === current) await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
