import { exhaustMap, filter, timer, type Observable } from 'rxjs';
import { fetchStatus, type Status } from '../actions/status.ts';
import { quoteName } from '../domain/identifier.ts';
import { formatBytes } from '../domain/quantity.ts';
import { MigratorError } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Client } from '../pg/client.ts';
import { store, type Migration } from '../pg/control-store.ts';
import type { Applier } from './applier.ts';
import { slotLost } from './monitor.ts';
import type { Pool } from './pool.ts';
import type { SharedState } from './shared-state.ts';
import { ToldBehind } from './told-behind.ts';

const SAMPLE_MS = 1_000;

export interface WayBackWatch {
  readonly desk: Pool<Client>;
  /** The migration that was switched. */
  readonly parent: Migration;
  readonly state: SharedState;
  readonly metrics: Metrics;
  readonly applier: Applier;
  readonly limitBytes: number;
  readonly beat: (control: Client) => Promise<unknown>;
}

/** Samples the way back once a second. Errors when its slot is lost, or retains more WAL than the limit: the disk is worth more. */
export function watchWayBack$({ desk, parent, state, metrics, applier, limitBytes, beat }: WayBackWatch): Observable<Status> {
  const behind = new ToldBehind(applier, parent.id);
  return timer(0, SAMPLE_MS).pipe(
    exhaustMap(() => desk.use(sample)),
    filter((status) => status !== null),
  );

  async function sample(control: Client): Promise<Status | null> {
    await beat(control);
    await behind.tell(control);
    const [status] = await fetchStatus(control, quoteName(parent.source));
    // Another phase: the switch back has just been committed.
    if (status?.migration !== parent.id || status.phase !== 'switched') return null;
    await store(control, 'rollback/set-waiting', [parent.id, state.waiting$.value]);
    const { slot, wayBack } = status;
    if (wayBack?.open === true) {
      if (!slot) throw slotLost('of the way back', 'it was dropped');
      if (slot.walStatus === 'lost') throw slotLost(slot.name, 'its WAL was removed (max_slot_wal_keep_size)');
      if (slot.retainedBytes > limitBytes) throw limitReached(slot.retainedBytes, limitBytes);
    }
    const current = { ...status, waiting: state.waiting$.value };
    metrics.setStatus(current);
    return current;
  }
}

function limitReached(retained: number, limit: number): MigratorError {
  return new MigratorError(
    'WAY_BACK_CLOSED',
    `the slot of the way back retains ${formatBytes(retained)} of WAL, more than its limit of ${formatBytes(limit)}`,
    { detail: 'the slot is dropped, so that the disk does not fill', hint: 'start --way-back-wal sets the limit' },
  );
}
