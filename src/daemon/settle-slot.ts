import { setTimeout as sleep } from 'node:timers/promises';
import { beginRecovery } from '../actions/begin-recovery.ts';
import { describeHolder, fetchSlotLoss } from '../actions/slot-loss.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { addHistory, fetchPosition, store, type Migration } from '../pg/control-store.ts';
import { fetchRecovery, openRecovery } from '../pg/recovery-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { awaitResume } from './await-resume.ts';
import type { CommandEnd } from './command-context.ts';
import { SlotTooDear } from './monitor.ts';
import type { Worker } from './way-back.ts';

/** A slot that is lost again and again (a limit that is too low) is not made anew without a pause. */
const AGAIN_MS = 1_000;
const HELD_MS = 250;

type Planned = Migration & { readonly plan: MigrationPlan };

export function isSlotLost(error: unknown): error is MigratorError {
  return error instanceof MigratorError && error.code === 'SLOT_LOST';
}

/** Loud, and written down: from here on the recovery is due, whoever works on it. */
export async function noteSlotLost(worker: Worker, migration: Migration, error: MigratorError): Promise<void> {
  const { control, log, signal } = worker;
  const reason = error.detail === undefined || error.message.includes(':') ? error.message : `${error.message}: ${error.detail}`;
  if (error instanceof SlotTooDear) {
    if (!(await openRecovery(control, migration.id, reason, true))) return;
    log.error({ migration: migration.id, reason }, 'THE SLOT IS DROPPED, to save the disk: nothing is followed before partitioner resume');
    await addHistory(control, migration.id, 'slot dropped', { reason });
    return; // settleSlot drops it: whoever comes next, should this daemon be killed here
  }
  await note(worker, migration.id, reason);
  await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
}

async function note({ control, log }: Pick<Worker, 'control' | 'log'>, migrationId: number, reason: string): Promise<void> {
  if (!(await openRecovery(control, migrationId, reason, false))) return;
  log.error({ migration: migrationId, reason }, 'THE SLOT IS LOST: changes may be missing; it is made anew, and everything is compared');
  await addHistory(control, migrationId, 'slot lost', { reason });
}

/**
 * Before the stream is followed: makes the slot anew when it cannot bring every change, or when it was found lost before. A slot that
 * somebody else reads is waited for: what he confirms is lost to us, and is seen when he has gone. Resolves with the command that ends the
 * daemon's work, when one has come meanwhile.
 */
export async function settleSlot(worker: Worker, migration: Planned, table: SourceTable): Promise<CommandEnd | null> {
  const { control, log, signal } = worker;
  const { id, plan } = migration;
  if ((await fetchRecovery(control, id))?.held === true) {
    const end = await awaitResume(worker, migration);
    if (end) return end;
  }
  const loss = await awaitFreeSlot(worker, migration);
  if (loss !== null) await note(worker, id, `replication slot "${plan.slotName}" is lost: ${loss}`);
  const recovery = await fetchRecovery(control, id);
  if (recovery === null || recovery.slotLsn !== null) return null; // none, or it goes on with the slot that was made anew
  await beginRecovery(control, migration, table, recovery, {
    signal,
    onWaiting: (what) => {
      if (what !== null) log.info({ waiting: what }, 'the slot is to be made anew');
      void store(control, 'store/set-phase', [id, 'catchup', what]).catch(() => undefined);
    },
  });
  log.warn({ migration: id }, 'the slot is made anew');
  return null;
}

/** Resolves with why the slot is lost, null when it is not. */
async function awaitFreeSlot({ control, log, signal, beat }: Worker, { id, plan, phase }: Planned): Promise<string | null> {
  for (let said: string | null = null; ;) {
    signal.throwIfAborted();
    const { lsn } = await fetchPosition(control, id);
    const loss = await fetchSlotLoss(control, plan.slotName, lsn);
    const holder = loss === null ? await describeHolder(control, plan.slotName) : null;
    if (holder === null) return loss;
    const waiting = `replication slot "${plan.slotName}", which ${holder} reads`;
    if (waiting !== said) log.warn({ waiting }, 'somebody else reads the slot');
    said = waiting;
    await beat(control);
    await store(control, 'store/set-phase', [id, phase === 'backfill' ? phase : 'catchup', waiting]);
    await sleep(HELD_MS, undefined, { signal });
  }
}
