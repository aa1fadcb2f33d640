import type { Attachments } from '../../domain/attachments.ts';
import { tableWord } from '../../domain/command-word.ts';
import type { SourceTable } from '../../domain/table.ts';
import { carriedIndexes } from '../index-sql.ts';
import type { MigrationPlan } from '../migration-plan.ts';
import { join, label, only, type AttachmentContext, type Carried, type Fate } from './carried.ts';
import { planForeignKey } from './foreign-keys.ts';
import { planPolicy, planRowSecurity } from './policies.ts';
import { planPublication } from './publications.ts';
import { planMention, planRoutine } from './routines.ts';
import { planTrigger, retireTriggers } from './triggers.ts';
import { planMaterializedView } from './materialized-views.ts';
import { planRule, planView } from './views.ts';

/**
 * What becomes of everything that hangs on the table, and the statements of it. The order is that of the switch: what others
 * read before those who read it; triggers, foreign keys and publications last, when everything they may name is there.
 */
export function planAttachments(attachments: Attachments, context: AttachmentContext): Carried {
  const { foreignKeys, triggers, views, routines, mentions, policies, rowSecurity, rules, publications } = attachments;
  const known = new Set(routines.map(({ identity }) => identity));
  const rebuilt = routines.filter(({ isInSignature }) => isInSignature);
  return join([
    ...rebuilt.map((routine) => planRoutine(routine, context)),
    ...context.materializedViews.map((facts) => planMaterializedView(facts, context)),
    ...views.map((view) => planView(view, context)),
    ...routines.filter((routine) => !rebuilt.includes(routine)).map((routine) => planRoutine(routine, context)),
    ...rules.map(planRule),
    ...policies.map((policy) => planPolicy(policy, context)),
    planRowSecurity(rowSecurity, context),
    retireTriggers(triggers, context),
    ...triggers.map((trigger) => planTrigger(trigger, context)),
    ...foreignKeys.map((key) => planForeignKey(key, context, foreignKeys)),
    ...publications.map((publication) => planPublication(publication, context)),
    ...mentions.filter(({ identity }) => !known.has(identity)).map(planMention),
    ...unknownDecisions(attachments, context).map(only),
  ]);
}

/** What becomes of the parts of the table that carry a name of their own: with the rest, the whole map of what would be lost. */
export function fatesOfParts(table: SourceTable): Fate[] {
  const part = (kind: string, name: string, check: Fate['check'], how: string): Fate => ({
    kind,
    name,
    fate: 'created before, swapped',
    how,
    check,
  });
  return [
    ...carriedIndexes(table).map(({ name, constraint, uniqueness }) =>
      part(
        constraint ? 'constraint' : 'index',
        name,
        'unique-keys',
        uniqueness === 'per-leaf'
          ? 'on each leaf alone, as decided'
          : `on the table and on each leaf${uniqueness === 'widen' ? ', widened as decided' : ''}`,
      ),
    ),
    ...table.checks.map(({ name }) => part('constraint', name, 'check-constraints', 'on the table and on each leaf')),
    ...table.statistics.map((statistics) => part('statistics', label(statistics), 'extended-statistics', 'on the table and on each leaf')),
    ...table.columns.flatMap(({ name, sequence, otherSequences }) =>
      [...(sequence ? [sequence] : []), ...otherSequences].map((owned): Fate => ({
        kind: 'sequence',
        name: label(owned),
        check: 'shared-sequences',
        ...(owned.dependency === 'i'
          ? { fate: 'created before, swapped', how: `identity of ${name}: another sequence takes over its exact state and its name` }
          : { fate: 'moved in the swap', how: `the same sequence goes on, owned by ${name} of the partitioned table` }),
      })),
    ),
  ];
}

/** Names the leaves, which a plan of today may not have: some were made by the stream. */
export function leafNames(plan: MigrationPlan, made: readonly string[]): { schema: string; name: string }[] {
  const names = new Set([...plan.leaves.map(({ name }) => name), ...made]);
  return [...names].map((name) => ({ schema: plan.target.schema, name }));
}

/** A decision on something that is not there is a mistake in a name, and would leave the real object undecided. */
function unknownDecisions({ foreignKeys, publications }: Attachments, { table, decisions }: AttachmentContext): Fate[] {
  const known = new Set([
    ...foreignKeys.map(({ table: on, name }) => `foreign-key:${label(on)}.${name}`),
    ...publications.map(({ name }) => `publication:${name}`),
    ...table.indexes.map(({ name }) => `unique:${name}`),
  ]);
  return Object.keys(decisions)
    .filter((key) => !known.has(key))
    .map((key) => ({
      kind: 'decision',
      name: key,
      fate: 'blocks',
      check: 'decisions',
      how: `--decide ${key}=${decisions[key]!} names nothing that hangs on ${label(table)}`,
      fix: `partitioner check ${tableWord(table)} without it prints what is to be decided`,
    }));
}
