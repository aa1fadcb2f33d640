import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { Grant, SourceTable } from '../domain/table.ts';

/** Takes back what ALTER DEFAULT PRIVILEGES gives away on creation: it may let in whom the source keeps out. Null when it gives nothing. */
export function revokeDefaults(table: SourceTable, kind: 'table' | 'sequence', on: QualifiedName): string | null {
  const grantees = table.defaultGrantees.filter((entry) => entry.kind === kind);
  if (grantees.length === 0) return null;
  return `revoke all on ${kind} ${quoteName(on)} from ${grantees.map(({ grantee }) => role(grantee)).join(', ')}`;
}

/**
 * Grants the source's privileges on another object. The owner gives them all: a privilege that was passed on by somebody with
 * a grant option is kept, its grantor is not.
 */
export function grantAll(grants: readonly Grant[], kind: 'table' | 'sequence', on: QualifiedName, owner: string): string[] {
  const others = grants.filter(({ grantee }) => grantee !== owner);
  return [...groupBy(others, byGrantee).values()].map((group) => {
    const privileges = new Set(group.map(({ privilege }) => privilege.toLowerCase()));
    return grantSql([...privileges].join(', '), kind, on, group[0]!);
  });
}

/** The same for the privileges on columns, one statement for each grantee. */
export function grantColumns(table: SourceTable, on: QualifiedName): string[] {
  const grants = table.columns.flatMap((column) => column.grants.map((grant) => ({ ...grant, column: column.name })));
  return [...groupBy(grants, byGrantee).values()].map((group) => {
    const clauses = [...groupBy(group, ({ privilege }) => privilege.toLowerCase())].map(([privilege, of]) => {
      const columns = new Set(of.map(({ column }) => quoteIdent(column)));
      return `${privilege} (${[...columns].join(', ')})`;
    });
    return grantSql(clauses.join(', '), 'table', on, group[0]!);
  });
}

function grantSql(privileges: string, kind: string, on: QualifiedName, { grantee, grantable }: Grant): string {
  return `grant ${privileges} on ${kind} ${quoteName(on)} to ${role(grantee)}${grantable ? ' with grant option' : ''}`;
}

function byGrantee({ grantee, grantable }: Grant): string {
  return JSON.stringify([grantee, grantable]);
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function role(grantee: string | null): string {
  return grantee === null ? 'public' : quoteIdent(grantee);
}
