import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { ApplierSession } from '../actions/applier-session.ts';
import { fetchSlotLoss } from '../actions/slot-loss.ts';
import type { Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import type { Migration } from '../pg/control-store.ts';
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
  const loss = await fetchSlotLoss(control, plan.slotName, session.position.lsn);
  if (loss !== null) throw slotLost(plan.slotName, loss);
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
