import type { QualifiedName } from '../domain/identifier.ts';
import type { PlanNode } from '../plan/preflight/statement-plan.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import { sqlState, type Client } from './client.ts';

/** A statement as pg_stat_statements has it. */
export interface SeenStatement {
  readonly query: string;
  readonly calls: number;
  readonly meanMs: number;
  /** The search path of the role that ran it. */
  readonly path: string;
}

/** Of the statement that is planned. */
const NAME = 'partitioner_twin';
/** What the view shows in the place of other roles' statements. */
const HIDDEN = '<insufficient privilege>';
const MOST = 300;

/** The schema that pg_stat_statements is installed in; null when this database does not have it. */
export async function fetchStatementsSchema(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ schema: string }>(loadSql('preflight/statements-view'));
  return rows[0]?.schema ?? null;
}

/** The statements that may name the table, the costliest first, and whether some are hidden from the role. */
export async function listStatements(
  client: Client,
  schema: string,
  table: QualifiedName,
): Promise<{ readonly statements: readonly SeenStatement[]; readonly hidden: boolean }> {
  const sql = bindIdentifiers(loadSql('preflight/statements'), { statements: { schema, name: 'pg_stat_statements' } });
  const { rows } = await client.query<{ query: string; calls: number; mean_ms: number; path: string }>(sql, [
    table.name.replaceAll('"', '""'),
    MOST,
  ]);
  const statements = rows.map(({ query, calls, mean_ms: meanMs, path }) => ({ query, calls, meanMs, path }));
  const isOwn = (query: string): boolean => query.startsWith(`prepare ${NAME} `);
  return {
    statements: statements.filter(({ query }) => query !== HIDDEN && !isOwn(query)),
    hidden: statements.some(({ query }) => query === HIDDEN),
  };
}

/** Which of the names are functions that planning may run, so that a statement with them is not planned under our role. */
export async function listPlannedFunctions(client: Client, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(loadSql('preflight/planned-functions'), [names]);
  return rows.map(({ name }) => name);
}

/** With `pg_stat_statements.track = all` each plan would be counted as a call; only a superuser may turn it off. For the rest of the transaction. */
export async function leaveNoStatistics(client: Client): Promise<void> {
  await client.query('savepoint tracked');
  try {
    await client.query("set local pg_stat_statements.track = 'none'");
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    await client.query('rollback to tracked');
  }
}

/** The schema of the table that a bare name means with a search path; null when it means none. */
export async function resolveWithPath(client: Client, path: string, name: string): Promise<string | null> {
  await setPath(client, path);
  const { rows } = await client.query<{ schema: string }>(loadSql('catalog/visible-table'), [name]);
  return rows[0]?.schema ?? null;
}

/** For the rest of the transaction. */
export async function setPath(client: Client, path: string): Promise<void> {
  await client.query("select pg_catalog.set_config('search_path', $1, true)", [path]);
}

/**
 * Prepares a statement and returns the types of its parameters. It is sent by the extended protocol, which takes one statement
 * only, and PREPARE takes none that is not planned: whatever the text is, nothing of it is run.
 */
export async function prepareStatement(client: Client, sql: string): Promise<readonly string[]> {
  await client.query({ text: `prepare ${NAME} as ${sql}`, queryMode: 'extended' } as { text: string });
  const { rows } = await client.query<{ types: string[] }>(loadSql('preflight/parameter-types'), [NAME]);
  return rows[0]?.types ?? [];
}

/** The plan of what was prepared, for these values of its parameters (SQL expressions). */
export async function explainPrepared(
  client: Client,
  mode: 'force_generic_plan' | 'force_custom_plan',
  values: readonly string[],
): Promise<PlanNode> {
  await client.query(`set local plan_cache_mode = ${mode}`);
  const { rows } = await client.query<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
    `explain (format json, costs off) execute ${NAME}${values.length === 0 ? '' : ` (${values.join(', ')})`}`,
  );
  return rows[0]!['QUERY PLAN'][0]!.Plan;
}

/** It outlives a rollback. */
export async function dropPrepared(client: Client): Promise<void> {
  await client.query(`deallocate ${NAME}`);
}
