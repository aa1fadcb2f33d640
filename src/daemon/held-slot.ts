import type { FollowHooks } from '../actions/follow.ts';
import { store } from '../pg/control-store.ts';
import type { Worker } from './way-back.ts';

/** For who waits until a slot is free to be dropped, whatever the phase: what it waits for is said in the log, once, and shown. */
export function whileHeld({ control, log, signal }: Pick<Worker, 'control' | 'log' | 'signal'>, migrationId: number): FollowHooks {
  let said: string | null | undefined; // what is shown at first is of an earlier daemon
  return {
    signal,
    onWaiting: (waiting) => {
      if (waiting === said) return;
      said = waiting;
      if (waiting !== null) log.warn({ migration: migrationId, waiting }, 'a slot is to be dropped, and somebody reads it');
      void store(control, 'rollback/set-waiting', [migrationId, waiting]).catch(() => undefined);
    },
  };
}
