import { quoteName, type QualifiedName } from '../../domain/identifier.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';

/** sql/preflight/table.sql */
export interface TableFacts extends QualifiedName {
  readonly oid: number;
  readonly kind: string;
  readonly persistence: string;
  readonly isPartition: boolean;
  readonly ofType: string | null;
  readonly accessMethod: string;
  readonly replicaIdentity: string;
  readonly rowSecurity: boolean;
  readonly rowSecurityForced: boolean;
  readonly parents: readonly string[];
  readonly children: readonly string[];
  readonly extensions: readonly string[];
  /** age(relfrozenxid) */
  readonly frozenAge: number;
  readonly tableBytes: number;
  readonly indexBytes: number;
  readonly blocks: number;
}

const KINDS: Readonly<Record<string, string>> = {
  p: 'a partitioned table already',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table: its rows are on another server',
  S: 'a sequence',
  c: 'a composite type',
  i: 'an index',
  I: 'a partitioned index',
  t: 'a TOAST table',
};

const INSTEAD: Readonly<Record<string, string>> = {
  p: 'nothing is left to do; partitioner status shows the migrations that there are',
  v: 'name the table that it reads',
  m: 'name the table that it reads',
  f: 'run partitioner on the server that has the rows',
};

const SYSTEM = /^(pg_catalog|information_schema|pg_toast.*|pg_temp.*)$/;

/** Everything else is asked only when it is an ordinary table; a migration that was switched makes the name a partitioned one. */
export function decideTableKind(facts: TableFacts, migration: { readonly id: number; readonly phase: string } | null): Finding[] {
  const name = `${facts.schema}.${facts.name}`;
  const kind = blocker.bind(null, 'table-kind', name);
  if (facts.kind !== 'r') {
    const done = facts.kind === 'p' && migration !== null ? ` (migration ${migration.id} of it is ${migration.phase})` : '';
    return [
      kind(
        `${name} is ${KINDS[facts.kind] ?? `no table (relkind ${facts.kind})`}${done}: an ordinary table is needed`,
        INSTEAD[facts.kind] ?? 'name a table',
      ),
    ];
  }
  if (facts.isPartition) {
    return [
      kind(
        `${name} is a partition of ${facts.parents.join(', ')}: a table that stands alone is needed`,
        `ALTER TABLE ${facts.parents[0] ?? '…'} DETACH PARTITION ${quoteName(facts)};`,
      ),
    ];
  }
  if (facts.persistence === 't') {
    return [
      blocker(
        'table-persistence',
        name,
        `${name} is a temporary table: only its own session sees it, and its changes are not in the WAL`,
        'Copy it into a permanent table first.',
      ),
    ];
  }
  if (SYSTEM.test(facts.schema)) return [kind(`${name} is a system catalog`, 'name a table of your own')];
  if (facts.schema === 'partitioner')
    return [kind(`${name} belongs to the control schema of data-partitioner`, 'name a table of your own')];
  return [passed('table-kind', name, `${name} is an ordinary table`), ...decideNature(facts, name)];
}

function decideNature(facts: TableFacts, name: string): Finding[] {
  const quoted = quoteName(facts);
  return [
    facts.persistence === 'u'
      ? blocker(
          'table-persistence',
          name,
          `${name} is unlogged: its changes are not in the WAL`,
          `ALTER TABLE ${quoted} SET LOGGED; (rewrites the table under an exclusive lock)`,
        )
      : passed('table-persistence', name, 'it is permanent and logged'),
    facts.ofType === null
      ? passed('table-typed', name, 'it is not made OF a type')
      : blocker('table-typed', name, `${name} is made OF the type ${facts.ofType}`, `ALTER TABLE ${quoted} NOT OF;`),
    ...decideInheritance(facts, name, quoted),
    facts.accessMethod === 'heap'
      ? passed('table-storage', name, 'it is a heap')
      : blocker(
          'table-storage',
          name,
          `${name} is stored by the access method ${facts.accessMethod}: heap is needed`,
          `ALTER TABLE ${quoted} SET ACCESS METHOD heap; (PostgreSQL 15 and newer; rewrites the table under an exclusive lock)`,
        ),
    facts.extensions.length === 0
      ? passed('table-extension', name, 'it belongs to no extension')
      : blocker(
          'table-extension',
          name,
          `${name} belongs to the extension ${facts.extensions.join(', ')}`,
          facts.extensions.map((extension) => `ALTER EXTENSION ${extension} DROP TABLE ${quoted};`).join(' '),
        ),
  ];
}

function decideInheritance({ parents, children }: TableFacts, name: string, quoted: string): Finding[] {
  const findings = [
    ...parents.map((parent) =>
      blocker('table-inheritance', parent, `${name} inherits from ${parent}`, `ALTER TABLE ${quoted} NO INHERIT ${parent};`),
    ),
    ...children.map((child) =>
      blocker('table-inheritance', child, `${child} inherits from ${name}`, `ALTER TABLE ${child} NO INHERIT ${quoted};`),
    ),
  ];
  return findings.length > 0 ? findings : [passed('table-inheritance', name, 'it neither inherits nor is inherited')];
}

export function decideTableFound({ schema, name }: TableFacts): Finding {
  return passed('table-exists', `${schema}.${name}`, `${schema}.${name} exists`);
}

export function decideTableMissing(text: string, nearest: readonly string[]): Finding {
  return blocker(
    'table-exists',
    text,
    `there is no table ${text} in this database`,
    nearest.length > 0
      ? `did you mean ${nearest.join(' or ')}?`
      : 'write the name as SQL does: schema.table, "Quoted"."Name"; and see --database-url',
  );
}

/** A database that is migrated has time to freeze the table before the cutover. */
export function decideFreezeAge({ frozenAge, ...table }: TableFacts, freezeMaxAge: number): Finding {
  const name = `${table.schema}.${table.name}`;
  const message = `its oldest transaction is ${frozenAge} transactions old, autovacuum_freeze_max_age is ${freezeMaxAge}`;
  return frozenAge < freezeMaxAge * 0.9
    ? passed('freeze-age', name, message)
    : warning(
        'freeze-age',
        name,
        `${name}: ${message}: a vacuum that does not give way to the cutover lock is near`,
        `VACUUM (FREEZE) ${quoteName(table)};`,
      );
}
