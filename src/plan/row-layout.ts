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
  const positions = plan.columns.map((column) => {
    const position = relation.columns.findIndex(({ name }) => name === column.name);
    if (position < 0) throw changed(plan, `column "${column.name}" is gone`);
    const { typeOid } = relation.columns[position]!;
    if (typeOid !== column.typeOid) throw changed(plan, `column "${column.name}" has another type`);
    return position;
  });
  const added = relation.columns.find(({ name }) => !plan.columns.some((column) => column.name === name) && !plan.uncopied.includes(name));
  if (added) throw changed(plan, `column "${added.name}" is new`);
  return {
    positions,
    keyPositions: plan.key.map((i) => positions[i]!),
    keyCanons: plan.key.map((i) => keyCanon(baseTypes[i]!, plan.columns[i]!.wire)),
    partitionPosition: positions[plan.partitionKey.column]!,
    partitionKind: plan.partitionKey.kind,
    partitionWire: plan.columns[plan.partitionKey.column]!.wire,
  };
}

export function changed(plan: MigrationPlan, detail: string): MigratorError {
  const table = `${plan.source.schema}.${plan.source.name}`;
  return new MigratorError('SOURCE_CHANGED', `table ${table} was altered while it is migrated`, {
    detail: `${detail}; the source is untouched by us, and what was copied no longer fits it`,
    hint: `partitioner abort ${table}, then partitioner start ${table} again`,
  });
}
