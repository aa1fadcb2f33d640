import { rethrowName, noMigration } from '../actions/status.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { fitsPhase, type Phase } from '../migration/phase.ts';
import type { Client } from '../pg/client.ts';
import { hasControlSchema } from '../pg/control-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { PlanOptions } from '../plan/options.ts';
import { loadSql } from '../sql/load.ts';

export interface FoundMigration {
  readonly id: number;
  readonly source: string;
  readonly phase: Phase;
  readonly options: PlanOptions;
  /** Null until prepare has ended. */
  readonly plan: MigrationPlan | null;
}

/** The migration of a table: the open one, else the newest. Null when there has been none. */
export async function findMigration(client: Client, table: string): Promise<FoundMigration | null> {
  if (!(await hasControlSchema(client))) return null;
  const { rows } = await client
    .query<FoundMigration>(loadSql('command/find-migration'), [table])
    .catch((error: unknown) => rethrowName(error, table));
  const first = rows[0];
  const alike = rows.filter(({ phase }) => isOpen(phase) === isOpen(first?.phase ?? 'done'));
  const other = alike.find(({ source }) => source !== first?.source);
  if (first && other) {
    throw new MigratorError('USAGE', `${table} is ambiguous: ${first.source} and ${other.source} both have a migration`, {
      hint: 'name the schema',
    });
  }
  return first ? { ...first, plan: first.plan !== null && 'source' in first.plan ? first.plan : null } : null;
}

/** The same for a verb that has to find one. */
export async function requireMigration(client: Client, table: string): Promise<FoundMigration> {
  const found = await findMigration(client, table);
  if (!found) throw noMigration(table);
  return found;
}

type PhasedVerb = Parameters<typeof fitsPhase>[0];

/** WRONG_PHASE when the verb cannot act on a migration in this phase. */
export function requirePhase(verb: PhasedVerb, { source, phase }: FoundMigration): void {
  if (fitsPhase(verb, phase)) return;
  throw new MigratorError(
    'WRONG_PHASE',
    `${verb} does not fit: the migration of ${source} is ${PHASE_WORDS[phase] ?? `in phase "${phase}"`}`,
    { hint: hintOf(verb, phase, source) },
  );
}

const PHASE_WORDS: Partial<Record<Phase, string>> = {
  switched: 'switched over already',
  done: 'done',
  aborted: 'aborted',
  failed: 'failed',
  rolled_back: 'rolled back',
};
/** What can be done in the phase that it is in. */
function hintOf(verb: PhasedVerb, phase: Phase, table: string): string {
  const source = tableWord(table);
  if (phase === 'failed') return `partitioner abort ${source}, then start again`;
  if (phase === 'done' || phase === 'aborted') return `nothing is under way; partitioner start ${source} begins anew`;
  const hint = HINTS[verb];
  if (hint !== undefined) return hint;
  if (phase === 'switched') return `partitioner finish ${source} ends it, partitioner rollback ${source} switches back`;
  return verb === 'cutover' ? `partitioner cutover ${source} --when-ready` : `partitioner status ${source}`;
}

const HINTS: Partial<Record<PhasedVerb, string>> = {
  abort: 'before the cutover abort takes everything back; after it, finish removes what is left',
  rollback: 'rollback comes after the cutover; before it, abort takes everything back',
  finish: 'finish comes after the cutover; before it, abort takes everything back',
};

/** Whether the migration still holds objects in the database. */
export function isOpen(phase: Phase): boolean {
  return phase !== 'done' && phase !== 'aborted';
}
