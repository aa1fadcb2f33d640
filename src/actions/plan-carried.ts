import type { QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { fetchAttachments } from '../pg/attachments.ts';
import { fetchTable } from '../pg/catalog.ts';
import type { Client } from '../pg/client.ts';
import { fetchVersion } from '../pg/version.ts';
import type { Carried } from '../plan/attachments/carried.ts';
import { planAttachments } from '../plan/attachments/plan-attachments.ts';
import { withDecisions } from '../plan/decisions.ts';
import type { PlanOptions } from '../plan/options.ts';

/** The table's definition, with what the options decide of its unique indexes. */
export async function fetchDecided(client: Client, name: QualifiedName, options: PlanOptions): Promise<SourceTable | null> {
  const table = await fetchTable(client, name);
  return table && withDecisions(table, options);
}

/**
 * What hangs on the table now, and what becomes of it. `text` is the catalog's reading, to compare with a later one; `leaves` are those
 * that the target has, none before there is one.
 */
export async function planCarried(
  client: Client,
  table: SourceTable,
  { range, decisions = {} }: Pick<PlanOptions, 'range' | 'decisions'>,
  leaves: readonly QualifiedName[] = [],
): Promise<Carried & { readonly text: string }> {
  const { attachments, text } = await fetchAttachments(client, table.oid);
  const source = { schema: table.schema, name: table.name };
  const version = await fetchVersion(client);
  return { ...planAttachments(attachments, { table, source, partitionKey: range, decisions, version, leaves }), text };
}
