import { cutover } from '../actions/cutover.ts';
import { rollbackDirection } from '../actions/rollback-direction.ts';
import { dropForward, prepareForward } from '../actions/rollback.ts';
import type { CutoverReceipt } from '../actions/cutover-context.ts';
import { tableWord } from '../domain/command-word.ts';
import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { emitMessage, fetchMigrationById, store } from '../pg/control-store.ts';
import { fetchWayBack, isOpenWayBack } from '../pg/way-back-store.ts';
import { untilReady } from './assert-ready.ts';
import { switchContext, type CommandEnd, type CommandOptions, type RunningWayBack } from './command-context.ts';

interface Command {
  readonly verb: string;
  readonly arguments: Record<string, unknown>;
}

/** The commands that fit a migration whose way back is open. */
export async function runWayBackCommand(
  options: CommandOptions,
  wayBack: RunningWayBack,
  { verb, arguments: limits }: Command,
): Promise<{ receipt?: CutoverReceipt; end?: CommandEnd['end'] }> {
  switch (verb) {
    case 'rollback':
      return { receipt: await runRollback(options, wayBack, limits), end: 'rolled back' };
    case 'finish':
      await store(options.listener, 'rollback/close', [wayBack.row.id, 'done', null]);
      return { end: 'finish' };
    default:
      throw new MigratorError('WRONG_PHASE', `${verb} does not fit: ${quoteName(wayBack.parent.source)} is switched over`, {
        hint: `partitioner rollback ${tableWord(wayBack.parent.source)}, or finish`,
      });
  }
}

async function runRollback(
  options: CommandOptions,
  { parent, row: started, afterSteps }: RunningWayBack,
  limits: Record<string, unknown>,
): Promise<CutoverReceipt> {
  const { settings, state, signal } = options;
  await untilReady(options, signal);
  state.cutting$.next(true);
  await afterSteps.stop();
  try {
    const now = await fetchWayBack(options.listener, parent.id); // the steps have altered what it knows of the partitioned table
    const row = isOpenWayBack(now) ? now : started;
    const context = switchContext(options, limits);
    const caughtUp = async (): Promise<void> => context.passed(await emitMessage(options.listener, 'leaf'));
    await prepareForward(settings, parent, row.facts.table, context);
    return await cutover({ ...context, migration: row, table: row.facts.table, direction: rollbackDirection(parent, row, caughtUp) });
  } catch (error) {
    const after = await fetchMigrationById(options.listener, parent.id).catch(() => null);
    if (after?.phase === 'rolled_back') return after.receipt as CutoverReceipt; // the answer to its commit got lost on the way
    if (after) await dropForward(settings, parent).catch(() => undefined);
    afterSteps.start();
    throw error;
  } finally {
    state.cutting$.next(false);
    options.log.info({ migration: parent.id }, 'rollback ended');
  }
}
