import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { Grant, SourceTable } from '../domain/table.ts';

/** Takes back what ALTER DEFAULT PRIVILEGES gives away on creation: it may let in whom the source keeps out. Null when it gives nothing. */
export function revokeDefaults(table: SourceTable, kind: 'table' | 'sequence', on: QualifiedName): string | null {
  const grantees = table.defaultGrantees.filter((entry) => entry.kind === kind);
  if (grantees.length === 0) return null;
  return `revoke all on ${kind} ${quoteName(on)} from ${grantees.map(({ grantee }) => role(grantee)).join(', ')}`;
}

/**
 * Grants the source's privileges on another object, each by the role that granted it there, as far as our role may act as that one:
 * who passed a privilege on can take it back, and nobody else. Otherwise the owner grants it.
 */
export function grantAll(grants: readonly Grant[], kind: 'table' | 'sequence' | 'type', on: QualifiedName, from: GrantSource): string[] {
  // The owner has its own; what somebody else granted to it (which nothing needs) is kept where it can be.
  const others = grants.filter(
    ({ grantee, grantor }) => grantee !== from.owner || (grantor !== from.owner && from.settableRoles.includes(grantor)),
  );
  return byGrantors(others, from, (granted) =>
    [...groupBy(granted, byGrantee).values()].map((group) => {
      const privileges = new Set(group.map(({ privilege }) => privilege.toLowerCase()));
      return grantSql([...privileges].join(', '), kind, on, group[0]!);
    }),
  );
}

/** The same for the privileges on columns, one statement for each grantee. */
export function grantColumns(table: SourceTable, on: QualifiedName): string[] {
  const grants = table.columns.flatMap((column) => column.grants.map((grant) => ({ ...grant, column: column.name })));
  return byGrantors(grants, table, (granted) =>
    [...groupBy(granted, byGrantee).values()].map((group) => {
      const clauses = [...groupBy(group, ({ privilege }) => privilege.toLowerCase())].map(([privilege, of]) => {
        const columns = new Set(of.map(({ column }) => quoteIdent(column)));
        return `${privilege} (${[...columns].join(', ')})`;
      });
      return grantSql(clauses.join(', '), 'table', on, group[0]!);
    }),
  );
}

/** Privileges and comment of the row type, where somebody has set them. */
export function rowTypeSql(table: Pick<SourceTable, 'rowType'> & GrantSource, on: QualifiedName): string[] {
  const { grants, comment } = table.rowType;
  const keepsOwn = grants?.some(({ grantee }) => grantee === table.owner);
  return [
    ...(grants === null
      ? []
      : [
          `revoke all on type ${quoteName(on)} from public${keepsOwn === true ? '' : `, ${quoteIdent(table.owner)}`}`,
          ...grantAll(grants, 'type', on, table),
        ]),
    ...(comment === null ? [] : [`comment on type ${quoteName(on)} is ${quoteLiteral(comment)}`]),
  ];
}

/** Whose object it is, and whom our role may act as. */
export type GrantSource = Pick<SourceTable, 'owner' | 'settableRoles'>;

/** Who granted what the owner has not, and our role cannot grant in their name. */
export function lostGrantors(table: SourceTable): string[] {
  const grants = [...table.grants, ...table.columns.flatMap((column) => [...column.grants, ...(column.sequence?.grants ?? [])])];
  return [...new Set(grants.map(({ grantor }) => grantor))].filter(
    (grantor) => grantor !== table.owner && !table.settableRoles.includes(grantor),
  );
}

/** The owner's first, then those of each grantor who holds by then what is passed on. */
function byGrantors<G extends Grant>(
  grants: readonly G[],
  { owner, settableRoles }: GrantSource,
  toSql: (grants: readonly G[]) => string[],
): string[] {
  const actor = ({ grantor }: Grant): string => (settableRoles.includes(grantor) ? grantor : owner);
  let left = grants.filter((grant) => actor(grant) !== owner);
  const statements = toSql(grants.filter((grant) => actor(grant) === owner));
  const holders = new Set(grants.filter((grant) => actor(grant) === owner && grant.grantable).map(({ grantee }) => grantee));
  while (left.length > 0) {
    const next = left.find((grant) => holders.has(actor(grant))) ?? left[0]!;
    const grantor = actor(next);
    const granted = left.filter((grant) => actor(grant) === grantor);
    left = left.filter((grant) => actor(grant) !== grantor);
    statements.push(`set role ${quoteIdent(grantor)}`, ...toSql(granted), 'reset role');
    for (const { grantee, grantable } of granted) if (grantable) holders.add(grantee);
  }
  return statements;
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
