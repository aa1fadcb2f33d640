import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { judgeSuspects, PLANNER, readVerification, recheckChanges, type Verification } from '../actions/verify-changes.ts';
import { verifyBound, verifyRange, WHOLE_TABLE, type Part } from '../actions/verify-range.ts';
import { abandon, close, connect, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { addHistory, store } from '../pg/control-store.ts';
import { copyOutRows } from '../pg/copy.ts';
import { canonicalKey } from '../domain/row-key.ts';
import { wholeKey } from '../actions/applier-session.ts';
import type { Applier } from './applier.ts';
import { Gate } from './gate.ts';
import { Pool } from './pool.ts';

export interface VerifierOptions extends Verification {
  readonly settings: ConnectionSettings;
  readonly applier: Applier;
  /** Ranges that are compared at a time. */
  readonly jobs: number;
  /** Bytes of rows a second and side that the ranges may take; null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  /** Of the plan: an estimate is enough to cut ranges and to keep a rate. */
  readonly rowBytes: number;
  /** Resolves when ranges may be compared. */
  readonly unpaused: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Where the pass stands, for the phase. */
export interface VerifierState {
  readonly pass: number;
  readonly checked: number;
  readonly total: number;
  readonly tainted: boolean;
  readonly differences: number;
  readonly suspected: number;
  /** Logged keys that are still to be compared again, about. */
  readonly behind: number;
}

const TICK_MS = 200;
const RETRY_MS = 50;
/** A range is read in one short transaction: some seconds on the slowest disk. */
const RANGE_BYTES = 64 << 20;
const RANGE_ROWS = { least: 500, most: 500_000 };
/** So many logged keys are left to the proof under the lock. */
const PROVABLE = 500;
/** With more logged keys than this, the comparison has been outrun: everything is compared anew. */
const MOST_BEHIND = 5_000_000;

/**
 * Compares source and target all the while: leaf by leaf as soon as a leaf is live, and again every key that the stream has changed since.
 * It repairs nothing by itself.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #gate = new Gate();
  readonly #ranges: Pool<Client>;
  readonly #running = new Map<number, Promise<void>>();
  #session: Client | null = null;
  #state: VerifierState = { pass: 1, checked: 0, total: 1, tainted: false, differences: 0, suspected: 0, behind: 0 };
  #nextAt = 0;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#ranges = new Pool<Client>({ size: options.jobs, make: () => openSession(options.settings), dispose: close, abandon });
  }

  get state(): VerifierState {
    return this.#state;
  }

  /** Runs until the signal aborts. Throws what a session of it throws. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const onStop = (): void => {
      this.#ranges.abandon(stop.reason);
      if (this.#session) abandon(this.#session);
    };
    stop.addEventListener('abort', onStop);
    try {
      this.#session = await openRecheckSession(this.#options);
      while (!stop.aborted) {
        const isBusy = await this.#gate.pass(async () => this.#recheck(this.#session!));
        await this.#begin(stop, (error) => {
          failed.abort(error);
        });
        if (!isBusy) await sleep(TICK_MS, undefined, { signal: stop }).catch(() => undefined);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      failed.abort(new Error('the verification has stopped'));
      stop.removeEventListener('abort', onStop);
      await Promise.allSettled(this.#running.values());
      await this.#ranges.close();
      if (this.#session) await close(this.#session);
    }
    if (failed.signal.aborted && !signal.aborted) throw failed.signal.reason;
  }

  /** Runs while nothing is compared: no session of ours is in the way of a lock. */
  async hold<T>(run: () => Promise<T>): Promise<T> {
    return this.#gate.hold(run);
  }

  /** Compares logged keys until few are left. For who holds the gate. */
  async catchUp(): Promise<void> {
    const { signal } = this.#options;
    for (let round = 0; round < 100; round++) {
      signal.throwIfAborted();
      await this.#recheck(this.#session!);
      if (this.#state.behind <= PROVABLE) return;
    }
  }

  /** Begins a full pass. Resolves with its number. */
  async restart(): Promise<number> {
    return this.#gate.hold(async () => {
      const { migrationId, sql } = this.#options;
      const client = this.#session!;
      await client.query(sql.forgetSuspects);
      const [row] = await store(client, 'verify/begin-pass', [migrationId]);
      await addHistory(client, migrationId, 'verification begun', { pass: row!.pass });
      await this.#refresh(client);
      return row!.pass as number;
    });
  }

  /** Has the applier read the keys that differ again from the source. Resolves with their number. */
  async repair(): Promise<number> {
    const { applier, migrationId, sql } = this.#options;
    return this.#gate.hold(() =>
      applier.between(async () => {
        const { client, resync, keyCanons, plan } = applier.session;
        const repaired = await client.query(sql.repairDifferent);
        await addHistory(client, migrationId, 'differences to be repaired', { keys: repaired.rowCount });
        for (const row of await copyOutRows(client, resync.copyRepairKeys))
          applier.session.repair.add(canonicalKey(wholeKey(row, plan.key.length), keyCanons));
        return repaired.rowCount ?? 0;
      }),
    );
  }

  /** Whether there is more to compare at once. */
  async #recheck(client: Client): Promise<boolean> {
    const rechecked = await recheckChanges(client, this.#options);
    const { different, suspected } = await judgeSuspects(client, this.#options);
    if (different > this.#state.differences)
      this.#options.log.error({ differences: different }, 'source and target differ: the cutover is refused; see partitioner verify');
    this.#state = { ...this.#state, behind: rechecked.behind, differences: different, suspected };
    if (rechecked.behind > MOST_BEHIND) await this.#giveUp(client);
    await this.#refresh(client);
    return rechecked.behind > 0 && !rechecked.isUnsettled;
  }

  /** The log has outgrown what is compared again: everything is compared anew instead. */
  async #giveUp(client: Client): Promise<void> {
    const { migrationId, sql, log } = this.#options;
    log.warn({ keys: this.#state.behind }, 'more keys change than can be compared again: the verification begins anew');
    this.#state = { ...this.#state, pass: this.#state.pass + 1 }; // what runs ends after its range
    await Promise.allSettled(this.#running.values());
    await client.query(sql.forgetLog);
    await client.query(sql.forgetSuspects);
    await store(client, 'verify/begin-pass', [migrationId]);
  }

  async #refresh(client: Client): Promise<void> {
    const { migrationId } = this.#options;
    const { pass, tainted, byKey } = await readVerification(client, migrationId);
    const parts = await store(client, 'verify/list-parts', [migrationId]);
    const total = byKey ? 1 : this.#options.applier.session.leaves.leaves.length;
    const checked = parts.filter((part) => part.checked === true).length;
    const isDone = checked >= total && this.#state.checked < this.#state.total;
    this.#state = { ...this.#state, pass, tainted, checked, total };
    if (isDone) await addHistory(client, migrationId, 'verified', { pass, parts: total });
  }

  /** Begins what is live and not compared yet. */
  async #begin(signal: AbortSignal, onError: (error: unknown) => void): Promise<void> {
    const { session } = this.#options.applier;
    if (this.#running.size >= this.#options.jobs) return;
    for (const part of await this.#openParts()) {
      if (this.#running.size >= this.#options.jobs) return;
      if (this.#running.has(part.part)) continue;
      const isLive = part.leaf
        ? session.units.get(part.leaf.unit) === 'live'
        : [...session.units.values()].every((state) => state === 'live');
      if (!isLive) continue;
      const running = this.#compare(part, signal)
        .catch((error: unknown) => {
          if (!signal.aborted) onError(error);
        })
        .finally(() => this.#running.delete(part.part));
      this.#running.set(part.part, running);
    }
  }

  async #openParts(): Promise<Part[]> {
    const { migrationId, applier } = this.#options;
    const { byKey } = await readVerification(this.#session!, migrationId);
    const begun = new Map((await store(this.#session!, 'verify/list-parts', [migrationId])).map((row) => [row.part as number, row]));
    const parts = byKey ? [{ part: WHOLE_TABLE, leaf: null }] : applier.session.leaves.leaves.map((leaf) => ({ part: leaf.leaf, leaf }));
    return parts
      .filter(({ part }) => begun.get(part)?.checked !== true)
      .map((part) => ({ ...part, reached: (begun.get(part.part)?.reached as string[] | undefined) ?? null }));
  }

  /** One part, range by range, as long as the pass goes on. */
  async #compare(begun: Part, signal: AbortSignal): Promise<void> {
    const { applier, unpaused, rowBytes } = this.#options;
    const { pass } = this.#state;
    const rows = Math.min(RANGE_ROWS.most, Math.max(RANGE_ROWS.least, Math.round(RANGE_BYTES / rowBytes)));
    let part: Part | null = begun;
    if (!part.leaf && part.reached === null) {
      for (const leaf of applier.session.leaves.leaves)
        await this.#gate.pass(() => this.#ranges.use((client) => verifyBound(client, this.#options, leaf)));
    }
    while (part) {
      await unpaused(signal);
      await this.#untilRate(signal);
      const current: Part = part;
      part = await this.#gate.pass(() =>
        this.#ranges.use(async (client) => {
          signal.throwIfAborted();
          if (this.#state.pass !== pass) return null;
          const outcome = await verifyRange(client, this.#options, current, rows);
          if (outcome.type !== 'compared') return current;
          this.#spend(outcome.rows);
          return outcome.reached === null ? null : { ...current, reached: outcome.reached };
        }),
      );
      if (part === current) await sleep(RETRY_MS, undefined, { signal });
    }
  }

  #spend(rows: number): void {
    const { bytesPerSecond, rowBytes } = this.#options;
    if (bytesPerSecond === null) return;
    this.#nextAt = Math.max(this.#nextAt, performance.now()) + (rows * rowBytes * 1000) / bytesPerSecond;
  }

  async #untilRate(signal: AbortSignal): Promise<void> {
    const wait = this.#nextAt - performance.now();
    if (wait > 0) await sleep(wait, undefined, { signal });
  }
}

async function openSession(settings: ConnectionSettings): Promise<Client> {
  const client = await connect(settings, { applicationName: 'partitioner verifier' });
  try {
    await client.query(`set jit = off; set work_mem = '64MB'`);
    return client;
  } catch (error) {
    await close(client);
    throw error;
  }
}

async function openRecheckSession({ settings, sql }: VerifierOptions): Promise<Client> {
  const client = await openSession(settings);
  try {
    await client.query(PLANNER.map((name) => `set ${name} = off`).join('; '));
    await client.query(sql.createCheck);
    return client;
  } catch (error) {
    await close(client);
    throw error;
  }
}
