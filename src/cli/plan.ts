import { buildPlan } from '../actions/build-plan.ts';
import { checkTable, type Finding } from '../actions/check.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { fetchTable, resolveTable } from '../pg/catalog.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { hasControlSchema } from '../pg/control-store.ts';
import { fatesOfParts, leafNames } from '../plan/attachments/plan-attachments.ts';
import { withDecisions } from '../plan/decisions.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { migrationOf } from '../plan/names.ts';
import type { PlanOptions } from '../plan/options.ts';
import { planSwap } from '../plan/swap.ts';
import { fetchDecided, planCarried } from '../actions/plan-carried.ts';
import type { SourceTable } from '../domain/table.ts';
import { loadSql } from '../sql/load.ts';
import { hasBlocker } from './check.ts';
import { findMigration, isOpen } from './find-migration.ts';
import { print, printJson, tell } from './output.ts';
import { planOptionsOf, refuseOtherOptions } from './plan-options.ts';
import type { Verb } from './program.ts';
import { renderFindings } from './render-findings.ts';
import { renderPlan, type PlanReport } from './render-plan.ts';
import { openSession, tablesOf, withSession, type Session } from './session.ts';

/** `plan`: what `start` and `cutover` would run. */
export const plan: Verb = async (invocation) => {
  const session = openSession(invocation);
  const tables = tablesOf(invocation, session.config);
  const reports = await withSession(session, async (client) => {
    const collected: PlanReport[] = [];
    for (const table of tables) collected.push(await reportPlan(client, session, table));
    return collected;
  });
  if (invocation.json) printJson(reports.length === 1 ? reports[0] : reports);
  else print(reports.map(renderPlan).join('\n\n'));
  return 0;
};

async function reportPlan(client: Client, session: Session, table: string): Promise<PlanReport> {
  const settings = session.settings(table);
  const open = await findMigration(client, table);
  if (open && isOpen(open.phase) && open.plan && open.phase !== 'switched') {
    refuseOtherOptions(settings, open.options, open.source);
    const source = await fetchTable(client, open.plan.source);
    if (source)
      return {
        table,
        begun: true,
        migration: open.id,
        plan: open.plan,
        ...(await planSwitch(client, withDecisions(source, open.options), open.plan, open.options)),
        ...(await sizes(client, source.oid)),
      };
  }
  const options = planOptionsOf(settings, table, 'plan');
  const { findings, table: checked } = await checkTable(client, session.connection, table, options);
  const refused = hasBlocker(findings);
  const source = checked ?? (refused ? null : await fetchDecided(client, await resolveTable(client, table), options));
  const blockers = findings.filter(({ severity }) => severity === 'blocker');
  if (!source) throw refusal(table, blockers);
  const migration = await nextMigration(client);
  const built = await inTransaction(
    client,
    () => buildPlan(client, source, options, migration),
    'begin transaction isolation level repeatable read read only',
  ).catch((error: unknown) => {
    // A table that the check refuses may have no plan at all: then the findings are the answer.
    throw refused ? refusal(table, blockers) : error;
  });
  if (refused) tell(`${renderFindings(table, blockers)}\n\nThis is the plan all the same; start refuses until the blockers are gone.\n`);
  const switching = await planSwitch(client, source, built, options);
  return { table, begun: false, migration, plan: built, ...switching, ...(await sizes(client, source.oid)) };
}

async function planSwitch(
  client: Client,
  source: SourceTable,
  plan: MigrationPlan,
  options: PlanOptions,
): Promise<Pick<PlanReport, 'swap' | 'dependents'>> {
  const carried = await planCarried(client, source, { options, id: migrationOf(plan.target.name) ?? 0, leaves: leafNames(plan, []) });
  return { swap: planSwap(source, plan, carried), dependents: [...fatesOfParts(source), ...carried.fates] };
}

function refusal(table: string, blockers: readonly Finding[]): MigratorError {
  return new MigratorError('PREFLIGHT_REFUSED', `there is no plan for ${table}: ${blockers.map(({ message }) => message).join('; ')}`, {
    hint: blockers[0]?.fix ?? `partitioner check ${tableWord(table)} --range COLUMN`,
  });
}

async function nextMigration(client: Client): Promise<number> {
  if (!(await hasControlSchema(client))) return 1;
  const { rows } = await client.query<{ id: number }>(loadSql('command/next-migration'));
  return rows[0]!.id;
}

async function sizes(client: Client, oid: number): Promise<{ totalBytes: number; indexBytes: number }> {
  const { rows } = await client.query<{ total: string; indexes: string }>(loadSql('status/relation-size'), [oid]);
  return { totalBytes: Number(rows[0]?.total ?? 0), indexBytes: Number(rows[0]?.indexes ?? 0) };
}
