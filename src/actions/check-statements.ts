import { quoteIdent } from '../domain/identifier.ts';
import type { KeyKind, Step } from '../domain/partition-key.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { sqlState, type Client } from '../pg/client.ts';
import {
  dropPrepared,
  explainPrepared,
  fetchStatementsSchema,
  leaveNoStatistics,
  listPlannedFunctions,
  listStatements,
  prepareStatement,
  resolveWithPath,
  setPath,
  type SeenStatement,
} from '../pg/statement-facts.ts';
import { OWN_LOOK } from '../plan/preflight/row-size.ts';
import { unread, type Finding } from '../plan/preflight/finding.ts';
import { readPlan, type PlanReading } from '../plan/preflight/statement-plan.ts';
import { readStatement, shapeOf, type StatementText } from '../plan/preflight/statement-text.ts';
import {
  decideStatements,
  decideStatementsAbsent,
  type StatementFacts,
  type StatementOutcome,
  type StatementsContext,
} from '../plan/preflight/statements.ts';
import { planTwin, sampleOf, type Twin } from '../plan/preflight/twin.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';

export interface TwinKey {
  readonly name: string;
  readonly kind: KeyKind;
  readonly step: Step;
  /** The leaves of the twin lie around it. */
  readonly centre: bigint;
}

const NO_UNIQUE_INDEX = '42P10';
/** Of one statement: planning takes milliseconds. */
const STATEMENT_MS = 2_000;
/** Of all of them: check does not wait for long. */
const BUDGET_MS = 20_000;

/**
 * Plans the statements that the server has seen on the table on an empty partitioned twin of it. The twin is a temporary table
 * in a transaction that is rolled back; the table itself is locked ACCESS SHARE, to read its columns. Nothing is run.
 */
export async function checkStatements(client: Client, table: SourceTable, key: TwinKey): Promise<Finding[]> {
  const name = `${table.schema}.${table.name}`;
  try {
    const schema = await fetchStatementsSchema(client);
    if (schema === null) return [decideStatementsAbsent(table, 'the extension pg_stat_statements is not installed in this database')];
    const { statements, hidden } = await listStatements(client, schema, table);
    const findings = decideStatements(await explainOnTwin(client, table, key, statements), {
      table,
      partitionColumn: key.name,
      primary: primaryOf(table),
      unique: uniqueOf(table, key.name),
    });
    const GRANT = 'GRANT pg_read_all_stats TO CURRENT_USER; (as a superuser, for the role that connects)';
    return hidden ? [...findings, unread('statements', name, 'the statements of other roles are hidden', GRANT)] : findings;
  } catch (error) {
    if (sqlState(error) === undefined && !(error instanceof MigratorError)) throw error;
    // Statistics that cannot be had, or a twin that cannot be made, keep nobody from migrating.
    return [unread('statements', name, error instanceof Error ? error.message : String(error))];
  }
}

function primaryOf(table: SourceTable): { name: string; columns: string[] } | null {
  const primary = table.indexes.find(({ isPrimary }) => isPrimary);
  return primary === undefined ? null : { name: primary.name, columns: primary.keyColumns.filter((column) => column !== null) };
}

function uniqueOf(table: SourceTable, key: string): StatementsContext['unique'] {
  return table.indexes
    .filter(({ isUnique }) => isUnique)
    .map(({ keyColumns, isPrimary, uniqueness }) => {
      const columns = keyColumns.filter((column) => column !== null);
      const isKept = columns.includes(key);
      const becomes = isKept ? columns : isPrimary || uniqueness === 'widen' ? [...columns, key] : null;
      return { columns, becomes };
    });
}

/** What becomes of each statement that names the table; exported so that it can be tested with statements given by hand. */
export async function explainOnTwin(
  client: Client,
  table: SourceTable,
  key: TwinKey,
  statements: readonly SeenStatement[],
): Promise<StatementFacts[]> {
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = '1s'`);
    await client.query(`set local statement_timeout = ${STATEMENT_MS}`);
    await leaveNoStatistics(client);
    const read = await readAll(client, table, ownShapes(table, key), statements);
    const dangerous = new Set(await listPlannedFunctions(client, [...new Set(read.flatMap(({ text }) => text.called))]));
    await setPath(client, '');
    const twin = planTwin(table, key, key.centre);
    for (const sql of twin.ddl) await client.query(sql);
    await leadToIndexes(client);
    await client.query('savepoint twin');
    const begun = Date.now();
    const facts: StatementFacts[] = [];
    for (const { seen, text } of read) {
      const called = text.called.find((function_) => dangerous.has(function_));
      const outcome: StatementOutcome =
        called !== undefined
          ? { kind: 'unknown', reason: `planning would run the function ${called}` }
          : Date.now() - begun > BUDGET_MS
            ? { kind: 'unknown', reason: 'the time for it was over' }
            : await explain(client, table, key, twin, seen.path, text);
      facts.push({ query: seen.query, calls: seen.calls, meanMs: seen.meanMs, text, outcome });
    }
    return facts;
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

/** Those that mean this table; the same bare name can be another table's with another search path. */
async function readAll(
  client: Client,
  table: SourceTable,
  own: ReadonlySet<string>,
  statements: readonly SeenStatement[],
): Promise<{ readonly seen: SeenStatement; readonly text: StatementText }[]> {
  const schemas = new Map<string, string | null>();
  const read: { seen: SeenStatement; text: StatementText }[] = [];
  for (const seen of statements) {
    const text = readStatement(seen.query, table);
    if (text === null || own.has(shapeOf(seen.query)) || seen.query.includes(OWN_LOOK)) continue;
    if (text.isBare) {
      if (!schemas.has(seen.path)) schemas.set(seen.path, await resolveWithPath(client, seen.path, table.name));
      const schema = schemas.get(seen.path) ?? null;
      if (schema !== null && schema !== table.schema) continue;
    }
    read.push({ seen, text });
  }
  return read;
}

/** The shapes of our own looks at the table, which are among the statements that were seen. */
function ownShapes(table: SourceTable, { name, kind }: TwinKey): ReadonlySet<string> {
  const names = { source: { schema: table.schema, name: table.name }, key: name, type: kind };
  return new Set(
    ['catalog/key-extent', 'catalog/occupied-ranges', 'backfill/null-key'].map((file) => shapeOf(bindIdentifiers(loadSql(file), names))),
  );
}

/** An empty table is best read whole; the real one is not, so the planner is led to the indexes, and to their order. */
async function leadToIndexes(client: Client): Promise<void> {
  for (const setting of [
    'enable_seqscan',
    'enable_bitmapscan',
    'enable_sort',
    'enable_partitionwise_join',
    'enable_partitionwise_aggregate',
  ])
    await client.query(`set local ${setting} = off`);
  await client.query('set local enable_partition_pruning = on');
}

async function explain(
  client: Client,
  table: SourceTable,
  key: TwinKey,
  twin: Twin,
  path: string,
  text: StatementText,
): Promise<StatementOutcome> {
  let prepared = false;
  try {
    await setPath(client, ['pg_temp', path, quoteIdent(table.schema), 'public'].filter((part) => part !== '').join(', '));
    const types = await prepareStatement(client, text.sql);
    prepared = true;
    const read = async (mode: 'force_generic_plan' | 'force_custom_plan', values: readonly string[]): Promise<PlanReading> =>
      readPlan(await explainPrepared(client, mode, values), { table: table.name, leaves: twin.leaves, key: key.name });
    const reading = await read(
      'force_generic_plan',
      types.map(() => 'null'),
    );
    const samples = types.map((type) => sampleOf(type, key, key.centre)).filter((sample) => sample !== null);
    // `$1 IS NULL OR at >= $1` cannot prune in a generic plan, and does once the value is known.
    if (!reading.all || samples.length < types.length || types.length === 0) return { kind: 'planned', reading };
    const known = await read('force_custom_plan', samples);
    return { kind: 'planned', reading: { ...reading, all: known.all } };
  } catch (error) {
    const state = sqlState(error);
    if (state === undefined) throw error;
    const message = error instanceof Error ? error.message : String(error);
    return state === NO_UNIQUE_INDEX && text.conflict?.kind === 'columns'
      ? { kind: 'fails', message }
      : { kind: 'unknown', reason: message };
  } finally {
    await client.query('rollback to twin');
    if (prepared) await dropPrepared(client);
  }
}
