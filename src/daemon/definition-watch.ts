import { exhaustMap, ignoreElements, timer, type Observable } from 'rxjs';
import { assertTarget } from '../actions/assert-target.ts';
import { fetchFingerprint } from '../pg/catalog.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { fetchMigrationById, type Migration } from '../pg/control-store.ts';
import { areTypesAltered, fetchFilenode } from '../pg/definition.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { looksAltered } from '../plan/row-layout.ts';
import type { Pool } from './pool.ts';

const LOOK_MS = 1_000;

/**
 * Looks once a second whether the source is what the migration knows: also when nothing is copied and nothing comes with the stream. Errors with
 * SOURCE_CHANGED. One snapshot tells both what the source is and whether it was switched, which renames it.
 */
export function watchDefinition$(desk: Pool<Client>, migration: Migration & { readonly plan: MigrationPlan }): Observable<never> {
  return timer(LOOK_MS, LOOK_MS).pipe(
    exhaustMap(() => desk.use((client) => inTransaction(client, () => look(client, migration), 'begin isolation level repeatable read'))),
    ignoreElements(),
  );
}

async function look(client: Client, { id, sourceOid, fingerprint, plan }: Migration & { readonly plan: MigrationPlan }): Promise<void> {
  const now = await fetchMigrationById(client, id);
  if (!now || now.phase === 'switched') return;
  if ((await fetchFingerprint(client, sourceOid)) !== fingerprint) throw looksAltered(plan, 'its catalog rows differ from those planned');
  const filenode = await fetchFilenode(client, sourceOid);
  if (plan.filenode !== undefined && filenode !== plan.filenode) throw looksAltered(plan, 'its rows were moved or rewritten');
  if (await areTypesAltered(client, id, sourceOid)) throw looksAltered(plan, 'a type of its columns was altered');
  await assertTarget(client, now);
}
