import type { Logger } from 'pino';
import { concatMap, defer, exhaustMap, filter, fromEvent, merge, Subject, timer, type Observable } from 'rxjs';
import { cutover } from '../actions/cutover.ts';
import type { CutoverReceipt } from '../actions/swap-attempt.ts';
import type { SourceTable } from '../domain/table.ts';
import type { Lsn } from '../domain/lsn.ts';
import { MigratorError } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { toMigratorError, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { addHistory, store, type Migration } from '../pg/control-store.ts';
import type { Decisions } from '../plan/decisions.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { PlanOptions } from '../plan/options.ts';
import type { Applier } from './applier.ts';
import { ExclusiveCommand, isExclusive, type Command } from './exclusive-command.ts';
import type { SharedState } from './shared-state.ts';
import type { Verifier } from './verifier.ts';

export interface CommandOptions {
  readonly settings: ConnectionSettings;
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly table: SourceTable;
  readonly applier: Applier;
  readonly verifier: Verifier;
  readonly state: SharedState;
  readonly metrics: Metrics;
  /** Takes the commands; it listens. */
  readonly listener: Client;
  readonly passed: (lsn: Lsn) => Promise<void>;
  readonly onWaiting: (what: string | null) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** What goes on beside the stream of commands: to be ended before the sessions are. */
  readonly onBackground: (running: Promise<unknown>) => void;
}

/** How a command ends the daemon's work, when it does. */
export type CommandEnd = { readonly end: 'switched' } | { readonly end: 'abort' };

const POLL_MS = 1_000;

/**
 * Performs the commands of the command table, woken by NOTIFY, one after the other; but while one runs that is exclusive (a cutover), the others
 * are refused at once. Emits what ends the daemon.
 */
export function commands$(options: CommandOptions): Observable<CommandEnd> {
  const { listener, migration } = options;
  const rung$ = fromEvent(listener, 'notification');
  const exclusive = new ExclusiveCommand();
  const background$ = new Subject<CommandEnd | null>();
  const taken$ = defer(async () => {
    await store(listener, 'store/settle-commands', [migration.id, JSON.stringify({ ok: false, error: LOST })]);
    await listener.query('listen partitioner_command');
  }).pipe(
    concatMap(() => merge(rung$, timer(0, POLL_MS))),
    exhaustMap(async () => {
      for (;;) {
        const [row] = await store(listener, 'store/take-command', [migration.id]);
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
    const refusal = exclusive.refusal(command, `${migration.source.schema}.${migration.source.name}`, options.state.waiting$.value);
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

/** For whoever waits for a command of a daemon that died over it. */
const LOST = new MigratorError('NO_DAEMON', 'the daemon ended while it performed the command', {
  detail: 'The command had begun: what it did or did not do is in the status.',
  hint: 'partitioner status',
});

async function perform(options: CommandOptions, command: Command): Promise<CommandEnd | null> {
  options.log.info({ command: command.verb, id: command.id }, 'command');
  if (command.verb === 'abort') return { end: 'abort' }; // its outcome is that the control schema is gone
  return finish(options, command, () => run(options, command));
}

/** Answers the command with what `use` comes to. */
async function finish(options: CommandOptions, command: Command, use: () => Promise<Result>): Promise<CommandEnd | null> {
  const { listener, migration, log } = options;
  try {
    const result = await use();
    await store(listener, 'store/finish-command', [command.id, JSON.stringify({ ok: true, ...result })]);
    return result.receipt && result.receipt.dryRun !== true ? { end: 'switched' } : null;
  } catch (error) {
    const failure = toMigratorError(error, command.verb);
    log.warn({ command: command.verb, code: failure.code, err: failure.message, detail: failure.detail }, 'command failed');
    await store(listener, 'store/finish-command', [command.id, JSON.stringify({ ok: false, error: failure })]);
    await addHistory(listener, migration.id, `${command.verb} failed`, failure.toJSON());
    return null;
  }
}

interface Result {
  readonly receipt?: CutoverReceipt;
  readonly pass?: number;
  readonly repaired?: number;
}

async function run(options: CommandOptions, command: Command): Promise<Result> {
  const { listener, migration, state } = options;
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
      return { receipt: await runCutover(options, command.arguments) };
    default:
      throw new MigratorError('USAGE', `the daemon knows no command "${command.verb}"`);
  }
}

async function runCutover(options: CommandOptions, limits: Record<string, unknown>): Promise<CutoverReceipt> {
  const { settings, migration, table, applier, verifier, state, metrics } = options;
  const dryRun = limits.dryRun === true;
  assertReady(options);
  // At once, not with the monitor's next look: whoever asks for something else now is to see it. A rehearsal leaves the phase alone.
  state.cutting$.next(!dryRun);
  if (!dryRun) await store(options.listener, 'store/set-phase', [migration.id, 'cutover', null]);
  try {
    const receipt = await cutover({
      settings,
      migration: { ...migration, options: withLateDecisions(migration.options, limits.decisions) },
      table,
      limits: {
        lockTimeoutMs: Number(limits.lockTimeoutMs ?? 200),
        maxLockHoldMs: Number(limits.maxLockHoldMs ?? 1_000),
        attempts: Number(limits.attempts ?? 60),
      },
      dryRun,
      passed: options.passed,
      verification: { migrationId: migration.id, plan: migration.plan, sql: applier.session.verify },
      quietly: (run) => verifier.hold(run),
      catchUp: () => verifier.catchUp(),
      assertProven: () => {
        assertReady(options);
      },
      onAttempt: (outcome) => {
        metrics.lockAttempt(outcome);
      },
      onWaiting: options.onWaiting,
      signal: options.signal,
      now: options.now,
    });
    if (dryRun) await addHistory(options.listener, migration.id, 'rehearsed', receipt);
    return receipt;
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

/** What must hold for the switch, apart from the lag: the fence proves that. */
function assertReady({ applier: { session }, migration, verifier }: CommandOptions): void {
  const name = `${migration.source.schema}.${migration.source.name}`;
  const waiting = [...session.units.values()].filter((state) => state !== 'live').length;
  if (waiting > 0) {
    throw new MigratorError('WRONG_PHASE', `${waiting} of ${session.units.size} units of ${name} are not live yet`, {
      hint: `partitioner status ${name} --watch, until the phase is ready`,
    });
  }
  if (session.anomalies > 0) {
    throw new MigratorError('DIFFERENCE', `${session.anomalies} changes of ${name} did not hit exactly one row of the target`, {
      detail: 'source and target differ; nothing was switched',
      hint: `partitioner abort ${name}, and report it`,
    });
  }
  if (session.repair.size > 0)
    throw new MigratorError('LAG_TOO_HIGH', `${session.repair.size} keys of ${name} are still to be repaired`, {
      hint: 'try again in a moment',
    });
  const { checked, total, tainted, differences } = verifier.state;
  if (differences > 0 || tainted) {
    throw new MigratorError(
      'DIFFERENCE',
      differences > 0 ? `${differences} keys of ${name} differ` : `differences of ${name} were found, and no full pass has begun since`,
      { detail: 'nothing was switched', hint: `partitioner verify ${name} --repair` },
    );
  }
  if (checked < total) {
    throw new MigratorError('WRONG_PHASE', `${checked} of ${total} parts of ${name} are compared`, {
      hint: `partitioner status ${name} --watch, until the phase is ready`,
    });
  }
}
