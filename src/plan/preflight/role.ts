import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import { lostGrantors } from '../grants.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';
import type { ReplicationProbe } from './link.ts';
import { replicationRoleFix, type Provider } from './provider.ts';

/** sql/preflight/role.sql */
export interface RoleFacts {
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly isReplication: boolean;
  /** Roles of managed services that it is a member of. */
  readonly memberOf: readonly string[];
  readonly database: string;
  readonly mayCreate: boolean;
  readonly mayTemp: boolean;
  readonly controlSchema: {
    readonly owner: string;
    readonly usable: boolean;
    /** Whether it holds our tables. */
    readonly ours: boolean;
    /** Tables in it that the role may not read and write. */
    readonly denied: readonly string[] | null;
  } | null;
}

/** Whether the catalog says that the role may replicate. Managed services tell it by membership. */
export function mayReplicate({ isSuperuser, isReplication, memberOf }: RoleFacts): boolean {
  return isSuperuser || isReplication || memberOf.some((name) => name === 'rds_replication' || name === 'rds_superuser');
}

/** A replication connection that opens is the proof, whatever the catalog says. */
export function decideReplicationRole(facts: RoleFacts, probe: ReplicationProbe, provider: Provider | null): Finding {
  const { role } = facts;
  if (mayReplicate(facts) || probe.outcome === 'opened') return passed('role-replication', role, `role ${role} may replicate`);
  return blocker('role-replication', role, `role ${role} has no REPLICATION attribute`, replicationRoleFix(provider, role));
}

export function decideDatabaseRights({ role, database, mayCreate, mayTemp, controlSchema }: RoleFacts): Finding[] {
  const who = quoteIdent(role);
  return [
    mayCreate
      ? passed('role-create', database, `role ${role} may create in database ${database}`)
      : blocker(
          'role-create',
          database,
          `role ${role} may not create in database ${database}`,
          `GRANT CREATE ON DATABASE ${quoteIdent(database)} TO ${who};`,
        ),
    mayTemp
      ? passed('role-temporary', database, `role ${role} may make temporary tables`)
      : blocker(
          'role-temporary',
          database,
          `role ${role} may not make temporary tables in database ${database}`,
          `GRANT TEMPORARY ON DATABASE ${quoteIdent(database)} TO ${who};`,
        ),
    decideControlSchema(role, controlSchema),
  ];
}

function decideControlSchema(role: string, schema: RoleFacts['controlSchema']): Finding {
  const id = 'control-schema';
  if (schema === null) return passed(id, 'partitioner', 'the schema "partitioner" is free');
  if (!schema.usable) {
    return blocker(
      id,
      'partitioner',
      `the schema "partitioner" is there, owned by ${schema.owner}, and role ${role} may not use it and create in it`,
      `connect as ${schema.owner}, or GRANT USAGE, CREATE ON SCHEMA partitioner TO ${quoteIdent(role)};`,
    );
  }
  if (schema.ours && (schema.denied ?? []).length > 0) {
    return blocker(
      id,
      'partitioner',
      `role ${role} may not read and write ${schema.denied!.join(', ')} in the schema "partitioner" of ${schema.owner}`,
      `connect as ${schema.owner}, or GRANT ALL ON ALL TABLES IN SCHEMA partitioner TO ${quoteIdent(role)};`,
    );
  }
  return passed(
    id,
    'partitioner',
    schema.ours ? 'the schema "partitioner" is there and usable' : 'the schema "partitioner" is empty of migrations',
  );
}

/** sql/preflight/table-privileges.sql */
export interface TablePrivileges {
  readonly owner: string;
  readonly role: string;
  readonly inheritsOwner: boolean;
  readonly maySetOwner: boolean;
  readonly schema: string;
  readonly schemaUsage: boolean;
  readonly schemaCreate: boolean;
  readonly ownerSchemaCreate: boolean;
  readonly missingPrivileges: readonly string[];
  readonly missingTablespaces: readonly string[];
  readonly missingTypes: readonly string[];
}

export function decideTablePrivileges(facts: TablePrivileges, table: QualifiedName): Finding[] {
  const { owner, role, schema } = facts;
  const name = `${table.schema}.${table.name}`;
  const owns = facts.inheritsOwner && facts.maySetOwner;
  const lacking = [
    ...(facts.schemaUsage ? [] : [{ who: role, what: 'USAGE' }]),
    ...(facts.schemaCreate ? [] : [{ who: role, what: 'CREATE' }]),
    ...(facts.ownerSchemaCreate || owner === role ? [] : [{ who: owner, what: 'CREATE' }]),
  ];
  return [
    owns
      ? passed('role-owner', name, owner === role ? `role ${role} owns it` : `role ${role} is a member of its owner ${owner}`)
      : blocker(
          'role-owner',
          name,
          ownerMessage(facts, name),
          `GRANT ${quoteIdent(owner)} TO ${quoteIdent(role)};${facts.inheritsOwner !== facts.maySetOwner ? ' (PostgreSQL 16 and newer: WITH INHERIT TRUE, SET TRUE; before: ALTER ROLE … INHERIT)' : ''}`,
        ),
    lacking.length === 0
      ? passed('role-schema', schema, `role ${role} may use schema ${schema} and create in it`)
      : blocker(
          'role-schema',
          schema,
          lacking.map(({ who, what }) => `role ${who} has no ${what} on schema ${schema}`).join('; '),
          lacking.map(({ who, what }) => `GRANT ${what} ON SCHEMA ${quoteIdent(schema)} TO ${quoteIdent(who)};`).join(' '),
        ),
    facts.missingPrivileges.length === 0 || !owns
      ? passed('role-privileges', name, 'it can be read and locked')
      : blocker(
          'role-privileges',
          name,
          `role ${role} has no ${facts.missingPrivileges.join(', ')} on ${name}`,
          `GRANT ${facts.missingPrivileges.join(', ')} ON ${quoteName(table)} TO ${quoteIdent(role)};`,
        ),
    facts.missingTablespaces.length === 0
      ? passed('role-tablespace', name, 'its tablespaces can be used')
      : blocker(
          'role-tablespace',
          facts.missingTablespaces.join(', '),
          `role ${role} or the owner ${owner} has no CREATE on tablespace ${facts.missingTablespaces.join(', ')}`,
          [...new Set([role, owner])]
            .flatMap((who) =>
              facts.missingTablespaces.map((space) => `GRANT CREATE ON TABLESPACE ${quoteIdent(space)} TO ${quoteIdent(who)};`),
            )
            .join(' '),
        ),
    facts.missingTypes.length === 0
      ? passed('role-types', name, 'its types can be used')
      : blocker(
          'role-types',
          facts.missingTypes.join(', '),
          `role ${role} has no USAGE on type ${facts.missingTypes.join(', ')}`,
          facts.missingTypes.map((type) => `GRANT USAGE ON TYPE ${type} TO ${quoteIdent(role)};`).join(' '),
        ),
  ];
}

function ownerMessage({ owner, role, inheritsOwner, maySetOwner }: TablePrivileges, name: string): string {
  if (inheritsOwner) return `role ${role} has the rights of the owner ${owner} of ${name}, and may not give it a table (no SET)`;
  if (maySetOwner) return `role ${role} is a member of the owner ${owner} of ${name}, without inheriting its rights`;
  return `${name} is owned by ${owner}, not by role ${role}`;
}

/** The planner revokes them from all that it makes, in the transaction that makes it: nobody reads past the table's own privileges. */
/** Privileges that somebody with a grant option passed on are passed on in that role's name again, where we may act as it. */
export function decideGrantors(table: SourceTable): Finding {
  const name = `${table.schema}.${table.name}`;
  const lost = lostGrantors(table);
  if (lost.length === 0) return passed('grantors', name, 'each privilege can be granted in the name of who granted it');
  return warning(
    'grantors',
    name,
    `privileges that ${lost.join(', ')} granted will be granted by the owner ${table.owner}: role ${table.sessionRole} may not act as ${lost.length === 1 ? 'that role' : 'those roles'}`,
    lost.map((role) => `GRANT ${quoteIdent(role)} TO ${quoteIdent(table.sessionRole)};`).join(' '),
  );
}

export function decideDefaultPrivileges(table: SourceTable): Finding {
  const name = `${table.schema}.${table.name}`;
  const grantees = [...new Set(table.defaultGrantees.map(({ grantee }) => grantee ?? 'PUBLIC'))];
  return passed(
    'default-privileges',
    name,
    grantees.length === 0
      ? `no default privilege of role ${table.sessionRole} adds to what is made`
      : `default privileges of role ${table.sessionRole} (for ${grantees.join(', ')}) are taken back from what is made; the new table has the privileges of the old one`,
  );
}
