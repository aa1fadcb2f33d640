import { quoteIdent, quoteName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import { blocker, passed, type Finding } from './finding.ts';

const ID = 'generated-identity';

/** A publication of all tables or of the schema: sql/preflight/wide-publications.sql, from PostgreSQL 18 on. */
export interface WidePublication {
  readonly name: string;
  /** It publishes stored generated columns. */
  readonly stored: boolean;
}

/**
 * PostgreSQL 18 refuses an UPDATE or DELETE of a published table whose replica identity holds a generated column that is not
 * published, and a virtual one cannot be: the application's own statements would fail from the moment the publication is made.
 * In a primary key any generated column is out of place: it is not copied, so the key of a row would not be known. A leaf has REPLICA IDENTITY FULL
 * while it is loaded, and belongs to publications of all tables from its birth: there our own DELETE would be refused.
 */
export function decideGeneratedIdentity(table: SourceTable, publications: readonly WidePublication[]): Finding {
  const name = `${table.schema}.${table.name}`;
  const primary = table.indexes.find(({ isPrimary }) => isPrimary);
  const generated = table.columns.filter((column) => column.generated !== '');
  const inKey = generated.filter((column) => primary?.keyColumns.includes(column.name));
  const virtual = generated.filter((column) => column.generated === 'v').map((column) => column.name);
  if (inKey.length > 0) {
    const names = inKey.map((column) => column.name).join(', ');
    return blocker(
      ID,
      name,
      `the primary key ${primary!.name} has the generated column ${names}: generated columns are not copied, so the key of a row would not be known`,
      inKey.map((column) => `ALTER TABLE ${quoteName(table)} ALTER COLUMN ${quoteIdent(column.name)} DROP EXPRESSION;`).join(' '),
    );
  }
  if (table.replicaIdentity === 'f' && virtual.length > 0) {
    return blocker(
      ID,
      name,
      `the replica identity of ${name} is FULL, and it has the virtual generated column ${virtual.join(', ')}: from the start of the migration the application's UPDATE and DELETE would fail with "Replica identity must not contain unpublished generated columns"`,
      `ALTER TABLE ${quoteName(table)} REPLICA IDENTITY DEFAULT;`,
    );
  }
  const refusing = generated.length === 0 ? [] : publications.filter(({ stored }) => !stored || virtual.length > 0);
  if (refusing.length > 0) {
    return blocker(
      ID,
      name,
      `${name} has the generated column ${generated.map((column) => column.name).join(', ')}, and the publication ${refusing.map((one) => one.name).join(', ')} takes in each leaf from its birth, without that column: changes of a leaf that is being loaded would be refused`,
      virtual.length > 0
        ? refusing.map((one) => `DROP PUBLICATION ${quoteIdent(one.name)};`).join(' ')
        : refusing.map((one) => `ALTER PUBLICATION ${quoteIdent(one.name)} SET (publish_generated_columns = stored);`).join(' '),
    );
  }
  return passed(ID, name, 'no generated column is in its primary key, and no virtual one in its replica identity');
}
