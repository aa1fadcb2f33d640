import type { CatalogObject, KnownDefinition, SourceStorage } from '../domain/definition.ts';
import { isEqual } from '../domain/equal.ts';
import type { SourceTable } from '../domain/table.ts';
import { loadSql } from '../sql/load.ts';
import type { Client } from './client.ts';
import { store } from './control-store.ts';

/** The source's definition as the catalog has it now, apart from the table itself. Read in one snapshot. */
export async function fetchDefinitionNow(client: Client, oid: number): Promise<Omit<KnownDefinition, 'table'>> {
  const { rows } = await client.query<{ fingerprint: string; objects: CatalogObject[] | null }>(loadSql('catalog/fingerprint'), [oid]);
  return { fingerprint: rows[0]!.fingerprint, objects: rows[0]!.objects ?? [], ...(await fetchStored(client, oid)) };
}

/** What changes without the fingerprint: the file of its rows, and the types of its columns. */
async function fetchStored(client: Client, oid: number): Promise<Pick<KnownDefinition, 'storage' | 'types'>> {
  const stored = await client.query<SourceStorage>(loadSql('catalog/storage'), [oid]);
  const types = await client.query<{ name: string; definition: string }>(loadSql('catalog/types'), [oid]);
  return {
    storage: stored.rows[0] ?? { filenode: '', attributes: [] },
    types: Object.fromEntries(types.rows.map(({ name, definition }) => [name, definition])),
  };
}

/** Whether the types of the table's columns are other ones than those that the migration knows. */
export async function areTypesAltered(client: Client, migrationId: number, oid: number): Promise<boolean> {
  const { rows } = await client.query<{ types: Record<string, string> }>('select types from partitioner.definition where migration = $1', [
    migrationId,
  ]);
  return rows[0] !== undefined && !isEqual((await fetchStored(client, oid)).types, rows[0].types);
}

/** As the migration knows it; null when it was prepared before this was kept. */
export async function readDefinition(client: Client, migrationId: number): Promise<KnownDefinition | null> {
  const [row] = await store(client, 'store/fetch-definition', [migrationId]);
  if (!row) return null;
  return {
    fingerprint: row.fingerprint as string,
    objects: row.objects as CatalogObject[],
    storage: row.storage as SourceStorage,
    types: row.types as Record<string, string>,
    table: row.table_now as SourceTable,
  };
}

export async function writeDefinition(client: Client, migrationId: number, known: KnownDefinition): Promise<void> {
  const { fingerprint, objects, storage, types, table } = known;
  const json = [objects, storage, types, table].map((value) => JSON.stringify(value));
  await store(client, 'store/set-definition', [migrationId, fingerprint, ...json]);
}

/** The file that holds the table's rows; another one after a rewrite. */
export async function fetchFilenode(client: Client, oid: number): Promise<string> {
  const { rows } = await client.query<{ filenode: string }>('select pg_relation_filenode($1::oid)::bigint::text as filenode', [oid]);
  return rows[0]!.filenode;
}
