import type { KnownDefinition } from '../domain/definition.ts';
import { tableWord } from '../domain/command-word.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { inTransaction, sqlState, type Client } from '../pg/client.ts';
import { addHistory, listLeaves, listUnits, store, type Migration } from '../pg/control-store.ts';
import { fetchDefinitionNow, readDefinition, writeDefinition } from '../pg/definition.ts';
import { planFollow, type Follow } from '../plan/follow/plan-follow.ts';
import { passGuard } from '../plan/guard.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { changed } from '../plan/row-layout.ts';
import { stagingName } from '../plan/staging.ts';
import { blockChunks } from '../plan/units.ts';
import { comparedColumns, planVerifySql } from '../plan/verify-sql.ts';
import { fetchDecided } from './plan-carried.ts';

type Planned = Migration & { readonly plan: MigrationPlan };

const UNDEFINED_TABLE = '42P01';

/** The table by the name that it has now, which may be another one. */
async function fetchNow(client: Client, { sourceOid, options }: Planned): Promise<SourceTable | null> {
  const { rows } = await client.query<QualifiedName>(
    'select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1',
    [sourceOid],
  );
  return rows[0] ? fetchDecided(client, rows[0], options) : null;
}

/**
 * Compares the source with what the migration knows of it, and takes over what was altered: target and leaves likewise, with the plan, in one
 * transaction. To be called with nothing of the migration under way. Resolves with the table as it is; throws SOURCE_CHANGED for what
 * cannot be followed, with nothing changed.
 */
export async function followDefinition(
  client: Client,
  migration: Planned,
  log: { readonly warn: (fields: object, message: string) => void },
): Promise<SourceTable> {
  try {
    return await inTransaction(
      client,
      async () => {
        await client.query(`lock table only ${quoteName(migration.source)} in access share mode`);
        return takeOver(client, migration, log);
      },
      'begin isolation level repeatable read',
    );
  } catch (error) {
    if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    const now = await fetchNow(client, migration);
    if (now && quoteName(now) === quoteName(migration.source)) throw error; // it is the bookkeeping that is gone
    const why = now ? `it was renamed to ${now.schema}.${now.name} or moved to schema "${now.schema}"` : 'it was dropped';
    throw changed(migration.plan, why);
  }
}

async function takeOver(
  client: Client,
  migration: Planned,
  log: { readonly warn: (fields: object, message: string) => void },
): Promise<SourceTable> {
  const { id, plan, sourceOid } = migration;
  const table = await fetchNow(client, migration);
  const now = { ...(await fetchDefinitionNow(client, sourceOid)), table: table! };
  const before = (await readDefinition(client, id)) ?? now;
  if (!table || (before === now && now.fingerprint !== migration.fingerprint))
    throw changed(plan, table ? 'found when the daemon started' : 'it was dropped');
  const leaves = (await listLeaves(client, id)).map(({ name }) => ({ schema: plan.source.schema, name }));
  const follow = planFollow(before, now, { id, plan, leaves, roots: await fetchRoots(client, plan, id, leaves) });
  if (follow.type === 'stop') throw changed(plan, follow.why);
  if (follow.type === 'follow') {
    await carryOut(client, migration, follow, now);
    log.warn({ migration: id, altered: follow.what }, 'the source was altered: followed');
  }
  if (follow.type === 'same' && plan.filenode !== now.storage.filenode) {
    await store(client, 'store/follow-definition', [id, now.fingerprint, JSON.stringify({ ...plan, filenode: now.storage.filenode })]);
  }
  await writeDefinition(client, id, now);
  return table;
}

async function carryOut(client: Client, migration: Planned, follow: Follow & { type: 'follow' }, now: KnownDefinition): Promise<void> {
  const { id } = migration;
  const { steps, plan } = follow;
  for (const { sql } of steps) await client.query(sql);
  const units = follow.hasMoved ? await restartBlockRanges(client, migration, now.table) : plan.units;
  await store(client, 'store/follow-definition', [id, now.fingerprint, JSON.stringify({ ...plan, units })]);
  if (follow.comparesAnew) {
    await client.query(planVerifySql(plan, id, comparedColumns(now.table)).forgetSuspects);
    await store(client, 'verify/begin-pass', [id]);
  }
  await addHistory(client, id, 'followed', { altered: follow.what, statements: steps.map(({ sql }) => sql) });
}

/** Where the rows lie elsewhere now, block ranges that were copied and those that were not overlap: a unit that is being copied begins anew. */
async function restartBlockRanges(client: Client, { id, plan, options }: Planned, table: SourceTable): Promise<MigrationPlan['units']> {
  const stored = await listUnits(client, id);
  const units = [];
  for (const unit of plan.units) {
    const state = stored.find((candidate) => candidate.unit === unit.unit);
    if (unit.kind !== 'table' || state?.step !== 'chunks') {
      units.push(unit);
      continue;
    }
    const chunks = blockChunks(table, options.chunkBytes);
    await client.query(`${passGuard(id)}; truncate ${quoteName(stagingName(plan, id))}`);
    await client.query('delete from partitioner.chunk where migration = $1 and unit = $2', [id, unit.unit]);
    await store(client, 'store/insert-chunks', [id, unit.unit, chunks.map(({ lower }) => lower), chunks.map(({ upper }) => upper)]);
    units.push({ ...unit, chunks });
  }
  return units;
}

/** The target, the staging parent, and leaves that are no partitions yet: ALTER TABLE of these reaches every leaf once. */
async function fetchRoots(client: Client, plan: MigrationPlan, id: number, leaves: readonly QualifiedName[]): Promise<QualifiedName[]> {
  const names = [plan.target, stagingName(plan, id), ...leaves];
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = any ($2::text[]) and not c.relispartition`,
    [plan.target.schema, names.map(({ name }) => name)],
  );
  const there = new Set(rows.map(({ name }) => name));
  const roots = names.filter(({ name }) => there.has(name));
  if (roots[0]?.name !== plan.target.name)
    throw new MigratorError('TARGET_CHANGED', `the target ${quoteName(plan.target)} is not there any more`, {
      detail: 'somebody has dropped or renamed it; the source is untouched',
      hint: `partitioner abort ${tableWord(plan.source)}, then start again`,
    });
  return roots;
}
