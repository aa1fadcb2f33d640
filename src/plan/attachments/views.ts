import type { Rule, View } from '../../domain/attachments.ts';
import { quoteIdent, quoteName } from '../../domain/identifier.ts';
import { isKeyWidened } from '../decisions.ts';
import { storageClause } from '../index-sql.ts';
import { label, lockIfAllowed, lockView, NOTHING, only, type AttachmentContext, type Carried } from './carried.ts';

/** Replaced under its name: it stays the same object, with its privileges, comments, defaults, triggers and what reads it. */
export function planView(view: View, { table, partitionKey, source }: AttachmentContext): Carried {
  const { definition, options, mayAlter, mayCreate, owner, persistence, needsKey, extension } = view;
  const name = persistence === 't' ? `pg_temp.${view.name}` : label(view);
  const base = { kind: 'view', name, check: 'views' } as const;
  const blocks = (how: string, fix: string): Carried => only({ ...base, fate: 'blocks', how, fix });
  const drop = `DROP VIEW ${quoteName(view)}; and make it again after the cutover`;
  if (persistence === 't') return blocks('it is a temporary view of some session: it ends with that session', 'let the session end');
  if (extension !== null) return blocks(`it belongs to extension ${extension}`, drop);
  if (!mayAlter)
    return blocks(`it belongs to ${owner}, and our role may not replace it`, `GRANT ${quoteIdent(owner)} TO CURRENT_USER; or: ${drop}`);
  if (!mayCreate)
    return blocks(`our role may not create in schema ${view.schema}`, `GRANT CREATE ON SCHEMA ${quoteIdent(view.schema)} TO CURRENT_USER;`);
  if (needsKey && isKeyWidened(table, partitionKey)) {
    return blocks(
      `it groups by the primary key alone, which is (…, ${partitionKey}) after the switch`,
      `name ${partitionKey}, or every column shown, in its GROUP BY`,
    );
  }
  const locked = [lockView('view', view, owner, 'who comes through it has a lock on it before one on the table')];
  return {
    ...NOTHING,
    ...(view.isWritable ? { first: locked } : { next: locked }),
    fates: [
      {
        ...base,
        fate: 'moved in the swap',
        how: 'replaced in place: the same object, with its privileges, options and what depends on it',
      },
    ],
    restore: [
      {
        sql: `create or replace view ${quoteName(view)} ${storageClause(options)} as ${definition.replace(/;\s*$/, '')}`,
        lock: `ACCESS EXCLUSIVE on ${label(view)}`,
        why: `reads what is named ${label(source)} by now`,
      },
    ],
  };
}

/** Rules of the table itself cannot be on what they would rewrite twice; those of views that write it are replaced in place. */
export function planRule(rule: Rule): Carried {
  const { name, table, tableKind, owner, isOwn, definition, mayAlter, mayLock } = rule;
  const base = { kind: 'rule', name: `${label(table)}.${name}`, check: 'rules' } as const;
  const drop = `DROP RULE ${quoteIdent(name)} ON ${quoteName(table)};`;
  if (isOwn) return only({ ...base, fate: 'blocks', how: 'rules of the table are not carried: use a trigger', fix: drop });
  if (!mayAlter) return only({ ...base, fate: 'blocks', how: `our role may not alter ${label(table)}`, fix: drop });
  const why = 'who writes it writes the table by its rule';
  return {
    ...NOTHING,
    first: tableKind === 'v' ? [lockView('view', table, owner, why)] : lockIfAllowed(mayLock, table, 'access exclusive', why),
    fates: [{ ...base, fate: 'moved in the swap', how: 'replaced in place' }],
    restore: [
      {
        sql: definition.replace(/^CREATE RULE/, 'create or replace rule').replace(/;\s*$/, ''),
        lock: `ACCESS EXCLUSIVE on ${label(table)}`,
        why: 'writes what has the name by now',
      },
    ],
  };
}
