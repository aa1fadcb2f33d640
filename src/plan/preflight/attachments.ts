import type { Carried, Fate } from '../attachments/carried.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';
import type { SourceTable } from '../../domain/table.ts';
import type { CheckId } from './registry.ts';

/** The checks that say what becomes of what hangs on the table, and what each says when there is nothing. */
const NOTHING = {
  'foreign-keys-out': 'it references no other table',
  'foreign-keys-in': 'no other table references it',
  triggers: 'it has no trigger',
  rules: 'no rule uses it',
  views: 'no view reads it',
  functions: 'no function is bound to it or to its row type',
  'row-security': 'row security is off and there is no policy',
  'policies-elsewhere': "no other table's policy reads it",
  publications: 'no publication has it',
  decisions: 'each decision names something that hangs on it',
} as const satisfies Partial<Record<CheckId, string>>;

export const ATTACHMENT_CHECKS = Object.keys(NOTHING) as (keyof typeof NOTHING)[];

/** A finding for each object, by what becomes of it. */
export function decideAttachments({ fates }: Pick<Carried, 'fates'>, table: string): Finding[] {
  return ATTACHMENT_CHECKS.flatMap((id) => {
    const own = fates.filter(({ check }) => check === id);
    return own.length === 0 ? [passed(id, table, NOTHING[id])] : own.map(toFinding);
  });
}

function toFinding({ check, kind, name, fate, how, fix, warning: caution }: Fate): Finding {
  const message = `${kind} ${name}: ${fate}: ${how}`;
  if (fate === 'blocks' || fate === 'needs your decision') return blocker(check, name, message, fix);
  return caution === undefined
    ? passed(check, name, message)
    : warning(check, name, `${message}. ${caution}`, 'nothing has to be done, if that is what you want');
}

export function decideStatistics({ schema, name: table, statistics }: SourceTable): Finding[] {
  const id = 'extended-statistics';
  if (statistics.length === 0) return [passed(id, `${schema}.${table}`, 'it has no extended statistics')];
  return statistics.map(({ schema: of, name, owner, mayAlter }) => {
    const object = `${of}.${name}`;
    return mayAlter
      ? passed(id, object, `statistics ${object}: created before, swapped: on the table and on each leaf`)
      : blocker(id, object, `statistics ${object}: blocks: it belongs to ${owner}, or our role may not create in schema ${of}`);
  });
}
