import { outcomeError, sendCommand } from '../actions/command.ts';
import { formatBytes } from '../domain/quantity.ts';
import type { LimitName, ThrottleLimits } from '../migration/throttle.ts';
import { changeLimits, fetchLimits } from '../pg/throttle-store.ts';
import { requireMigration, requirePhase } from './find-migration.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { oneTable, openSession, withSession } from './session.ts';
import { LIMIT_SETTINGS, limitsOf } from './settings.ts';

const WAIT_MS = 30_000;

/** `throttle`: sets limits, live. Only what the command line says: the file's are those of `start`. */
export const throttle: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'throttle');
  const changes = limitsOf(invocation.settings);
  await withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    requirePhase('throttle', migration);
    if (Object.keys(changes).length > 0) {
      const outcome = await sendCommand(client, migration.id, 'throttle', changes, { waitMs: WAIT_MS });
      if (outcome?.ok === false) throw outcomeError(outcome);
      if (!outcome) await changeLimits(client, migration.id, changes);
    }
    const limits = await fetchLimits(client, migration.id);
    if (invocation.json) printJson({ migration: migration.id, source: migration.source, limits });
    else print(renderLimits(migration.source, limits));
  });
  return 0;
};

function renderLimits(source: string, limits: ThrottleLimits): string {
  const lines = (Object.keys(LIMIT_SETTINGS) as LimitName[]).map((name) => `  ${name.padEnd(20)}${format(name, limits[name])}`);
  return [`Limits of ${source}:`, ...lines].join('\n');
}

function format(name: LimitName, value: number | null | undefined): string {
  if (value === undefined || value === null) return 'off';
  if (name === 'max-sessions') return String(value);
  if (name === 'max-replay-lag' || name === 'max-commit-latency') return `${value}ms`;
  return `${formatBytes(value)}${name === 'max-wal-rate' || name === 'copy-rate' ? ' a second' : ''}`;
}
