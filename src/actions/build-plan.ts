import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { keyKindOf, parseEvery, parseKeyText, type KeyKind } from '../domain/partition-key.ts';
import { fromMoment, infinityOf, minusInfinityOf } from '../domain/key-kind.ts';
import type { Column, SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { fetchKeyExtent, fetchKeyStatistics, fetchOccupied, listExistingNames } from '../pg/key-facts.ts';
import type { Client } from '../pg/client.ts';
import { planLeaf } from '../plan/leaf.ts';
import { planLeaves, type LeafBounds } from '../plan/leaves.ts';
import type { CopiedColumn, MigrationPlan, PlannedLeaf } from '../plan/migration-plan.ts';
import { publicationName, retiredName, slotName, targetName } from '../plan/names.ts';
import type { PlanOptions } from '../plan/options.ts';
import { planTarget } from '../plan/target.ts';
import { chooseUnitKind, hasLeadingIndex, planUnits } from '../plan/units.ts';

/**
 * Reads what the data looks like and plans the whole migration. The caller's transaction is its snapshot: after the slot exists
 * and settled, so that a row outside of the planned leaves can only come through the stream, and a leaf seen empty is empty.
 */
export async function buildPlan(client: Client, table: SourceTable, options: PlanOptions, migrationId: number): Promise<MigrationPlan> {
  const source: QualifiedName = { schema: table.schema, name: table.name };
  const target: QualifiedName = { schema: table.schema, name: targetName(migrationId, table.name) };
  const key = partitionKeyOf(table, options);
  const { kind, step } = key;
  const extent = await fetchKeyExtent(client, source, key.name);
  const min = finite(kind, table, key.name, extent.min);
  const max = finite(kind, table, key.name, extent.max);
  const now = fromMoment(kind, parseKeyText('timestamptz', extent.now));
  const statistics = await fetchKeyStatistics(client, source, key.name, kind);
  const bounds = planLeaves({ table: table.name, kind, step, min, max, now, premake: options.premake, from: fromOf(options, kind) });
  const unitKind = chooseUnitKind(table, key.name, statistics, options.unitKind);
  const occupied = await occupiedLeaves(client, table, key, bounds, min, max);
  const { units, unitOfLeaf } = planUnits({
    table,
    leaves: bounds,
    occupied,
    extent: min === null || max === null ? null : { min, max },
    now,
    kind: unitKind,
    statistics,
    chunkBytes: options.chunkBytes,
  });
  const leaves = bounds.map(({ name, lower, upper }, leaf): PlannedLeaf => {
    const unit = unitOfLeaf[leaf]!;
    return {
      leaf,
      name,
      lower: lower?.toString() ?? null,
      upper: upper?.toString() ?? null,
      unit,
      ...planLeaf(table, target, key, { leaf, name, unit, lower, upper }),
    };
  });
  const { rows } = await client.query<{ database: string }>('select pg_catalog.current_database() as database');
  const plan: MigrationPlan = {
    source,
    sourceOid: table.oid,
    target,
    retired: { schema: table.schema, name: retiredName(migrationId, table.name) },
    slotName: slotName(migrationId, rows[0]!.database),
    publicationName: publicationName(migrationId),
    ...copiedColumns(table, key.name),
    partitionKey: key,
    binary: table.binary,
    createTarget: planTarget(table, { id: migrationId, target }, key),
    leaves,
    units,
  };
  await refuseExistingNames(client, plan);
  return plan;
}

/** The partition key's column, checked for what no plan can be made without. */
function partitionKeyOf(table: SourceTable, options: PlanOptions): MigrationPlan['partitionKey'] {
  const column = table.columns.find(({ name }) => name === options.range);
  if (!column) {
    throw new MigratorError('USAGE', `table ${table.schema}.${table.name} has no column "${options.range}"`, {
      hint: `its columns: ${table.columns.map(({ name }) => name).join(', ')}`,
    });
  }
  const kind = keyKindOf(column.typeOid);
  if (kind === null || column.generated !== '') {
    throw new MigratorError(
      'USAGE',
      `column "${column.name}" (${column.generated === '' ? column.type : 'generated'}) cannot be the partition key`,
      {
        hint: 'RANGE takes timestamptz, timestamp, date, smallint, integer and bigint columns that are not generated',
      },
    );
  }
  const position = table.columns.filter(isCopied).indexOf(column);
  return { column: position, name: column.name, kind, step: parseEvery(options.every, kind) };
}

function fromOf({ from }: PlanOptions, kind: KeyKind): bigint | undefined {
  if (from === undefined) return undefined;
  try {
    const value = parseKeyText(kind, from);
    if (value !== infinityOf(kind) && value !== minusInfinityOf(kind)) return value;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new MigratorError('USAGE', `--from "${from}" is no finite ${kind}`, {
    hint: '--from 2024-01-01, or a number for integers; times are UTC',
  });
}

function finite(kind: KeyKind, table: SourceTable, column: string, text: string | null): bigint | null {
  if (text === null) return null;
  const value = parseKeyText(kind, text);
  if (value !== infinityOf(kind) && value !== minusInfinityOf(kind)) return value;
  throw new MigratorError(
    'PREFLIGHT_REFUSED',
    `column "${column}" of ${table.schema}.${table.name} holds ${text}, which lies in no period`,
    {
      hint: `set these rows to a real value: select * from ${quoteName(table)} where ${quoteIdent(column)} = '${text}'`,
    },
  );
}

function isCopied({ generated }: Column): boolean {
  return generated === '';
}

function copiedColumns(table: SourceTable, partitionKey: string): Pick<MigrationPlan, 'columns' | 'uncopied' | 'key'> {
  const columns: CopiedColumn[] = table.columns.filter(isCopied).map(({ name, type, typeOid, wire }) => ({ name, type, typeOid, wire }));
  const primary = table.indexes.find(({ isPrimary }) => isPrimary);
  if (!primary) {
    throw new MigratorError('PREFLIGHT_REFUSED', `table ${table.schema}.${table.name} has no primary key`, {
      hint: `give it one: alter table … add primary key (…, ${partitionKey})`,
    });
  }
  return {
    columns,
    uncopied: table.columns.filter((column) => !isCopied(column)).map(({ name }) => name),
    key: primary.keyColumns.map((name) => columns.findIndex((column) => column.name === name)),
  };
}

/** Probes the leaves through the index; without one, every leaf between the least and the greatest value may hold rows. */
async function occupiedLeaves(
  client: Client,
  table: SourceTable,
  key: MigrationPlan['partitionKey'],
  leaves: readonly LeafBounds[],
  min: bigint | null,
  max: bigint | null,
): Promise<boolean[]> {
  if (min === null || max === null) return leaves.map(() => false);
  const reached = leaves.map(({ lower, upper }) => (lower === null || lower <= max) && (upper === null || upper > min));
  if (!hasLeadingIndex(table, key.name)) return reached;
  const probed = leaves.flatMap(({ lower, upper }, leaf) =>
    reached[leaf] && lower !== null && upper !== null ? [{ leaf, lower, upper }] : [],
  );
  const found = await fetchOccupied(client, table, key.name, key.kind, probed);
  const empty = new Set(probed.filter((_, i) => !found[i]).map(({ leaf }) => leaf));
  return reached.map((held, leaf) => held && !empty.has(leaf));
}

/** Leaves and their indexes are named after the table: a name that is taken would stop the migration in the midst of it. */
async function refuseExistingNames(client: Client, plan: MigrationPlan): Promise<void> {
  const leafNames = plan.leaves.flatMap(({ name, finish }) => [name, ...finish.flatMap(({ makes }) => (makes === null ? [] : [makes]))]);
  const names = [plan.target.name, plan.retired.name, ...leafNames];
  const existing = await listExistingNames(client, plan.source.schema, names);
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (existing.length === 0 && twice === undefined) return;
  throw new MigratorError(
    'PREFLIGHT_REFUSED',
    `schema "${plan.source.schema}" has a relation "${existing[0] ?? twice!}" already, and the migration would make one of that name`,
    {
      detail: existing.length > 1 ? `and: ${existing.slice(1).join(', ')}` : undefined,
      hint: 'rename it or drop it, then try again',
    },
  );
}
