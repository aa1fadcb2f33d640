import { checkTable, type Finding } from '../../src/actions/check.ts';
import { withClient } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from '../../src/plan/options.ts';

/** Checks as the command line does, on a session of its own. */
export async function checkAs(
  settings: ConnectionSettings,
  table: string,
  options: Partial<PlanOptions> = {},
): Promise<readonly Finding[]> {
  return withClient(settings, { applicationName: 'partitioner', lockTimeoutMs: 2000 }, async (client) => {
    const { findings } = await checkTable(client, settings, table, { ...DEFAULT_PLAN_OPTIONS, range: 'at', ...options });
    return findings;
  });
}

/** `id object` of each finding of a severity, sorted. */
export function found(findings: readonly Finding[], severity: Finding['severity']): string[] {
  return findings
    .filter((finding) => finding.severity === severity)
    .map(({ id, object }) => `${id} ${object}`)
    .sort();
}
