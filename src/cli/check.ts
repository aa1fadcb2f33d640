import { checkTable, type CheckReport, type Finding } from '../actions/check.ts';
import { print, printJson } from './output.ts';
import { planOptionsOf } from './plan-options.ts';
import type { Verb } from './program.ts';
import { renderDependents, renderFindings } from './render-findings.ts';
import { openSession, tablesOf, withSession } from './session.ts';

/** Exit code of a check that found a blocker. */
const REFUSED = 2;

/** `check`: every finding, blockers first. */
export const check: Verb = async (invocation) => {
  const session = openSession(invocation);
  const tables = tablesOf(invocation, session.config).map((table) => ({
    table,
    options: planOptionsOf(session.settings(table), table, 'check'),
  }));
  const reports = await withSession(session, async (client) => {
    const collected: ({ table: string; ok: boolean } & Pick<CheckReport, 'findings' | 'dependents'>)[] = [];
    for (const { table, options } of tables) {
      const { findings, dependents } = await checkTable(client, session.connection, table, options);
      collected.push({ table, findings, ok: !hasBlocker(findings), dependents });
    }
    return collected;
  });
  if (invocation.json) printJson(reports.length === 1 ? reports[0] : reports);
  else
    print(
      reports
        .map(({ table, findings, dependents }) => [renderFindings(table, findings), ...renderDependents(dependents)].join('\n'))
        .join('\n\n'),
    );
  return reports.every(({ ok }) => ok) ? 0 : REFUSED;
};

/** Whether `start` would refuse. */
export function hasBlocker(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === 'blocker');
}
