import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { WayBackFacts } from '../plan/way-back.ts';
import type { Client } from './client.ts';
import { store, toMigration, type Migration } from './control-store.ts';

/**
 * The way back of a migration: a row of its own. `prepared` while the cutover is attempted, `ready` while it is open, `failed` when it
 * has closed by itself, `done` when it was taken or is not wanted any more.
 */
export interface WayBack extends Migration {
  /** Null before the cutover is committed. */
  readonly facts: WayBackFacts | null;
}

/** An open one: its stream is followed. */
export type OpenWayBack = WayBack & { readonly plan: MigrationPlan; readonly facts: WayBackFacts };

/** The newest first. */
export async function listWaysBack(client: Client, migrationId: number): Promise<WayBack[]> {
  const rows = await store(client, 'rollback/list', [migrationId]);
  return rows.map((row) => ({ ...toMigration(row), facts: row.way_back as WayBackFacts | null }));
}

export async function fetchWayBack(client: Client, migrationId: number): Promise<WayBack | null> {
  return (await listWaysBack(client, migrationId))[0] ?? null;
}

export function isOpenWayBack(wayBack: WayBack | null): wayBack is OpenWayBack {
  return wayBack?.phase === 'ready' && wayBack.plan !== null && wayBack.facts !== null;
}
