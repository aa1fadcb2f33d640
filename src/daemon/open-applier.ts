import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { ApplierSession } from '../actions/applier-session.ts';
import { formatLsn } from '../domain/lsn.ts';
import type { Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { fetchSlot, type Migration } from '../pg/control-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { openReplication } from '../streams/replication.ts';
import { Applier } from './applier.ts';
import { slotLost } from './monitor.ts';

/**
 * Credit of the stream: what may be received and not yet applied. A batch holds about a third of the bytes, so that the next one is
 * received and decoded while it is applied. A message costs 256 bytes beside its own: the bytes run out before the messages do.
 */
const CREDIT = { messages: 65_000, bytes: 16 << 20 };
const SLICE_BYTES = 5 << 20;
interface ApplierOptions {
  readonly settings: ConnectionSettings;
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly control: Client;
  readonly log: Logger;
}

/** The consumer of the migration's slot. Throws SLOT_LOST when the slot cannot bring every change after the applied position. */
export async function openApplier(
  { settings, migration, control, log }: ApplierOptions,
  session: ApplierSession,
  closing: (() => Promise<unknown>)[],
): Promise<Applier> {
  const { plan } = migration;
  const slot = await fetchSlot(control, plan.slotName);
  if (!slot) throw slotLost(plan.slotName, 'it was dropped');
  if (slot.walStatus === 'lost') throw slotLost(plan.slotName, 'its WAL was removed (max_slot_wal_keep_size)');
  // The slot is told only what is committed; were it ahead (a failover, a hand), changes between the two would be lost.
  if (slot.confirmedLsn > session.position.lsn) {
    throw slotLost(
      plan.slotName,
      `it stands at ${formatLsn(slot.confirmedLsn)}, ahead of the applied position ${formatLsn(session.position.lsn)}`,
    );
  }
  const replication = openReplication({
    settings,
    slotName: plan.slotName,
    publicationName: plan.publicationName,
    binary: plan.binary,
    startLsn: session.position.lsn,
    credit: CREDIT,
    clientEncoding: session.clientEncoding,
    log,
  });
  closing.push(() => replication.stop());
  return new Applier(session, replication, SLICE_BYTES, () => performance.now());
}
