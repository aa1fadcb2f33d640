import { setTimeout as sleep } from 'node:timers/promises';
import { outcomeError, sendCommand } from '../actions/command.ts';
import { fetchStatus, type Status } from '../actions/status.ts';
import { countSuspects, describeDifferences, type Difference, type Verification } from '../actions/verify-changes.ts';
import { tableWord } from '../domain/command-word.ts';
import { formatCount } from '../domain/quantity.ts';
import { MigratorError } from '../errors.ts';
import { fetchTable } from '../pg/catalog.ts';
import type { Client } from '../pg/client.ts';
import { comparedColumns, planVerifySql } from '../plan/verify-sql.ts';
import { requireMigration, requirePhase, type FoundMigration } from './find-migration.ts';
import { createProgressLine, print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { oneTable, openSession, withSession } from './session.ts';
import { onStopSignal } from './stop-signal.ts';

const POLL_MS = 500;
const WAIT_MS = 120_000;
/** Keys that are printed. */
const MOST_SHOWN = 100;

/** `verify`: has the daemon compare everything anew, waits for it and prints what differs. */
export const verify: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'verify');
  return withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    requirePhase('verify', migration);
    const verification = await verificationOf(client, migration);
    let status = await fetchOwnStatus(client, migration);
    let repaired = 0;
    const isRepair = invocation.own['repair'] === true;
    if (!isRepair || status.verified.differences === 0)
      status = await runPass(client, migration, verification, false).then(({ status }) => status);
    if (isRepair && status.verified.differences > 0) ({ status, repaired } = await runPass(client, migration, verification, true));
    const keys = await describeDifferences(client, verification, MOST_SHOWN);
    const { pass, units: parts, rows, rechecked, differences } = status.verified;
    if (invocation.json)
      printJson({ migration: migration.id, source: status.source, pass, parts, rows, rechecked, repaired, differences, keys });
    else print(render(status, repaired, keys));
    return differences > 0 ? 6 : 0;
  });
};

async function verificationOf(client: Client, { id, plan, source }: FoundMigration): Promise<Verification> {
  const table = plan && (await fetchTable(client, plan.source));
  if (!plan || !table) {
    throw new MigratorError('WRONG_PHASE', `the migration of ${source} is not prepared yet`, {
      hint: `partitioner status ${tableWord(source)} --watch`,
    });
  }
  return { migrationId: id, plan, sql: planVerifySql(plan, id, comparedColumns(table)) };
}

async function runPass(
  client: Client,
  migration: FoundMigration,
  verification: Verification,
  repair: boolean,
): Promise<{ status: Status; repaired: number }> {
  const outcome = await sendCommand(client, migration.id, 'verify', { repair }, { waitMs: WAIT_MS });
  if (!outcome) {
    throw new MigratorError('NO_DAEMON', `no daemon runs for ${migration.source}: it is who compares`, {
      hint: `partitioner start ${tableWord(migration.source)}`,
    });
  }
  if (!outcome.ok) throw outcomeError(outcome);
  return { status: await untilCompared(client, migration, verification, outcome.pass ?? 0), repaired: outcome.repaired ?? 0 };
}

async function untilCompared(client: Client, migration: FoundMigration, verification: Verification, pass: number): Promise<Status> {
  const stop = onStopSignal();
  const progress = createProgressLine(process.stderr);
  try {
    for (;;) {
      const status = await fetchOwnStatus(client, migration);
      const { verified } = status;
      if (verified.pass >= pass && verified.units >= verified.total && (await countSuspects(client, verification)) === 0)
        return await fetchOwnStatus(client, migration);
      if (!status.daemon)
        throw new MigratorError('NO_DAEMON', `the daemon of ${migration.source} ended; the next one goes on with the pass`);
      if (stop.signal.aborted)
        throw new MigratorError('WRONG_PHASE', 'interrupted; the daemon goes on with the pass', {
          hint: `partitioner status ${tableWord(migration.source)}`,
        });
      progress.show(
        `${migration.source} pass ${verified.pass}: ${verified.units}/${verified.total} compared, ${formatCount(verified.rows)} rows`,
      );
      await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    progress.end();
    stop.dispose();
  }
}

async function fetchOwnStatus(client: Client, { id, source }: FoundMigration): Promise<Status> {
  const [status] = await fetchStatus(client, source);
  if (status?.migration !== id) throw new MigratorError('WRONG_PHASE', `the migration of ${source} was removed`);
  return status;
}

function render({ source, verified }: Status, repaired: number, keys: readonly Difference[]): string {
  const { units, rows, rechecked, differences } = verified;
  const lines = [
    `${source}: ${formatCount(rows)} rows in ${units} ${units === 1 ? 'part' : 'parts'} compared, ${formatCount(rechecked)} changed keys compared again: ` +
      (differences === 0 ? 'no difference' : `${differences} keys DIFFER`),
  ];
  if (repaired > 0) lines.push(`${repaired} keys were read again from the source before this pass.`);
  for (const { key, kind, source: ours, target, columns } of keys) {
    const how = { missing: 'not in the target', extra: 'not in the source', changed: `differs in ${(columns ?? []).join(', ')}` }[kind];
    lines.push(`  (${key.join(', ')}) ${how}; hash ${ours ?? 'none'} in the source, ${target ?? 'none'} in the target`);
  }
  if (differences > keys.length) lines.push(`  and ${differences - keys.length} more`);
  if (differences > 0) lines.push(`The cutover is refused until a full pass finds none: partitioner verify ${tableWord(source)} --repair`);
  return lines.join('\n');
}
