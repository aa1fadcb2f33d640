import type { QualifiedName } from '../domain/identifier.ts';
import type { EventTrigger, OpenTransaction, PreparedTransaction } from '../plan/preflight/activity.ts';
import type { ColumnFacts, ConstraintFacts } from '../plan/preflight/columns.ts';
import type { AttachedFacts, Dependent, SequenceDependent } from '../plan/preflight/dependents.ts';
import type { WidePublication } from '../plan/preflight/generated.ts';
import type { TakenName } from '../plan/preflight/names.ts';
import { recognizeProvider, type ProviderMarks } from '../plan/preflight/provider.ts';
import type { RoleFacts, TablePrivileges } from '../plan/preflight/role.ts';
import type { ServerFacts } from '../plan/preflight/server.ts';
import type { TableFacts } from '../plan/preflight/table-kind.ts';
import { invariant } from '../errors.ts';
import { loadSql } from '../sql/load.ts';
import type { Client } from './client.ts';
import { hasControlSchema } from './control-store.ts';

/** Runs one of sql/preflight; the columns' names become the facts' names: `version_num` is `versionNum`. */
async function list<T>(client: Client, name: string, values: readonly unknown[] = []): Promise<T[]> {
  const { rows } = await client.query<Record<string, unknown>>({ text: loadSql(`preflight/${name}`), values: [...values] });
  return rows.map(
    (row) =>
      Object.fromEntries(
        Object.entries(row).map(([key, value]) => [key.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()), value]),
      ) as T,
  );
}

async function one<T>(client: Client, name: string, values: readonly unknown[] = []): Promise<T> {
  const [row] = await list<T>(client, name, values);
  invariant(row !== undefined, `preflight/${name} returned no row`);
  return row;
}

export async function fetchServerFacts(client: Client): Promise<ServerFacts> {
  const { providerMarks, ...facts } = await one<Omit<ServerFacts, 'provider'> & { providerMarks: ProviderMarks }>(client, 'server');
  return { ...facts, provider: recognizeProvider(providerMarks) };
}

export async function listEventTriggers(client: Client): Promise<EventTrigger[]> {
  return list(client, 'event-triggers');
}

export async function listPreparedTransactions(client: Client): Promise<PreparedTransaction[]> {
  return list(client, 'prepared-transactions');
}

export async function listOpenTransactions(client: Client): Promise<OpenTransaction[]> {
  return list(client, 'transactions');
}

export async function fetchRoleFacts(client: Client): Promise<RoleFacts> {
  return one(client, 'role');
}

export async function fetchTablePrivileges(client: Client, oid: number): Promise<TablePrivileges> {
  return one(client, 'table-privileges', [oid]);
}

/** The names of the database's tables, to say what a mistyped one meant. */
export async function listRelationNames(client: Client): Promise<QualifiedName[]> {
  return list(client, 'relation-names');
}

/** A relation of any kind by its name; null when there is none. */
export async function fetchTableFacts(client: Client, { schema, name }: QualifiedName): Promise<TableFacts | null> {
  type Row = Omit<TableFacts, 'oid' | 'tableBytes' | 'indexBytes' | 'blocks'> &
    Record<'oid' | 'tableBytes' | 'indexBytes' | 'blocks', string>;
  const [row] = await list<Row>(client, 'table', [schema, name]);
  if (row === undefined) return null;
  return {
    ...row,
    oid: Number(row.oid),
    tableBytes: Number(row.tableBytes),
    indexBytes: Number(row.indexBytes),
    blocks: Number(row.blocks),
  };
}

export async function listColumnFacts(client: Client, oid: number): Promise<ColumnFacts[]> {
  const rows = await list<Omit<ColumnFacts, 'typeOid'> & { typeOid: string }>(client, 'columns', [oid]);
  return rows.map((row) => ({ ...row, typeOid: Number(row.typeOid) }));
}

export async function listConstraintFacts(client: Client, oid: number): Promise<ConstraintFacts[]> {
  return list(client, 'constraints', [oid]);
}

export async function listDependents(client: Client, oid: number): Promise<Dependent[]> {
  return list(client, 'dependents', [oid]);
}

export async function listSequenceDependents(client: Client, oid: number): Promise<SequenceDependent[]> {
  return list(client, 'sequence-dependents', [oid]);
}

export async function fetchAttachedFacts(client: Client, oid: number): Promise<AttachedFacts> {
  return one(client, 'attached', [oid]);
}

/** Only from PostgreSQL 18 on is it asked which generated columns a publication has. */
export async function listWidePublications(client: Client, schema: string): Promise<WidePublication[]> {
  return list(client, 'wide-publications', [schema]);
}

export async function listTakenNames(client: Client, schema: string, names: readonly string[]): Promise<TakenName[]> {
  return list(client, 'taken-names', [schema, names]);
}

/** The server's clock in microseconds since 2000-01-01 UTC: what a timestamptz is inside. */
export async function fetchNow(client: Client): Promise<bigint> {
  const { microseconds } = await one<{ microseconds: string }>(client, 'now');
  return BigInt(microseconds);
}

/** The id that the next migration will probably have; 1 before the control schema is made. */
export async function fetchNextMigrationId(client: Client): Promise<number> {
  if (!(await hasControlSchema(client))) return 1;
  const { rows } = await client.query<{ id: number }>(loadSql('command/next-migration'));
  return rows[0]!.id;
}
