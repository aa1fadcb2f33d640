/** A migration's phases; their meanings are in this folder's README. */
export type Phase = 'prepared' | 'backfill' | 'catchup' | 'ready' | 'cutover' | 'switched' | 'rolled_back' | 'done' | 'aborted' | 'failed';

export type UnitState = 'pending' | 'loading' | 'live';

/** Where a loading unit is: copying chunks, purging touched keys, building indexes, replaying touched keys, or live. */
export type UnitStep = 'chunks' | 'purge' | 'index' | 'resync' | 'live';

/** What the phase of a running daemon follows from. */
export interface PhaseFacts {
  readonly units: { readonly live: number; readonly total: number };
  /** A slot was lost: the leaves that were live are compared with the source, and are not live. */
  readonly isRecovering: boolean;
  readonly repairKeys: number;
  /** Changes that did not hit exactly one row: the switch is refused for good, so it is never `ready`. */
  readonly anomalies: number;
  /** Indexes that came to the source meanwhile and are not built yet. */
  readonly owedIndexes: number;
  /** Parts of the table that were compared, of all; a pass that found a difference does not count. */
  readonly verified: { readonly checked: number; readonly total: number; readonly tainted: boolean };
  readonly lag: Lag;
  readonly maxLag: Lag;
}

/** WAL between the server's end and what is applied. */
export interface Lag {
  readonly bytes: number;
  readonly seconds: number;
}

/** Above either, with everything live, it is not ready: the fence of the cutover would wait for longer than its lock may be held. */
export const READY_LAG: Lag = { bytes: 64 << 20, seconds: 5 };

export function isLagging(lag: Lag, most: Lag): boolean {
  return lag.bytes > most.bytes || lag.seconds > most.seconds;
}

/** The phase between prepare and cutover, from the facts alone: backfill, catchup or ready. */
export function decidePhase(facts: PhaseFacts): Extract<Phase, 'backfill' | 'catchup' | 'ready'> {
  if (facts.isRecovering) return 'catchup';
  if (facts.units.live < facts.units.total) return 'backfill';
  if (facts.owedIndexes > 0 || facts.anomalies > 0) return 'catchup';
  if (facts.repairKeys > 0 || isLagging(facts.lag, facts.maxLag)) return 'catchup';
  if (facts.verified.tainted || facts.verified.checked < facts.verified.total) return 'catchup';
  return 'ready';
}

/** Verbs that act on a migration, and the phases they fit. */
const FITTING: Readonly<
  Record<'start' | 'pause' | 'resume' | 'throttle' | 'verify' | 'cutover' | 'rollback' | 'abort' | 'finish', readonly Phase[]>
> = {
  start: ['prepared', 'backfill', 'catchup', 'ready', 'cutover', 'switched', 'rolled_back'],
  // Of a cutover that runs the daemon tells itself; the phase may also be what one left behind that was killed.
  pause: ['backfill', 'catchup', 'ready', 'cutover'],
  resume: ['backfill', 'catchup', 'ready', 'cutover'],
  throttle: ['prepared', 'backfill', 'catchup', 'ready', 'cutover', 'rolled_back'],
  verify: ['backfill', 'catchup', 'ready', 'cutover'],
  cutover: ['backfill', 'catchup', 'ready', 'cutover'],
  rollback: ['switched'],
  abort: ['prepared', 'backfill', 'catchup', 'ready', 'failed', 'cutover', 'rolled_back'],
  finish: ['switched', 'done'],
};

export function fitsPhase(verb: keyof typeof FITTING, phase: Phase): boolean {
  return FITTING[verb].includes(phase);
}
