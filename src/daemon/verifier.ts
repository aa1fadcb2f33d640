import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { judgeSuspects, readVerification, recheckChanges, type Rechecked, type Verification } from '../actions/verify-changes.ts';
import { TRANSIENT } from '../actions/verify-range.ts';
import { abandon, close, sqlState, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { addHistory, store } from '../pg/control-store.ts';
import { copyOutRows } from '../pg/copy.ts';
import { canonicalKey } from '../domain/row-key.ts';
import { wholeKey } from '../actions/applier-session.ts';
import type { Applier } from './applier.ts';
import { Gate } from './gate.ts';
import { PartComparison } from './part-comparison.ts';
import { openRecheckSession } from './verifier-sessions.ts';

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
  /** Whether what is missing is not worth a refusal: it was not looked at yet, or everything was compared before the stream made another leaf. */
  readonly isSoon: boolean;
}

const TICK_MS = 200;
/** What is behind delays a cutover; while units load there is none, and the comparison keeps out of the copy's way. */
const MOST_PAUSE_MS = { live: 5_000, loading: 15_000 };
const RETRY_MS = 50;
/** When a comparison has looked for no more rows than this, what comes meanwhile is left to the proof under the lock. */
const PROVABLE = 20_000;
/** With more logged keys than this, the comparison has been outrun: everything is compared anew. */
const MOST_BEHIND = 5_000_000;

/**
 * Compares source and target all the while: leaf by leaf as soon as a leaf is live, and again every key that the stream has changed since.
 * It repairs nothing by itself.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #gate = new Gate();
  readonly #parts: PartComparison;
  readonly #ended = new AbortController();
  #session: Client | null = null;
  #state = { pass: 1, tainted: false, differences: 0, suspected: 0, behind: 0 };
  /** When it was looked at last. */
  #known = { checked: 0, total: 1 };

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#parts = new PartComparison(options, this.#gate);
  }

  get state(): VerifierState {
    const { checked, total, wasComplete } = this.#parts.progress;
    return { ...this.#state, checked, total, isSoon: wasComplete };
  }

  /** Runs until the signal aborts. Throws what a session of it throws. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal, this.#ended.signal]);
    const onStop = (): void => {
      this.#gate.close(stop.reason);
      this.#parts.abandon(stop.reason);
      if (this.#session) abandon(this.#session);
    };
    stop.addEventListener('abort', onStop);
    try {
      this.#session = await openRecheckSession(this.#options.settings, this.#options);
      await this.#reload();
      while (!stop.aborted) {
        const begun = performance.now();
        const isBusy = await this.#gate.pass(async () => this.#recheck(this.#session!));
        // Not in there: a part that waits for the gate, or for a resume, would be waited for.
        if (this.#isOutgrown) await this.#gate.hold(() => this.#giveUp(this.#session!));
        // With many leaves one comparison costs as much for a key as for a thousand: they are gathered.
        const most = this.#parts.isEveryLive ? MOST_PAUSE_MS.live : MOST_PAUSE_MS.loading;
        const pause = Math.max(TICK_MS, Math.min(most, 4 * (performance.now() - begun)));
        this.#parts.begin(stop, (error) => {
          failed.abort(error);
        });
        if (!isBusy || this.#mayWait) await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
      }
    } catch (error) {
      if (!signal.aborted && !this.#ended.signal.aborted) throw error;
    } finally {
      failed.abort(new Error('the verification has stopped'));
      stop.removeEventListener('abort', onStop);
      this.#gate.close(stop.reason);
      await this.#parts.close();
      if (this.#session) await close(this.#session);
    }
    if (failed.signal.aborted && !signal.aborted && !this.#ended.signal.aborted) throw failed.signal.reason;
  }

  /** Runs while nothing is compared: no session of ours is in the way of a lock. */
  async hold<T>(run: () => Promise<T>): Promise<T> {
    return this.#gate.hold(run);
  }

  /** Ends `run`: there is nothing to compare any more. Also for who holds the gate. */
  end(): void {
    this.#ended.abort(new Error('the tables were switched'));
  }

  /** Compares logged keys until few are left. For who holds the gate. */
  async catchUp(): Promise<void> {
    const { signal } = this.#options;
    for (let round = 0; round < 100; round++) {
      signal.throwIfAborted();
      const { probes, behind, isUnsettled } = await this.#recheckOnce(this.#session!);
      if (this.#isOutgrown) await this.#giveUp(this.#session!);
      if (isUnsettled) await sleep(RETRY_MS, undefined, { signal });
      else if (behind === 0 && probes <= PROVABLE) return;
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
      await this.#reload();
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
    const rechecked = await this.#recheckOnce(client);
    await this.#refresh(client);
    return rechecked.behind > 0 && !rechecked.isUnsettled;
  }

  async #recheckOnce(client: Client): Promise<Rechecked> {
    try {
      return await this.#compareLogged(client);
    } catch (error) {
      // A range has seen the same key differ meanwhile.
      if (TRANSIENT.has(sqlState(error) ?? '')) return { probes: 0, behind: this.#state.behind, isUnsettled: true };
      throw error;
    }
  }

  async #compareLogged(client: Client): Promise<Rechecked> {
    const rechecked = await recheckChanges(client, this.#options, this.#options.applier.session.leaves.leaves.length);
    const { different, suspected } = await judgeSuspects(client, this.#options);
    if (different > this.#state.differences)
      this.#options.log.error({ differences: different }, 'source and target differ: the cutover is refused; see partitioner verify');
    this.#state = { ...this.#state, behind: rechecked.behind, differences: different, suspected };
    return rechecked;
  }

  get #isOutgrown(): boolean {
    return this.#state.behind > MOST_BEHIND;
  }

  /**
   * The log has outgrown what is compared again: everything is compared anew instead. For who holds the gate; parts that wait outside are of the old pass,
   * and end when they come in.
   */
  async #giveUp(client: Client): Promise<void> {
    const { migrationId, sql, log } = this.#options;
    log.warn({ keys: this.#state.behind }, 'more keys change than can be compared again: the verification begins anew');
    await client.query(sql.forgetLog);
    await client.query(sql.forgetSuspects);
    await store(client, 'verify/begin-pass', [migrationId]);
    await this.#reload();
    this.#state = { ...this.#state, behind: 0 };
  }

  async #refresh(client: Client): Promise<void> {
    const { migrationId } = this.#options;
    const { pass, tainted } = await readVerification(client, migrationId);
    const { checked, total } = this.#parts.progress;
    const isDone = checked >= total && this.#known.checked < this.#known.total;
    this.#known = { checked, total };
    this.#state = { ...this.#state, pass, tainted };
    if (isDone) await addHistory(client, migrationId, 'verified', { pass, parts: total });
  }

  /** What the pass has done before this daemon began. */
  async #reload(): Promise<void> {
    const client = this.#session!;
    await this.#parts.reload(client, await readVerification(client, this.#options.migrationId));
  }

  /** Nobody waits for the comparison, and the log is far from its bound. */
  get #mayWait(): boolean {
    return !this.#parts.isEveryLive && this.#state.behind < MOST_BEHIND / 10;
  }
}
