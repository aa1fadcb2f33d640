import { quoteIdent, quoteName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import { blocker, passed, type Finding } from './finding.ts';

const ID = 'generated-identity';

/**
 * PostgreSQL 18 refuses an UPDATE or DELETE of a published table whose replica identity holds a generated column that is not
 * published, and a virtual one cannot be: the application's own statements would fail from the moment the publication is made.
 * In a primary key any generated column is out of place: it is not copied, so the key of a row would not be known.
 */
export function decideGeneratedIdentity(table: SourceTable): Finding {
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
  return passed(ID, name, 'no generated column is in its primary key, and no virtual one in its replica identity');
}
