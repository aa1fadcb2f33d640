import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import { lockTable } from '../plan/attachments/carried.ts';
import { planTwin, type MaterializedViewFacts, type Twin } from '../plan/attachments/materialized-views.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { targetObjectName } from '../plan/names.ts';

/** What each materialized view held when its twin was filled (MaterializedView.contents), by its oid: if it differs, it was refreshed since. */
export type FilledTwins = Map<string, string>;

export interface TwinContext {
  readonly client: Client;
  readonly migrationId: number;
  readonly plan: Pick<MigrationPlan, 'source' | 'target'>;
  readonly lockTimeoutMs: number;
  /** Runs a statement that may wait for a lock, and notes for whom. */
  readonly query: (statement: string) => Promise<unknown>;
  readonly onWaiting: (what: string | null) => void;
  /** Resolves when the target has everything that was committed before the call. */
  readonly caughtUp: () => Promise<void>;
}

/**
 * Makes the twins and fills them, before the lock of the cutover: those that are filled already, and whose view was not refreshed
 * since, stay. Without materialized views nothing happens. Throws lock_not_available (55P03) when the source cannot be locked for the
 * moment that their making takes.
 */
export async function fillTwins(context: TwinContext, facts: readonly MaterializedViewFacts[], filled: FilledTwins): Promise<void> {
  const { client, migrationId, onWaiting, caughtUp } = context;
  if (facts.every(({ view }) => filled.get(view.oid) === view.contents)) return;
  const twins = facts.map((each) => planTwin(each, migrationId));
  filled.clear();
  await dropTwins(client, migrationId);
  await makeTwins(context, twins);
  // What a refresh of the view has seen, its twin is to see too.
  await caughtUp();
  for (const { view, twin, finish } of twins) {
    onWaiting(`materialized view ${view.schema}.${view.name}: its twin is filled`);
    if (view.populated) await client.query(`refresh materialized view ${quoteName(twin)}`);
    for (const step of finish) await client.query(step.sql);
    filled.set(view.oid, view.contents);
  }
  onWaiting(null);
}

/**
 * PostgreSQL binds a query to what has the name when it is read: within one short transaction the target has the source's name, and
 * then each twin that of its view. Nobody sees that; the lock is held for some milliseconds, on empty views.
 */
async function makeTwins({ client, migrationId, plan, lockTimeoutMs, query }: TwinContext, twins: readonly Twin[]): Promise<void> {
  const swapped: { readonly kind: string; readonly old: QualifiedName; readonly made: QualifiedName; readonly aside: string }[] = [];
  const rename = (kind: string, from: QualifiedName, to: string): Promise<unknown> =>
    query(`alter ${kind} ${quoteName(from)} rename to ${quoteIdent(to)}`);
  const swap = async (kind: string, old: QualifiedName, made: QualifiedName, aside: string): Promise<void> => {
    await rename(kind, old, aside);
    await rename(kind, made, old.name);
    swapped.unshift({ kind, old, made, aside });
  };
  await inTransaction(client, async () => {
    await client.query(`set local lock_timeout = ${lockTimeoutMs}`);
    await query(lockTable(plan.source, 'access exclusive', 'its name is lent').sql);
    await swap('table', plan.source, plan.target, targetObjectName(migrationId, 'w', 0));
    for (const [position, { view, twin, create }] of twins.entries()) {
      await client.query(create.sql);
      const isRead = twins.some((other) => other.view.depth > view.depth);
      if (isRead) await swap('materialized view', view, twin, targetObjectName(migrationId, 'w', position + 1));
    }
    for (const { kind, old, made, aside } of swapped) {
      await rename(kind, old, made.name);
      await rename(kind, { schema: old.schema, name: aside }, old.name);
    }
  });
}

/** Removes the twins of a migration: of an attempt that was given up, or with the migration. */
export async function dropTwins(client: Client, migrationId: number): Promise<void> {
  await dropMaterializedViews(client, `^partitioner_${migrationId}_m[0-9]+$`);
}

/** Removes the materialized views that went aside with the retired table. */
export async function dropRetiredViews(client: Client, migrationId: number): Promise<void> {
  await dropMaterializedViews(client, `^partitioner_${migrationId}_retired_`);
}

async function dropMaterializedViews(client: Client, pattern: string): Promise<void> {
  const views = (await store(client, 'cutover/materialized-views', [pattern])) as unknown as QualifiedName[];
  if (views.length > 0) await client.query(`drop materialized view ${views.map(quoteName).join(', ')} restrict`);
}
