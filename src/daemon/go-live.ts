import { GO_LIVE_KEYS, goLive, resyncUnit } from '../actions/resync.ts';
import type { QualifiedName } from '../domain/identifier.ts';
import type { Lsn } from '../domain/lsn.ts';
import { listUnits, type Migration } from '../pg/control-store.ts';
import type { MigrationPlan, PlannedUnit } from '../plan/migration-plan.ts';
import type { Applier } from './applier.ts';

export interface GoLiveOptions {
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly applier: Applier;
  /** Resolves when the applied position is at or past the LSN. */
  readonly passed: (lsn: Lsn) => Promise<void>;
  readonly onWaiting: (what: string | null) => void;
  readonly signal: AbortSignal;
}

/** A unit whose leaves have their indexes. */
export interface LoadedUnit {
  readonly unit: PlannedUnit;
  /** Where its rows are. */
  readonly into: QualifiedName;
  /** The statements that make its leaves partitions of the target. */
  readonly attach: readonly string[];
}

interface Candidate extends LoadedUnit {
  readonly resolve: (isLive: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Their leaves are locked, and the changes of the stream wait, until all of them are live. */
const MOST_AT_ONCE = 32;

/**
 * Takes loaded units live, together when several are waiting: what a touched key leaves behind is looked for in every live leaf, and with hundreds
 * of them it is the planning of that statement that takes the time, once a group instead of once a unit.
 */
export class GoLives {
  readonly #options: GoLiveOptions;
  readonly #waiting: Candidate[] = [];
  #running: Promise<void> | null = null;

  constructor(options: GoLiveOptions) {
    this.#options = options;
  }

  /** Resyncs the unit until few touched keys are left, and makes it live. */
  async take(loaded: LoadedUnit): Promise<void> {
    const { applier, signal } = this.#options;
    const { unit, into } = loaded;
    for (;;) {
      signal.throwIfAborted();
      if (await this.#offer(loaded)) return;
      const pass = (): Promise<number> => applier.betweenSettled(() => resyncUnit(applier.session, unit, into), this.#unsettled([loaded]));
      while ((await pass()) > GO_LIVE_KEYS) signal.throwIfAborted();
    }
  }

  /** Whether it is live; it is not when too many of its keys are touched. */
  #offer(loaded: LoadedUnit): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...loaded, resolve, reject });
      this.#running ??= this.#run().finally(() => (this.#running = null));
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MOST_AT_ONCE);
      try {
        const live = await this.#goLive(group);
        for (const candidate of group) candidate.resolve(live.has(candidate.unit.unit));
      } catch (error) {
        for (const candidate of group) candidate.reject(error);
      }
    }
  }

  async #goLive(group: readonly LoadedUnit[]): Promise<ReadonlySet<number>> {
    const { applier, migration, passed, onWaiting } = this.#options;
    const { session } = applier;
    const numbers = new Set(group.map(({ unit }) => unit.unit));
    const units = await applier.between(() => listUnits(session.client, migration.id));
    const snapshots = units.filter(({ unit }) => numbers.has(unit)).map(({ lastSnapshotLsn }) => lastSnapshotLsn);
    await passed(snapshots.reduce((most, lsn) => (lsn > most ? lsn : most), 0n));
    const live = await applier.betweenSettled(async () => {
      // Only the applier adds touched keys, so what is counted here holds until the job ends.
      const { rows } = await session.client.query<{ unit: number; keys: number }>(session.resync.countTouched, [
        [...numbers],
        GO_LIVE_KEYS + 1,
      ]);
      const few = new Set(rows.filter(({ keys }) => keys <= GO_LIVE_KEYS).map(({ unit }) => unit));
      const ready = group.filter(({ unit }) => few.has(unit.unit));
      if (ready.length === 0) return { type: 'done', value: few } as const;
      const outcome = await goLive(
        session,
        ready.map(({ unit }) => unit.unit),
        ready.flatMap(({ attach }) => attach),
      );
      return outcome.type === 'done' ? ({ type: 'done', value: few } as const) : outcome;
    }, this.#unsettled(group));
    onWaiting(null);
    return live;
  }

  #unsettled(group: readonly LoadedUnit[]): (xids: readonly string[]) => void {
    const units = group.map(({ unit }) => unit.unit).join(', ');
    return (xids) => {
      this.#options.onWaiting(
        `transactions that are committed and not yet visible before unit ${units} can go live: ${xids.slice(0, 5).join(', ')}`,
      );
    };
  }
}
