import { compareStorage, diffDefinitions, passedColumns, type KnownDefinition, type ObjectChange } from '../../domain/definition.ts';
import { isEqual } from '../../domain/equal.ts';
import type { DdlStep, MigrationPlan } from '../migration-plan.ts';
import { planLeaf } from '../leaf.ts';
import { followColumns } from './columns.ts';
import { followConstraints } from './constraints.ts';
import { followIndexes } from './indexes.ts';
import { restateComments, restateGrants, restateOptions } from './metadata.ts';
import { stopAtIdentity, stopAtTable } from './table.ts';
import { withoutLate } from './late.ts';
import { CannotFollow, type FollowContext, type Followed } from './rule.ts';

export type Follow =
  | { readonly type: 'same' }
  /** Why the migration cannot go on. */
  | { readonly type: 'stop'; readonly why: string }
  | {
      readonly type: 'follow';
      readonly what: readonly string[];
      /** On the target and its leaves, in one transaction with the new definition. */
      readonly steps: readonly DdlStep[];
      readonly plan: MigrationPlan;
      /** The rows have other addresses: what is read by block ranges begins anew. */
      readonly hasMoved: boolean;
      /** Everything is to be compared once more. */
      readonly comparesAnew: boolean;
    };

/**
 * Decides what becomes of a source that was altered: every difference of the two definitions is followed by one rule, or the migration stops.
 * What no rule knows stops it too.
 */
export function planFollow(before: KnownDefinition, now: KnownDefinition, context: FollowContext): Follow {
  if (now.objects.length === 0) return { type: 'stop', why: 'it was dropped' };
  const changes = diffDefinitions(before.objects, now.objects);
  const storage = compareStorage(before.storage, now.storage);
  const isPassed = passedColumns(before.storage, now.storage).length > 0;
  if (changes.length === 0 && storage === 'same' && !isPassed && isEqual(before.types, now.types)) return { type: 'same' };
  try {
    stopAtTable(changes, before, now);
    stopAtRewrite(storage, changes, now);
    stopAtTypes(before, now);
    return follow(changes, storage === 'moved', before, now, context);
  } catch (error) {
    if (error instanceof CannotFollow) return { type: 'stop', why: error.message };
    throw error;
  }
}

function follow(
  changes: readonly ObjectChange[],
  hasMoved: boolean,
  before: KnownDefinition,
  now: KnownDefinition,
  context: FollowContext,
): Follow {
  const columns = followColumns(changes, before, now, context);
  stopAtIdentity(changes);
  const indexes = followIndexes(changes, before.table, now.table, context);
  const constraints = followConstraints(changes, context, columns.late);
  const fields = new Set(changes.filter(({ kind }) => kind === 'table').flatMap((change) => change.fields));
  const isCommented = changes.some(({ kind }) => kind === 'comment');
  const isGranted = fields.has('relacl') || changes.some(({ kind, fields: of }) => kind === 'column' && of.includes('attacl'));
  const late = { ...constraints.late, indexComments: constraints.late.indexComments || isCommented };
  const plan: MigrationPlan = { ...context.plan, columns: columns.columns, added: columns.added, late, filenode: now.storage.filenode };
  const table = withoutLate(now.table, plan);
  const parts: Followed[] = [
    columns,
    constraints,
    indexes,
    ...(isGranted ? [restateGrants(before.table, now.table, plan.target)] : []),
    ...(fields.has('reloptions') || fields.has('toast_options') ? [restateOptions(before.table, now.table, context)] : []),
    ...(isCommented ? [restateComments(table, context)] : []),
    {
      what: changes
        .filter(({ kind }) => kind === 'sequence')
        .map(({ now: row, before: was }) => `sequence "${String((row ?? was)!.relname)}"`),
      steps: [],
    },
    { what: hasMoved ? ['its rows were moved (VACUUM FULL, CLUSTER or TRUNCATE)'] : [], steps: [] },
  ];
  return {
    type: 'follow',
    what: parts.flatMap(({ what }) => what),
    steps: parts.flatMap(({ steps }) => steps),
    plan: { ...plan, leaves: plan.leaves.map((leaf) => ({ ...leaf, ...planLeaf(table, plan.target, plan.partitionKey, rangeOf(leaf)) })) },
    hasMoved,
    comparesAnew: hasMoved || columns.added.length > (context.plan.added ?? []).length,
  };
}

function rangeOf({ leaf, name, unit, lower, upper }: MigrationPlan['leaves'][number]): Parameters<typeof planLeaf>[3] {
  return { leaf, name, unit, lower: lower === null ? null : BigInt(lower), upper: upper === null ? null : BigInt(upper) };
}

/** New values of which the stream knows nothing. */
function stopAtRewrite(storage: ReturnType<typeof compareStorage>, changes: readonly ObjectChange[], now: KnownDefinition): void {
  if (storage !== 'rewritten') return;
  const columns = changes
    .filter(({ kind }) => kind === 'column')
    .map(({ before, now: row }) => `column "${String((row ?? before)!.attname)}"`);
  const of = columns.length > 0 ? ` (${columns.join(', ')})` : '';
  throw new CannotFollow(
    `it was rewritten by ALTER TABLE${of}: its rows have values that the change stream does not bring, in file ${now.storage.filenode}`,
  );
}

function stopAtTypes(before: KnownDefinition, now: KnownDefinition): void {
  for (const [name, definition] of Object.entries(before.types)) {
    if (now.types[name] !== definition) throw new CannotFollow(`type ${name} of a column was altered or renamed`);
  }
  const passed = passedColumns(before.storage, now.storage);
  if (passed.length > 0) throw new CannotFollow('a column was added and dropped again, and the change stream may still bring values of it');
}
