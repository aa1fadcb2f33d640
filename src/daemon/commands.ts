import { concatMap, defer, exhaustMap, filter, fromEvent, merge, of, timer, type Observable } from 'rxjs';
import { cutoverDirection } from '../actions/cutover-direction.ts';
import { cutover } from '../actions/cutover.ts';
import type { CutoverReceipt } from '../actions/swap-attempt.ts';
import { dropUnopened, prepareWayBack } from '../actions/way-back.ts';
import { MigratorError } from '../errors.ts';
import { toMigratorError, withClient } from '../pg/client.ts';
import { addHistory, store } from '../pg/control-store.ts';
import type { Decisions } from '../plan/decisions.ts';
import type { PlanOptions } from '../plan/options.ts';
import { assertReady } from './assert-ready.ts';
import { switchContext, type CommandEnd, type CommandOptions } from './command-context.ts';
import { runWayBackCommand } from './way-back-commands.ts';

interface Command {
  readonly id: string;
  readonly verb: string;
  readonly arguments: Record<string, unknown>;
}

const POLL_MS = 1_000;

/** Performs the commands of the command table one after the other, woken by NOTIFY; emits what ends the daemon. */
export function commands$(options: CommandOptions): Observable<CommandEnd> {
  const { listener } = options;
  const queue = queueOf(options);
  const rung$ = fromEvent(listener, 'notification');
  return defer(() => listener.query('listen partitioner_command')).pipe(
    concatMap(() => merge(rung$, timer(0, POLL_MS))),
    exhaustMap(async () => {
      const [row] = await store(listener, 'store/take-command', [queue]);
      return row ? perform(options, row as unknown as Command) : null;
    }),
    filter((end) => end !== null),
    concatMap((end) => of(end)),
  );
}

/** Commands are addressed to the migration, also those to its way back. */
function queueOf({ migration, wayBack }: CommandOptions): number {
  return wayBack?.parent.id ?? migration.id;
}

async function perform(options: CommandOptions, command: Command): Promise<CommandEnd | null> {
  const { listener, wayBack, log } = options;
  log.info({ command: command.verb, id: command.id }, 'command');
  if (command.verb === 'abort' && !wayBack) return { end: 'abort' }; // its outcome is that the control schema is gone
  try {
    const { end, ...result } = await run(options, command);
    await store(listener, 'store/finish-command', [command.id, JSON.stringify({ ok: true, ...result })]);
    return end ? { end } : null;
  } catch (error) {
    const failure = toMigratorError(error, command.verb);
    log.warn({ command: command.verb, code: failure.code, err: failure.message, detail: failure.detail }, 'command failed');
    await store(listener, 'store/finish-command', [command.id, JSON.stringify({ ok: false, error: failure })]);
    await addHistory(listener, queueOf(options), `${command.verb} failed`, failure.toJSON());
    return null;
  }
}

interface Performed {
  readonly receipt?: CutoverReceipt;
  readonly pass?: number;
  readonly repaired?: number;
  readonly end?: CommandEnd['end'];
}

async function run(options: CommandOptions, command: Command): Promise<Performed> {
  const { listener, migration, state, wayBack } = options;
  if (wayBack) return runWayBackCommand(options, wayBack, command);
  switch (command.verb) {
    case 'pause':
    case 'resume': {
      const paused = command.verb === 'pause';
      await store(listener, 'store/set-paused', [migration.id, paused]);
      state.paused$.next(paused);
      return {};
    }
    case 'verify':
      return command.arguments.repair === true
        ? { repaired: await options.verifier.repair(), pass: await options.verifier.restart() }
        : { pass: await options.verifier.restart() };
    case 'cutover':
      return { receipt: await runCutover(options, command.arguments), end: 'switched' };
    default:
      throw new MigratorError('USAGE', `the daemon knows no command "${command.verb}"`);
  }
}

async function runCutover(options: CommandOptions, limits: Record<string, unknown>): Promise<CutoverReceipt> {
  const { settings, table, applier, state } = options;
  assertReady(options);
  state.cutting$.next(true);
  const migration = { ...options.migration, options: withLateDecisions(options.migration.options, limits.decisions) };
  try {
    const context = switchContext(options, limits);
    // Commands of older command lines do not know of a way back.
    const wayBack = limits.wayBack === true ? await prepareWayBack(settings, migration, table, context) : null;
    try {
      return await cutover({ ...context, migration, direction: cutoverDirection(migration, table, wayBack) });
    } catch (error) {
      if (wayBack)
        await withClient(settings, { applicationName: 'partitioner cutover' }, (client) => dropUnopened(client, migration.id)).catch(
          () => undefined,
        );
      throw error;
    }
  } finally {
    state.cutting$.next(false);
    options.log.info({ migration: migration.id, applied: applier.session.position.lsn.toString(16) }, 'cutover ended');
  }
}

/**
 * What hangs on the table may have come after the start, and can be decided with the cutover. Unique indexes cannot: the leaves have
 * theirs since the start, and the same decision again (of the configuration file) is no other one.
 */
function withLateDecisions(options: PlanOptions, late: unknown): PlanOptions {
  const { decisions = {} } = options;
  const added = (late ?? {}) as Decisions;
  const changed = Object.entries(added).find(([key, choice]) => key.startsWith('unique:') && decisions[key] !== choice);
  if (changed) {
    throw new MigratorError(
      'USAGE',
      `--decide ${changed.join('=')} comes too late: the leaves are built by what was decided at the start`,
      {
        hint: 'leave it out; or abort, and start with it',
      },
    );
  }
  return { ...options, decisions: { ...decisions, ...added } };
}
