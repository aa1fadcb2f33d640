import { BehaviorSubject, filter, firstValueFrom, fromEvent, map, merge, NEVER, type Observable } from 'rxjs';

/** What the parts of one running daemon tell each other. */
export interface SharedState {
  readonly paused$: BehaviorSubject<boolean>;
  /** What the daemon waits for, for status; null when it does not. */
  readonly waiting$: BehaviorSubject<string | null>;
  /** A cutover is being attempted. */
  readonly cutting$: BehaviorSubject<boolean>;
}

export function createSharedState(paused: boolean): SharedState {
  return { paused$: new BehaviorSubject(paused), waiting$: new BehaviorSubject<string | null>(null), cutting$: new BehaviorSubject(false) };
}

/** Resolves when the backfill is not paused; rejects with the signal's reason. */
export async function untilUnpaused({ paused$ }: SharedState, signal: AbortSignal): Promise<void> {
  await firstValueFrom(merge(paused$.pipe(filter((paused) => !paused)), aborted$(signal)), { defaultValue: undefined });
  signal.throwIfAborted();
}

/** Emits once when the signal aborts, also when it has already. */
export function aborted$(signal: AbortSignal): Observable<void> {
  if (signal.aborted) return new BehaviorSubject<void>(undefined);
  return merge(fromEvent(signal, 'abort'), NEVER).pipe(map(() => undefined));
}
