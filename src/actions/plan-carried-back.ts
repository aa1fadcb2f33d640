import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { fetchAttachments } from '../pg/attachments.ts';
import type { Client } from '../pg/client.ts';
import { store, type Migration } from '../pg/control-store.ts';
import { fetchVersion } from '../pg/version.ts';
import type { OpenWayBack } from '../pg/way-back-store.ts';
import { planAttachmentsBack, type Membership } from '../plan/attachments/carried-back.ts';
import type { CatalogLeaf } from '../plan/leaves-back.ts';
import { readDependents, type CarriedNow } from './plan-carried.ts';

/** What hangs on the partitioned table now, and what becomes of it when the un-partitioned one comes back. */
export async function planCarriedBack(
  client: Client,
  partitioned: SourceTable,
  { id, facts, plan }: OpenWayBack,
  parent: Migration,
  leaves: readonly CatalogLeaf[],
): Promise<CarriedNow> {
  const { attachments, text } = await fetchAttachments(client, partitioned.oid);
  const left = await fetchAttachments(client, facts.table.oid);
  const memberships = await listMemberships(client, partitioned.oid);
  const version = await fetchVersion(client);
  const dependents = await readDependents(client, partitioned, attachments);
  const existing = await listExisting(
    client,
    facts.attachments.foreignKeys.map(({ table }) => table),
  );
  const carried = planAttachmentsBack(attachments, left.attachments, facts.attachments, {
    table: partitioned,
    source: parent.source,
    retired: plan.target,
    target: plan.retired,
    partitionKey: plan.partitionKey.name,
    decisions: facts.decisions,
    version,
    id,
    materializedViews: dependents.materializedViews,
    leaves,
    memberships,
    leafForeignKeys: leaves.map(({ schema, name, foreignKeys }) => ({ leaf: { schema, name }, names: foreignKeys })),
    existing,
    uniqueKeys: facts.table.indexes
      .filter(({ isUnique, predicate, constraint }) => isUnique && predicate === null && constraint?.deferrable !== true)
      .flatMap(({ keyColumns }) => (keyColumns.every((column) => column !== null) ? [keyColumns] : [])),
  });
  return { ...carried, ...dependents, attachments, text: textBack(text, left.text, memberships, leaves) };
}

/** Read again under the lock: the same text, or the plan is made anew. */
export async function readTextBack(client: Client, { facts, sourceOid }: OpenWayBack): Promise<string> {
  const { text } = await fetchAttachments(client, sourceOid);
  const left = await fetchAttachments(client, facts.table.oid);
  return textBack(text, left.text, await listMemberships(client, sourceOid), await listCatalogLeaves(client, sourceOid));
}

function textBack(now: string, left: string, memberships: readonly Membership[], leaves: readonly CatalogLeaf[]): string {
  return [now, left, JSON.stringify(memberships), JSON.stringify(leaves)].join('\n');
}

export async function listCatalogLeaves(client: Client, oid: number): Promise<CatalogLeaf[]> {
  return (await store(client, 'rollback/leaves', [oid])) as unknown as CatalogLeaf[];
}

async function listMemberships(client: Client, oid: number): Promise<Membership[]> {
  return (await store(client, 'rollback/memberships', [oid])) as unknown as Membership[];
}

async function listExisting(client: Client, names: readonly QualifiedName[]): Promise<(name: QualifiedName) => boolean> {
  const rows = (await store(client, 'rollback/existing-tables', [
    names.map(({ schema }) => schema),
    names.map(({ name }) => name),
  ])) as unknown as QualifiedName[];
  const there = new Set(rows.map(quoteName));
  return (name) => there.has(quoteName(name));
}
