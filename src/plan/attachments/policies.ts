import type { Policy, RowSecurity } from '../../domain/attachments.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../../domain/identifier.ts';
import type { DdlStep } from '../migration-plan.ts';
import { label, lockIfAllowed, NOTHING, only, type AttachmentContext, type Carried } from './carried.ts';

export function planPolicy(policy: Policy, { source }: AttachmentContext): Carried {
  const { name, table, isOwn, command, permissive, roles, using, withCheck, comment, mayAlter } = policy;
  const clauses = [...(using === null ? [] : [`using (${using})`]), ...(withCheck === null ? [] : [`with check (${withCheck})`])].join(' ');
  if (!isOwn) return planOther(policy, clauses);
  const to = roles.map((role) => (role === null ? 'public' : quoteIdent(role))).join(', ');
  const step = (sql: string, why: string): DdlStep => ({ sql, lock: `ACCESS EXCLUSIVE on ${label(source)}`, why });
  const base = { kind: 'policy', name, check: 'row-security' } as const;
  if (!mayAlter) return only({ ...base, fate: 'blocks', how: `our role may not alter ${label(table)}` });
  return {
    ...NOTHING,
    fates: [{ ...base, fate: 'moved in the swap', how: 'made on the partitioned table' }],
    restore: [
      step(
        `create policy ${quoteIdent(name)} on ${quoteName(source)} as ${permissive ? 'permissive' : 'restrictive'} for ${command} to ${to} ${clauses}`,
        'the same rows are shown',
      ),
      ...(comment === null
        ? []
        : [step(`comment on policy ${quoteIdent(name)} on ${quoteName(source)} is ${quoteLiteral(comment)}`, 'comment')]),
    ],
  };
}

/** A policy of another table that reads this one is bound to it by its identity. */
function planOther({ name, table, mayAlter, mayLock }: Policy, clauses: string): Carried {
  const base = { kind: 'policy', name: `${label(table)}.${name}`, check: 'policies-elsewhere' } as const;
  if (!mayAlter) {
    return only({
      ...base,
      fate: 'blocks',
      how: `our role may not alter ${label(table)}`,
      fix: `DROP POLICY ${quoteIdent(name)} ON ${quoteName(table)}; and make it again after the cutover`,
    });
  }
  return {
    ...NOTHING,
    next: lockIfAllowed(mayLock, table, 'access exclusive', 'who reads it reads the table by its policy'),
    fates: [{ ...base, fate: 'moved in the swap', how: 'its conditions are set again: the same policy reads the partitioned table' }],
    restore: [
      {
        sql: `alter policy ${quoteIdent(name)} on ${quoteName(table)} ${clauses}`,
        lock: `ACCESS EXCLUSIVE on ${label(table)}`,
        why: 'reads what has the name by now',
      },
    ],
  };
}

/** Leaves have it enabled from their creation, without a policy: nobody reads past the table's own. */
export function planRowSecurity({ enabled, forced, hidesFromUs }: RowSecurity, { source }: AttachmentContext): Carried {
  const name = label(source);
  const base = { kind: 'row security', name, check: 'row-security' } as const;
  if (hidesFromUs) {
    return only({
      ...base,
      fate: 'blocks',
      how: 'policies apply to our role: rows that it cannot see would be lost',
      fix: `ALTER TABLE ${quoteName(source)} NO FORCE ROW LEVEL SECURITY; or give the role BYPASSRLS`,
    });
  }
  const parts = [...(enabled ? ['enable row level security'] : []), ...(forced ? ['force row level security'] : [])];
  if (parts.length === 0) return NOTHING;
  return {
    ...NOTHING,
    fates: [
      {
        ...base,
        fate: 'moved in the swap',
        how: `${enabled ? 'enabled' : 'disabled'}${forced ? ' and forced' : ''} as before; on the leaves too`,
      },
    ],
    restore: [
      {
        sql: `alter table ${quoteName(source)} ${parts.join(', ')}`,
        lock: `ACCESS EXCLUSIVE on ${name}`,
        why: 'before anybody can read it',
      },
    ],
  };
}
