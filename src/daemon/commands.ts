import { concatMap, defer, exhaustMap, filter, fromEvent, merge, Subject, timer, type Observable } from 'rxjs';
import { cutoverDirection } from '../actions/cutover-direction.ts';
import { cutover } from '../actions/cutover.ts';
import type { CutoverReceipt } from '../actions/cutover-context.ts';
import { dropUnopened, prepareWayBack } from '../actions/way-back.ts';
import { MigratorError } from '../errors.ts';
import { toMigratorError, withClient } from '../pg/client.ts';
import { addHistory, store } from '../pg/control-store.ts';
import { changeLimits, limitChanges } from '../pg/throttle-store.ts';
import type { Decisions } from '../plan/decisions.ts';
import type { PlanOptions } from '../plan/options.ts';
import { untilReady } from './assert-ready.ts';
import { switchContext, type CommandEnd, type CommandOptions } from './command-context.ts';
import { runWayBackCommand } from './way-back-commands.ts';
import { ExclusiveCommand, isExclusive, type Command } from './exclusive-command.ts';

const POLL_MS = 1_000;

/**
 * Performs the commands of the command table, woken by NOTIFY, one after the other; but while one runs that is exclusive (a cutover), the others
 * are refused at once. Emits what ends the daemon.
 */
export function commands$(options: CommandOptions): Observable<CommandEnd> {
  const { listener } = options;
  const queue = queueOf(options);
  const rung$ = fromEvent(listener, 'notification');
  const exclusive = new ExclusiveCommand();
  const background$ = new Subject<CommandEnd | null>();
  const taken$ = defer(async () => {
    await store(listener, 'store/settle-commands', [queue, JSON.stringify({ ok: false, error: LOST })]);
    await listener.query('listen partitioner_command');
  }).pipe(
    concatMap(() => merge(rung$, timer(0, POLL_MS))),
    exhaustMap(async () => {
      for (;;) {
        const [row] = await store(listener, 'store/take-command', [queue]);
        if (!row) return null;
        const end = await accept(row as unknown as Command);
        if (end) return end;
      }
    }),
  );
  return merge(taken$, background$).pipe(filter((end) => end !== null));

  async function accept(command: Command): Promise<CommandEnd | null> {
    if (command.verb === 'call off') {
      exclusive.callOff(command.arguments.command);
      await store(listener, 'store/finish-command', [command.id, JSON.stringify({ ok: true })]);
      return null;
    }
    const refusal = exclusive.refusal(command, options.migration.source, options.state.waiting$.value);
    if (refusal) return finish(options, command, () => Promise.reject(refusal));
    if (!isExclusive(command)) return perform(options, command);
    const running = exclusive.run(command, (calledOff) =>
      perform({ ...options, signal: AbortSignal.any([options.signal, calledOff]) }, command),
    );
    options.onBackground(running);
    running.then(
      (end) => {
        background$.next(end);
      },
      (error: unknown) => {
        background$.error(error);
      },
    );
    return null;
  }
}

/** Commands are addressed to the migration, also those to its way back. */
function queueOf({ migration, wayBack }: CommandOptions): number {
  return wayBack?.parent.id ?? migration.id;
}

/** For whoever waits for a command of a daemon that died over it. */
const LOST = new MigratorError('NO_DAEMON', 'the daemon ended while it performed the command', {
  detail: 'The command had begun: what it did or did not do is in the status.',
  hint: 'partitioner status',
});

async function perform(options: CommandOptions, command: Command): Promise<CommandEnd | null> {
  options.log.info({ command: command.verb, id: command.id }, 'command');
  if (command.verb === 'abort' && !options.wayBack) return { end: 'abort' }; // its outcome is that the control schema is gone
  return finish(options, command, () => run(options, command));
}

/** Answers the command with what `use` comes to. */
async function finish(options: CommandOptions, command: Command, use: () => Promise<Performed>): Promise<CommandEnd | null> {
  const { listener, log } = options;
  try {
    const { end, ...result } = await use();
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
    case 'throttle':
      state.limits$.next(await changeLimits(listener, migration.id, limitChanges(command.arguments)));
      return {};
    case 'verify':
      return command.arguments.repair === true
        ? { repaired: await options.verifier.repair(), pass: await options.verifier.restart() }
        : { pass: await options.verifier.restart() };
    case 'cutover': {
      const receipt = await runCutover(options, command.arguments);
      return receipt.dryRun === true ? { receipt } : { receipt, end: 'switched' };
    }
    default:
      throw new MigratorError('USAGE', `the daemon knows no command "${command.verb}"`);
  }
}

async function runCutover(options: CommandOptions, limits: Record<string, unknown>): Promise<CutoverReceipt> {
  const { settings, table, applier, state } = options;
  const dryRun = limits.dryRun === true;
  await untilReady(options, options.signal);
  // At once, not with the monitor's next look: whoever asks for something else now is to see it. A rehearsal leaves the phase alone.
  state.cutting$.next(!dryRun);
  if (!dryRun) await store(options.listener, 'store/set-phase', [options.migration.id, 'cutover', null]);
  const migration = { ...options.migration, options: withLateDecisions(options.migration.options, limits.decisions) };
  try {
    const context = switchContext(options, limits);
    // Commands of older command lines do not know of a way back.
    const wayBack = limits.wayBack === true && !dryRun ? await prepareWayBack(settings, migration, table, context) : null;
    try {
      const receipt = await cutover({ ...context, migration, direction: cutoverDirection(migration, table, wayBack) });
      if (dryRun) await addHistory(options.listener, migration.id, 'rehearsed', receipt);
      return receipt;
    } catch (error) {
      if (wayBack)
        await withClient(settings, { applicationName: 'partitioner cutover' }, (client) => dropUnopened(client, migration.id)).catch(
          () => undefined,
        );
      // Before the answer: the next cutover's progress is not to begin with what this one has waited for.
      options.onWaiting(null);
      await store(options.listener, 'rollback/set-waiting', [migration.id, null]).catch(() => undefined);
      throw error;
    }
  } finally {
    state.cutting$.next(false);
    options.onWaiting(null);
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
