import type { Attachments } from '../domain/attachments.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { invariant, MigratorError } from '../errors.ts';
import { fetchAttachments } from '../pg/attachments.ts';
import { fetchTable } from '../pg/catalog.ts';
import type { Client } from '../pg/client.ts';
import { fetchTableFacts, listDependents } from '../pg/preflight-facts.ts';
import { fetchVersion } from '../pg/version.ts';
import type { Carried } from '../plan/attachments/carried.ts';
import type { MaterializedViewFacts } from '../plan/attachments/materialized-views.ts';
import { planAttachments } from '../plan/attachments/plan-attachments.ts';
import { withDecisions } from '../plan/decisions.ts';
import type { PlanOptions } from '../plan/options.ts';
import { decideDependents } from '../plan/preflight/dependents.ts';
import type { Finding } from '../plan/preflight/finding.ts';

/** The table's definition, with what the options decide of its unique indexes. */
export async function fetchDecided(client: Client, name: QualifiedName, options: PlanOptions): Promise<SourceTable | null> {
  const table = await fetchTable(client, name);
  return table && withDecisions(table, options);
}

export interface CarriedNow extends Carried {
  /** The catalog's reading, to compare with a later one. */
  readonly text: string;
  readonly attachments: Attachments;
  readonly materializedViews: readonly MaterializedViewFacts[];
  /** What depends on the table or a materialized view of it and is of no known kind. */
  readonly unknown: readonly Finding[];
}

export interface CarriedFor {
  readonly options: Pick<PlanOptions, 'range' | 'decisions'>;
  /** The migration's, or what the next one will have. */
  readonly id: number;
  /** Those that the target has; none before there is one. */
  readonly leaves: readonly QualifiedName[];
}

/** What hangs on the table now, and what becomes of it. */
export async function planCarried(client: Client, table: SourceTable, { options, id, leaves }: CarriedFor): Promise<CarriedNow> {
  const { range, decisions = {} } = options;
  const { attachments, text } = await fetchAttachments(client, table.oid);
  const source = { schema: table.schema, name: table.name };
  const version = await fetchVersion(client);
  const { materializedViews, unknown } = await readDependents(client, table, attachments);
  const context = { table, source, partitionKey: range, decisions, version, id, leaves, materializedViews };
  return { ...planAttachments(attachments, context), text, attachments, materializedViews, unknown };
}

/** The materialized views with what they are as relations, and what depends on them or the table and is of no known kind. */
export async function readDependents(
  client: Client,
  table: SourceTable,
  attachments: Attachments,
): Promise<Pick<CarriedNow, 'materializedViews' | 'unknown'>> {
  const materializedViews: MaterializedViewFacts[] = [];
  const unknown: Finding[] = [...(await decideUnknown(client, table.oid, table))];
  for (const view of attachments.materializedViews) {
    const relation = await fetchTable(client, view);
    invariant(relation, `materialized view ${view.schema}.${view.name} went away while it was read`);
    materializedViews.push({ view, table: relation });
    unknown.push(...(await decideUnknown(client, Number(view.oid), view)).filter(({ severity }) => severity !== 'ok'));
  }
  return { materializedViews, unknown };
}

/** Throws PREFLIGHT_REFUSED when something that hangs on the table cannot go where the switch would take it. */
export function refuseUncarried(
  { fates, unknown }: Pick<CarriedNow, 'fates' | 'unknown'>,
  source: QualifiedName,
  { verb, detail }: { readonly verb: string; readonly detail: string },
): void {
  const refused = [
    ...fates
      .filter(({ fate }) => fate === 'blocks' || fate === 'needs your decision')
      .map(({ kind, name, fate, how, fix }) => ({ message: `${kind} ${name} ${fate}: ${how}`, fix })),
    ...unknown.filter(({ severity }) => severity === 'blocker'),
  ];
  if (refused.length === 0) return;
  throw new MigratorError(
    'PREFLIGHT_REFUSED',
    `what hangs on ${quoteName(source)} cannot be ${verb}: ${refused.map(({ message }) => message).join('; ')}`,
    { detail, hint: refused[0]!.fix },
  );
}

async function decideUnknown(client: Client, oid: number, name: QualifiedName): Promise<Finding[]> {
  const facts = await fetchTableFacts(client, name);
  return decideDependents(await listDependents(client, oid), { ...name, children: facts?.children ?? [] });
}
