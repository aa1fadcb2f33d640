import { fromMoment, keyKindOf, type KeyKind } from '../domain/key-kind.ts';
import type { SourceTable } from '../domain/table.ts';
import { fetchKeyStatistics } from '../pg/key-facts.ts';
import { lookForNull, lookForRange } from '../pg/key-look.ts';
import { lookForRowSize } from '../pg/row-look.ts';
import {
  fetchAttachedFacts,
  fetchNextMigrationId,
  fetchNow,
  fetchTablePrivileges,
  listColumnFacts,
  listConstraintFacts,
  listSequenceDependents,
  listTakenNames,
  listWidePublications,
} from '../pg/preflight-facts.ts';
import { MAX_LEAVES, planLeaves } from '../plan/leaves.ts';
import { decideColumnTypes, decideConstraints, type ColumnFacts } from '../plan/preflight/columns.ts';
import { decideAttached, decideSequences } from '../plan/preflight/dependents.ts';
import { unread, type Finding } from '../plan/preflight/finding.ts';
import { decideGeneratedIdentity } from '../plan/preflight/generated.ts';
import { decideIndexes, decidePrimaryKey, decideReplicaIdentity } from '../plan/preflight/keys.ts';
import { decideNames, listMadeNames, listNearest } from '../plan/preflight/names.ts';
import {
  decideInfinity,
  decideNulls,
  decidePartitionColumn,
  decidePartitionColumnMissing,
  type KeyRange,
} from '../plan/preflight/partition-column.ts';
import { computeEnds, decideLeafCount, decideStep, estimateLeaves } from '../plan/preflight/leaf-count.ts';
import { computeSpread, decideHistogram } from '../plan/preflight/leaf-histogram.ts';
import { decideDefaultPrivileges, decideGrantors, decideTablePrivileges, type RoleFacts } from '../plan/preflight/role.ts';
import { decideEncoding, decideLockTable, decideSlotLimits, type OpenMigration, type ServerFacts } from '../plan/preflight/server.ts';
import { decideRowSize, rowSizeSql } from '../plan/preflight/row-size.ts';
import { decideSpace } from '../plan/preflight/size.ts';
import { decideFreezeAge, type TableFacts } from '../plan/preflight/table-kind.ts';
import { fatesOfParts } from '../plan/attachments/plan-attachments.ts';
import { ATTACHMENT_CHECKS, decideAttachments, decideStatistics } from '../plan/preflight/attachments.ts';
import { fetchDecided, planCarried } from './plan-carried.ts';
import { attempt, read, type CheckRun } from './check-run.ts';
import { checkStatements } from './check-statements.ts';

/** What the checks of the table go by. */
export interface SourceContext {
  readonly facts: TableFacts;
  readonly server: ServerFacts;
  readonly role: RoleFacts;
  readonly migration: OpenMigration | null;
}

/** How long a look into the rows may take where no index answers it. */
const LOOK_SECONDS = 5;

/** Everything that is asked of an ordinary table and of the partitioning that is wanted. */
export async function checkSource(run: CheckRun, context: SourceContext): Promise<SourceTable | null> {
  const { client, findings, options } = run;
  const { facts, server } = context;
  const name = `${facts.schema}.${facts.name}`;
  const privileges = await read(run, ['role-owner', 'role-schema'], name, () => fetchTablePrivileges(client, facts.oid));
  if (privileges !== null) findings.push(...decideTablePrivileges(privileges, facts));
  findings.push(
    ...decideSlotLimits(server, facts.tableBytes + facts.indexBytes),
    decideSpace(facts, server),
    decideFreezeAge(facts, Number(server.settings.autovacuum_freeze_max_age ?? 200_000_000)),
  );
  const table = await read(run, ['primary-key', 'unique-keys'], name, () => fetchDecided(client, facts, options));
  const columns = await read(run, ['column-types', 'partition-column'], name, () => listColumnFacts(client, facts.oid));
  const constraints = await read(run, ['check-constraints'], name, () => listConstraintFacts(client, facts.oid));
  if (constraints !== null) findings.push(...decideConstraints(constraints, facts));
  await checkDependents(run, context, table, name);
  if (table === null || columns === null) return null;
  const range = columns.find((column) => column.name === options.range) ?? null;
  const wide =
    server.versionNum < 180_000 ? [] : await read(run, ['generated-identity'], name, () => listWidePublications(client, facts.schema));
  findings.push(
    ...decideColumnTypes(columns, facts),
    ...(await checkRowSize(run, facts, columns)),
    decideDefaultPrivileges(table),
    decideGrantors(table),
    ...decidePrimaryKey(table, columns, range?.name ?? null),
    decideReplicaIdentity(table),
    decideGeneratedIdentity(table, wide ?? []),
    ...decideIndexes(table, range?.name ?? null),
    decideEncoding(server, [
      table.schema,
      table.name,
      ...columns.map((column) => column.name),
      ...table.indexes.map((index) => index.name),
    ]),
  );
  await checkPartitioning(run, context, table, columns);
  return table;
}

async function checkRowSize({ client, findings }: CheckRun, facts: TableFacts, columns: readonly ColumnFacts[]): Promise<Finding[]> {
  // Without ownership or privileges there is nothing to look at: that is said already.
  if (findings.some(({ id, severity }) => severity === 'blocker' && ['role-owner', 'role-privileges', 'role-schema'].includes(id)))
    return [];
  const bytes = await lookForRowSize(client, rowSizeSql(facts, columns), LOOK_SECONDS);
  return [decideRowSize(bytes, LOOK_SECONDS, facts)];
}

async function checkDependents(run: CheckRun, { facts, migration }: SourceContext, table: SourceTable | null, name: string): Promise<void> {
  const { client, findings } = run;
  const attached = await read(run, ['subscriptions', 'security-labels'], name, () => fetchAttachedFacts(client, facts.oid));
  if (attached !== null) findings.push(...decideAttached(attached, facts));
  if (table !== null) {
    const carried = await read(run, [...ATTACHMENT_CHECKS, 'row-type', 'other-dependents'], name, async () =>
      planCarried(client, table, { options: run.options, id: await fetchNextMigrationId(client), leaves: [] }),
    );
    if (carried !== null) {
      findings.push(...decideStatistics(table), ...decideAttachments(carried, name), ...carried.unknown);
      run.dependents.push(...fatesOfParts(table), ...carried.fates);
    }
  }
  if (migration !== null) return; // its target uses the sequences already
  const sequences = await read(run, ['shared-sequences'], name, () => listSequenceDependents(client, facts.oid));
  if (sequences !== null) findings.push(...decideSequences(sequences, facts));
}

async function checkPartitioning(
  run: CheckRun,
  context: SourceContext,
  table: SourceTable,
  columns: readonly ColumnFacts[],
): Promise<void> {
  const { client, findings, options } = run;
  const column = columns.find((candidate) => candidate.name === options.range);
  if (column === undefined) {
    findings.push(
      decidePartitionColumnMissing(
        options.range,
        table,
        listNearest(
          options.range,
          columns.map((candidate) => candidate.name),
        ),
      ),
    );
    return;
  }
  findings.push(decidePartitionColumn(column, table));
  const kind = keyKindOf(column.typeOid);
  if (kind === null) return;
  const name = `${table.schema}.${table.name}`;
  await attempt(run, ['partition-nulls', 'partition-infinity', 'leaf-count'], name, async () => {
    const nulls = column.notNull ? 'none' : await lookForNull(client, table, column.name, LOOK_SECONDS);
    const range = await lookForRange(client, table, { name: column.name, kind }, LOOK_SECONDS);
    findings.push(decideNulls(column, nulls, LOOK_SECONDS, table), decideInfinity(column, kind, range, table));
    await checkLeaves(run, context, table, kind, range);
  });
}

async function checkLeaves(
  run: CheckRun,
  { server, migration }: SourceContext,
  table: SourceTable,
  kind: KeyKind,
  range: KeyRange,
): Promise<void> {
  const { client, findings, options } = run;
  const { finding, partitioning } = decideStep(kind, options, table);
  findings.push(finding);
  if (partitioning === null) return;
  const name = `${table.schema}.${table.name}`;
  const ends = { ...computeEnds(kind, range), now: fromMoment(kind, await fetchNow(client)) };
  const leaves = estimateLeaves(kind, partitioning, ends, options.premake);
  findings.push(decideLeafCount(leaves, range, table), decideLockTable(server, leaves, table.indexes.length));
  const { min, max } = ends;
  const known = min === null || max === null ? null : { min, max };
  const statistics = await read(run, ['leaf-histogram'], name, () => fetchKeyStatistics(client, table, options.range, kind));
  const spread =
    known === null || statistics === null ? null : computeSpread(kind, partitioning.step, statistics, known, partitioning.from);
  findings.push(decideHistogram(table, { name: options.range, kind }, leaves, known, spread, partitioning.step));
  if (!server.inRecovery) {
    const centre = ends.now ?? ends.max ?? 0n;
    findings.push(...(await checkStatements(client, table, { name: options.range, kind, step: partitioning.step, centre })));
  }
  if (migration !== null) return;
  if (leaves > MAX_LEAVES) {
    findings.push(unread('names-free', name, 'there are too many leaves'));
    return;
  }
  const { step, from } = partitioning;
  const planned = planLeaves({ table: table.name, kind, step, ...ends, premake: options.premake, ...(from === null ? {} : { from }) });
  await read(run, ['names-free'], name, async () => {
    const id = await fetchNextMigrationId(client);
    const names = listMadeNames(table, planned, id);
    findings.push(...decideNames(await listTakenNames(client, table.schema, names), names.length, table));
  });
}
