import { BehaviorSubject, combineLatest, filter, firstValueFrom, fromEvent, map, merge, NEVER, type Observable } from 'rxjs';
import { FULL_PACE, type Pace, type ThrottleLimits } from '../migration/throttle.ts';

/** What the parts of one running daemon tell each other. */
export interface SharedState {
  readonly paused$: BehaviorSubject<boolean>;
  /** What the daemon waits for, for status; null when it does not. */
  readonly waiting$: BehaviorSubject<string | null>;
  /** A cutover is being attempted. */
  readonly cutting$: BehaviorSubject<boolean>;
  readonly limits$: BehaviorSubject<ThrottleLimits>;
  /** What the limits allow now. */
  readonly pace$: BehaviorSubject<Pace>;
  /** That changes come faster than they are applied, for people; null while they do not. */
  readonly outrun$: BehaviorSubject<string | null>;
}

export function createSharedState(paused: boolean, limits: ThrottleLimits = {}): SharedState {
  return {
    paused$: new BehaviorSubject(paused),
    waiting$: new BehaviorSubject<string | null>(null),
    cutting$: new BehaviorSubject(false),
    limits$: new BehaviorSubject(limits),
    pace$: new BehaviorSubject(FULL_PACE),
    outrun$: new BehaviorSubject<string | null>(null),
  };
}

/** Resolves when the work is neither paused nor held by a limit; rejects with the signal's reason. */
export async function untilUnpaused({ paused$, pace$ }: SharedState, signal: AbortSignal): Promise<void> {
  const free$ = combineLatest([paused$, pace$]).pipe(filter(([paused, { pace }]) => !paused && pace !== 'hold'));
  await firstValueFrom(merge(free$, aborted$(signal)), { defaultValue: undefined });
  signal.throwIfAborted();
}

/** Emits once when the signal aborts, also when it has already. */
export function aborted$(signal: AbortSignal): Observable<void> {
  if (signal.aborted) return new BehaviorSubject<void>(undefined);
  return merge(fromEvent(signal, 'abort'), NEVER).pipe(map(() => undefined));
}
