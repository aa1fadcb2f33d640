import type { CheckDefinition } from './check-definition.ts';

/** What is asked of the connected role. */
export const ROLE_CHECKS = {
  'role-replication': {
    worst: 'blocker',
    title: 'the role may replicate',
    why: 'A slot is made and read by a role with REPLICATION only.',
    fix: 'ALTER ROLE … REPLICATION; (RDS, Aurora: GRANT rds_replication TO …;)',
  },
  'role-create': {
    worst: 'blocker',
    title: 'the role may create in the database',
    why: 'The control schema "partitioner" and the publication are objects of the database.',
    fix: 'GRANT CREATE ON DATABASE … TO …;',
  },
  'role-temporary': {
    worst: 'blocker',
    title: 'the role may make temporary tables',
    why: 'The changes of a batch are merged from a temporary table.',
    fix: 'GRANT TEMPORARY ON DATABASE … TO …;',
  },
  'control-schema': {
    worst: 'blocker',
    title: 'the schema "partitioner" is free, or ours',
    why: 'The state of every migration is kept in the schema "partitioner" of the database.',
    fix: 'Rename the schema that has the name, or grant the role what the finding names.',
  },
  'role-owner': {
    worst: 'blocker',
    title: 'the role owns the table',
    why: 'Only the owner may rename a table and publish it, and the new table is given to the same owner.',
    fix: 'Connect as the owner, or GRANT owner TO role;',
  },
  'role-schema': {
    worst: 'blocker',
    title: "the role may create in the table's schema",
    why: 'The new table and its leaves stand in the same schema, and a rename asks for CREATE too; the owner needs it to be given the new table.',
    fix: 'GRANT USAGE, CREATE ON SCHEMA … TO …;',
  },
  'role-privileges': {
    worst: 'blocker',
    title: 'the role may read and lock the table',
    why: 'Rows are read with SELECT; LOCK TABLE asks for UPDATE, DELETE or TRUNCATE. An owner can have taken them from himself.',
    fix: 'GRANT SELECT, UPDATE ON … TO …;',
  },
  'role-tablespace': {
    worst: 'blocker',
    title: "the role may create in the table's tablespaces",
    why: 'The leaves and their indexes go where the table and its indexes are.',
    fix: 'GRANT CREATE ON TABLESPACE … TO …;',
  },
  'role-types': {
    worst: 'blocker',
    title: "the role may use the columns' types",
    why: 'A new table can be made of types only that its creator has USAGE on.',
    fix: 'GRANT USAGE ON TYPE … TO …;',
  },
  grantors: {
    worst: 'warning',
    title: 'privileges keep their grantors',
    why: 'A privilege that was passed on by somebody with a grant option can be taken back by that role only. It is granted again in its name, as long as the connected role may act as it (SET ROLE); else by the owner.',
    fix: 'GRANT grantor TO role;',
  },
  'default-privileges': {
    worst: 'ok',
    title: 'default privileges add nothing to what is made',
    why: 'ALTER DEFAULT PRIVILEGES of the connected role applies to each table that the migration makes. It is taken back in the same transaction, so that no role can read past the privileges of the table.',
    fix: 'Nothing needs to be done.',
  },
} as const satisfies Record<string, CheckDefinition>;
