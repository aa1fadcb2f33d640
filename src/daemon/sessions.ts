import { exhaustMap, filter, fromEvent, interval, map, type Observable } from 'rxjs';
import type { Lsn } from '../domain/lsn.ts';
import type { Client } from '../pg/client.ts';
import { emitMessage } from '../pg/control-store.ts';
import type { Applier } from './applier.ts';

/** An idle WAL is pushed this often while somebody waits for a position. */
const PUSH_MS = 50;

/** While somebody waits for a position, the WAL must go on: on an idle server nothing else would move the stream past it. */
export function push$(applier: Applier, pusher: Client): Observable<Lsn> {
  return interval(PUSH_MS).pipe(
    filter(() => applier.isAwaited),
    exhaustMap(() => emitMessage(pusher, 'push')),
  );
}

/** Errors when a session is cut, also while it is idle: at its next use it might be in the middle of a cutover. */
export function lost$(client: Client): Observable<never> {
  return fromEvent(client, 'error').pipe(
    map((error) => {
      throw error as Error;
    }),
  );
}
