import type { ObjectChange } from '../../domain/definition.ts';
import { quoteIdent, quoteName } from '../../domain/identifier.ts';
import type { DdlStep, LateDefinition } from '../migration-plan.ts';
import { CannotFollow, type Followed, type FollowContext } from './rule.ts';

/**
 * A CHECK that was added comes with the switch, one that was dropped goes at once: the stream brings rows that break it. One that was added and dropped
 * the target has where a switch was taken back. Constraints that are an index go with it, foreign keys and constraint triggers with the switch.
 */
export function followConstraints(
  changes: readonly ObjectChange[],
  { roots, leaves }: FollowContext,
  before: LateDefinition,
): Followed & { readonly late: LateDefinition } {
  const checks = new Set(before.checks);
  const what: string[] = [];
  const steps: DdlStep[] = [];
  const hasNotNull = changes.some(({ kind, fields, before: was }) => kind === 'column' && (was === null || fields.includes('attnotnull')));
  for (const { kind, before: was, now, fields } of changes) {
    if (kind !== 'constraint') continue;
    const row = (now ?? was)!;
    const name = String(row.conname);
    switch (row.contype) {
      case 'c':
        if (now?.connoinherit === true)
          throw new CannotFollow(`constraint "${name}" is NO INHERIT, which a partitioned table does not have`);
        checks.delete(name);
        if (was) steps.push(...drop(name, [...roots, ...leaves]));
        if (now) checks.add(name);
        what.push(`constraint "${name}" was ${now === null ? 'dropped' : was === null ? 'added' : 'altered'}`);
        break;
      case 'n': // from PostgreSQL 18 on NOT NULL is a constraint too
        if (!hasNotNull) throw new CannotFollow(`the NOT NULL constraint "${name}" was altered`);
        if (now?.convalidated === false) throw new CannotFollow(`the NOT NULL constraint "${name}" is not validated`);
        break;
      default:
        if (was && now) throw new CannotFollow(`constraint "${name}" was altered (${fields.join(', ')})`);
    }
  }
  return { what, steps, late: { ...before, checks: [...checks] } };
}

/** The leaves below the staging parent have it of their own; where it was inherited, it is gone with the parent's. */
function drop(name: string, tables: FollowContext['roots']): DdlStep[] {
  return tables.map((root) => ({
    sql: `alter table ${quoteName(root)} drop constraint if exists ${quoteIdent(name)}`,
    lock: `ACCESS EXCLUSIVE on ${root.schema}.${root.name}`,
    why: 'the source has it no more, or not as it was',
  }));
}
