import type { Attachments, ForeignKey, Policy, Publication } from '../../domain/attachments.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { DdlStep } from '../migration-plan.ts';
import { TRIGGER } from '../refuse-retired.ts';
import { join, label, NOTHING, type AttachmentContext, type Carried } from './carried.ts';
import { planForeignKeyBack, type ForeignKeysBack } from './foreign-keys-back.ts';
import { planMaterializedView } from './materialized-views.ts';
import { planPolicy } from './policies.ts';
import { membership, notOurs } from './publications.ts';
import { planRoutine } from './routines.ts';
import { planTrigger } from './triggers.ts';
import { planRule, planView } from './views.ts';

/** A publication that has the partitioned table by its name (sql/rollback/memberships). */
export type Membership = Pick<Publication, 'name' | 'viaRoot' | 'columns' | 'rowFilter' | 'owner' | 'mayAlter'>;

export interface BackContext extends ForeignKeysBack {
  /** The un-partitioned table's name before the switch back, and the partitioned one's after it. */
  readonly retired: QualifiedName;
  readonly target: QualifiedName;
  readonly memberships: readonly Membership[];
}

/**
 * What becomes of everything that hangs on the partitioned table when the un-partitioned one comes back. What is bound by its text goes
 * over as it is now, also what came since the cutover; foreign keys and publications return to what they were before it.
 *
 * @param now what hangs on the partitioned table.
 * @param left what the retired table has kept: its triggers are disabled, its policies without effect.
 * @param before what hung on the un-partitioned table before the cutover.
 */
export function planAttachmentsBack(now: Attachments, left: Attachments, before: Attachments, context: BackContext): Carried {
  const rebuilt = now.routines.filter(({ isInSignature }) => isInSignature);
  const { source, retired, target } = context;
  return join([
    ...rebuilt.map((routine) => planRoutine(routine, context)),
    ...context.materializedViews.map((facts) => planMaterializedView(facts, context)),
    ...now.views.map((view) => planView(view, context)),
    ...now.routines.filter((routine) => !rebuilt.includes(routine)).map((routine) => planRoutine(routine, context)),
    ...now.rules.map(planRule),
    ...left.policies.filter(({ isOwn }) => isOwn).map((policy) => dropPolicy(policy, retired)),
    ...now.policies.map((policy) =>
      policy.isOwn ? join([dropPolicy(policy, source), planPolicy(policy, context)]) : planPolicy(policy, context),
    ),
    rowSecurityBack(context.table, target),
    ...left.triggers.filter(({ isOwn, name }) => isOwn && name !== TRIGGER).map(({ name }) => dropTrigger(name, retired)),
    ...now.triggers.map((trigger) =>
      trigger.isOwn ? join([dropTrigger(trigger.name, source), planTrigger(trigger, context)]) : planTrigger(trigger, context),
    ),
    ...allForeignKeys(now.foreignKeys, before.foreignKeys).map((key) =>
      planForeignKeyBack(key, now.foreignKeys, before.foreignKeys, context),
    ),
    ...context.memberships.map((publication) => planMembership(publication, context)),
    ...before.publications.map((publication) => planViaRoot(publication, now.publications, context)),
  ]);
}

/** Those from before the cutover as they were, and those that came since. */
function allForeignKeys(now: readonly ForeignKey[], before: readonly ForeignKey[]): ForeignKey[] {
  return [
    ...before,
    ...now.filter((key) => !before.some(({ name, table }) => name === key.name && quoteName(table) === quoteName(key.table))),
  ];
}

function retire(sql: string, lock: string, why: string): Carried {
  return { ...NOTHING, retire: [{ sql, lock, why }] };
}

function dropPolicy({ name }: Policy, on: QualifiedName): Carried {
  return retire(
    `drop policy ${quoteIdent(name)} on ${quoteName(on)}`,
    `ACCESS EXCLUSIVE on ${label(on)}`,
    'made again on the table that has the name',
  );
}

function dropTrigger(name: string, on: QualifiedName): Carried {
  return retire(
    `drop trigger ${quoteIdent(name)} on ${quoteName(on)}`,
    `ACCESS EXCLUSIVE on ${label(on)}`,
    'made again on the table that has the name',
  );
}

/** As the target was before the cutover: its leaves keep theirs. */
function rowSecurityBack({ rowSecurity, rowSecurityForced }: AttachmentContext['table'], target: QualifiedName): Carried {
  const parts = [...(rowSecurity ? ['disable row level security'] : []), ...(rowSecurityForced ? ['no force row level security'] : [])];
  if (parts.length === 0) return NOTHING;
  const step: DdlStep = {
    sql: `alter table ${quoteName(target)} ${parts.join(', ')}`,
    lock: `ACCESS EXCLUSIVE on ${label(target)}`,
    why: 'the target again',
  };
  return { ...NOTHING, restore: [step] };
}

function planMembership({ name, columns, rowFilter, owner, mayAlter }: Membership, { source }: BackContext): Carried {
  const base = { kind: 'publication', name, check: 'publications' } as const;
  if (!mayAlter) {
    return notOurs(base, owner);
  }
  const step = (sql: string, why: string): DdlStep => ({ sql, lock: `SHARE UPDATE EXCLUSIVE on ${label(source)}`, why });
  return {
    ...NOTHING,
    fates: [{ ...base, fate: 'moved in the swap', how: 'the un-partitioned table is in it again' }],
    retire: [step(`alter publication ${quoteIdent(name)} drop table ${quoteName(source)}`, 'the target is not sent')],
    restore: [
      step(`alter publication ${quoteIdent(name)} add table ${quoteName(source)}${membership(columns, rowFilter)}`, 'the table is sent'),
    ],
  };
}

/** The cutover may have set it, by decision. */
function planViaRoot({ name, viaRoot }: Publication, now: readonly Publication[], { decisions }: BackContext): Carried {
  const set = now.find((other) => other.name === name);
  if (viaRoot || set?.viaRoot !== true || decisions[`publication:${name}`] !== 'root') return NOTHING;
  return {
    ...NOTHING,
    restore: [
      {
        sql: `alter publication ${quoteIdent(name)} set (publish_via_partition_root = false)`,
        lock: 'none',
        why: 'as before the cutover',
      },
    ],
  };
}
