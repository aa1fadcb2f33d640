import type { SourceTable } from '../domain/table.ts';
import { withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import type { Migration } from '../pg/control-store.ts';
import { listWaysBack } from '../pg/way-back-store.ts';
import { createPublication, createSlot, type FollowHooks } from './follow.ts';
import { dropRetiredViews, dropTwins } from './twins.ts';
import { dropWaysBack, explainNoStream, stopStream } from './way-back.ts';

/**
 * What the stream of the cutover's direction needs when it begins anew: publication and slot of the un-partitioned table, which has the retired
 * name until the switch back. Made before the lock, as for the cutover; removed again when the switch back does not come.
 */
export async function prepareForward(
  settings: ConnectionSettings,
  parent: Migration,
  table: SourceTable,
  hooks: FollowHooks,
): Promise<void> {
  await withClient(settings, { applicationName: 'partitioner rollback' }, async (client) => {
    await stopStream(client, parent);
    try {
      await createPublication(client, parent.publicationName, { ...table, name: parent.retiredName }, hooks);
      await createSlot(client, parent.slotName, hooks);
    } catch (error) {
      await stopStream(client, parent).catch(() => undefined);
      throw explainNoStream(error, 'rollback');
    }
  });
}

export async function dropForward(settings: ConnectionSettings, parent: Migration): Promise<void> {
  await withClient(settings, { applicationName: 'partitioner rollback' }, (client) => stopStream(client, parent));
}

/**
 * What a switch back leaves behind, or a cutover that was killed before its lock: the way back's slot, publication and tables, and the
 * materialized views that made way for others, both times. Safe to repeat. A slot that somebody else reads is waited for.
 */
export async function settleRolledBack(client: Client, parent: Migration, hooks: FollowHooks): Promise<void> {
  const taken = (await listWaysBack(client, parent.id)).filter(({ phase }) => phase === 'done');
  for (const id of taken.length === 0 ? [] : [parent.id, ...taken.map((wayBack) => wayBack.id)]) {
    await dropRetiredViews(client, id);
    await dropTwins(client, id);
  }
  await dropWaysBack(client, parent.id, hooks);
}
