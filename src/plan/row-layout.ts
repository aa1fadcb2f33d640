import { tableWord } from '../domain/command-word.ts';
import type { WalMessage } from '../domain/pgoutput.ts';
import { keyCanon } from '../domain/row-key.ts';
import type { RowLayout } from '../domain/net-effect.ts';
import { MigratorError } from '../errors.ts';
import type { MigrationPlan } from './migration-plan.ts';

/**
 * Where the planned columns stand in the stream's tuples, from a Relation message.
 * Throws SOURCE_CHANGED when the source no longer has the columns that were planned.
 *
 * @param baseTypes of the planned columns, domains taken down.
 */
export function planRowLayout(
  plan: MigrationPlan,
  baseTypes: readonly string[],
  relation: Extract<WalMessage, { kind: 'relation' }>,
): RowLayout {
  const sent = plan.columns.length - missingColumns(plan, relation);
  const positions = plan.columns.map((column, i) => {
    if (i >= sent) return relation.columns.length + i - sent; // the tuple is filled up behind what was sent
    const position = relation.columns.findIndex(({ name }) => name === column.name);
    if (position < 0) throw changed(plan, `column "${column.name}" is gone`);
    const { typeOid } = relation.columns[position]!;
    if (typeOid !== column.typeOid) throw changed(plan, `column "${column.name}" has another type`);
    return position;
  });
  const added = relation.columns.find(({ name }) => !plan.columns.some((column) => column.name === name) && !plan.uncopied.includes(name));
  if (added) throw changed(plan, `column "${added.name}" is new`);
  assertKeySent(plan, relation);
  return {
    positions,
    keyPositions: plan.key.map((i) => positions[i]!),
    keyCanons: plan.key.map((i) => keyCanon(baseTypes[i]!, plan.columns[i]!.wire)),
    partitionPosition: positions[plan.partitionKey.column]!,
    partitionKind: plan.partitionKey.kind,
    partitionWire: plan.columns[plan.partitionKey.column]!.wire,
  };
}

/** How many of the columns that came meanwhile, the last ones, a change from before them does not have. */
export function missingColumns(plan: MigrationPlan, relation: Extract<WalMessage, { kind: 'relation' }>): number {
  const { added = [] } = plan;
  const first = added.findIndex(({ name }) => relation.columns.every((column) => column.name !== name));
  if (first < 0) return 0;
  const late = added.slice(first).find(({ name }) => relation.columns.some((column) => column.name === name));
  if (late) throw changed(plan, `column "${added[first]!.name}" is gone`);
  return added.length - first;
}

/** pgoutput's flag of the key's columns: an old key is sent with these alone. */
function assertKeySent(plan: MigrationPlan, relation: Extract<WalMessage, { kind: 'relation' }>): void {
  if (relation.replicaIdentity === 'f' || relation.replicaIdentity === 'n') return;
  const unsent = plan.key
    .map((i) => plan.columns[i]!.name)
    .find((name) => !relation.columns.some((column) => column.name === name && column.isKey));
  if (unsent !== undefined) throw changed(plan, `column "${unsent}" of the primary key is not in the replica identity`);
}

/** What the catalog showed at a glance, while the migration runs: it may be one that can be followed, or be undone by the time that it is looked into. */
export class LooksAltered extends MigratorError {}

export function looksAltered(plan: MigrationPlan, detail: string): LooksAltered {
  const { code, message, detail: told, hint } = changed(plan, detail);
  return new LooksAltered(code, message, { detail: told, hint });
}

export function changed(plan: MigrationPlan, detail: string): MigratorError {
  const table = `${plan.source.schema}.${plan.source.name}`;
  const word = tableWord(plan.source);
  return new MigratorError('SOURCE_CHANGED', `table ${table} was altered while it is migrated`, {
    detail: `${detail}; the source is untouched by us, and what was copied no longer fits it`,
    hint: `partitioner abort ${word}, then partitioner start ${word} again`,
  });
}
