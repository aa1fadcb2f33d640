import type { Logger } from 'pino';
import { exhaustMap, filter, timer, type Observable } from 'rxjs';
import { fetchStatus, type Status } from '../actions/status.ts';
import { tableWord } from '../domain/command-word.ts';
import { formatBytes } from '../domain/quantity.ts';
import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { decidePhase, type Lag } from '../migration/phase.ts';
import type { Client } from '../pg/client.ts';
import { store, type Migration } from '../pg/control-store.ts';
import type { Applier } from './applier.ts';
import { OutrunWatch } from './outrun.ts';
import type { Pool } from './pool.ts';
import type { SharedState } from './shared-state.ts';
import { describePace } from './throttle.ts';
import { ToldBehind } from './told-behind.ts';
import type { Verifier } from './verifier.ts';

const SAMPLE_MS = 1_000;

export interface MonitorOptions {
  readonly desk: Pool<Client>;
  readonly migration: Migration;
  readonly applier: Applier;
  readonly verifier: Verifier;
  readonly state: SharedState;
  readonly metrics: Metrics;
  /** Up to it, with everything live, the phase is ready. */
  readonly maxLag: Lag;
  readonly beat: (control: Client) => Promise<unknown>;
  readonly log: Logger;
}

/** Samples lag, slot and units once a second: heartbeat, phase, metrics. Errors with SLOT_LOST when the slot is. */
export function monitor$(options: MonitorOptions): Observable<Status> {
  let phase = options.migration.phase;
  const outrun = new OutrunWatch(options.log, options.maxLag.bytes);
  const behind = new ToldBehind(options.applier, options.migration.id);
  return timer(0, SAMPLE_MS).pipe(
    exhaustMap(() => options.desk.use(sample)),
    filter((status) => status !== null),
  );

  async function sample(control: Client): Promise<Status | null> {
    const { migration, applier, state, metrics, log } = options;
    await options.beat(control);
    await behind.tell(control);
    const [status] = await fetchStatus(control, quoteName(migration.source));
    if (!status || status.migration !== migration.id || status.phase === 'switched') return null;
    assertSlotKept(status);
    assertSlotAffordable(status, state.limits$.value['drop-slot-wal']);
    state.outrun$.next(outrun.observe(status));
    const decided = state.cutting$.value
      ? ('cutover' as const)
      : decidePhase({
          units: status.units,
          isRecovering: applier.session.isRecovering,
          repairKeys: applier.session.repair.size,
          anomalies: status.anomalies,
          owedIndexes: applier.session.owedIndexes,
          verified: options.verifier.state,
          lag: status.lag ?? { bytes: 0, seconds: 0 },
          maxLag: options.maxLag,
        });
    if (decided !== phase) log.info({ from: phase, to: decided }, 'phase');
    phase = decided;
    const waiting = describeWaiting(state);
    await store(control, 'store/set-phase', [migration.id, decided, waiting]);
    const current = { ...status, phase: decided, waiting };
    metrics.setStatus(current);
    return current;
  }
}

/** What the daemon waits for, and what slows it down. */
function describeWaiting({ waiting$, pace$, outrun$ }: SharedState): string | null {
  const parts = [describePace(pace$.value), outrun$.value, waiting$.value].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join('; ');
}

/** The slot retains more than the disk is to be filled with. */
export class SlotTooDear extends MigratorError {}

function assertSlotAffordable({ slot, source }: Status, limit: number | undefined): void {
  if (!slot || limit === undefined || slot.retainedBytes <= limit) return;
  throw new SlotTooDear(
    'SLOT_LOST',
    `replication slot "${slot.name}" retains ${formatBytes(slot.retainedBytes)} of WAL, more than --drop-slot-wal ${formatBytes(limit)}: it is dropped, to save the disk`,
    {
      detail: 'changes are missing in the target from here on; the source is untouched',
      hint: `partitioner resume ${tableWord(source)} recovers from it`,
    },
  );
}

function assertSlotKept({ slot }: Status): void {
  if (slot && slot.walStatus !== 'lost') return;
  throw slotLost(
    slot?.name ?? 'of the migration',
    slot ? 'the server has invalidated it (max_slot_wal_keep_size, idle_replication_slot_timeout, wal_level)' : 'somebody dropped it',
  );
}

export function slotLost(name: string, why: string): MigratorError {
  return new MigratorError('SLOT_LOST', `replication slot "${name}" is lost: ${why}`, {
    detail: 'changes may be missing in the target; the source is untouched',
    hint: 'before the cutover the daemon makes it anew and compares everything; after it the way back ends',
  });
}
