import type { ErrorCode } from '../errors.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { sqlState } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import { loadSql } from '../sql/load.ts';

/** Class of the advisory lock `(class, migration id)` that a migration's daemon holds. */
export const DAEMON_LOCK_CLASS = 1_886_545_776;

export type CommandVerb = 'pause' | 'resume' | 'throttle' | 'verify' | 'cutover' | 'rollback' | 'finish' | 'abort' | 'call off';

/** Arguments of `cutover` and `rollback` in their command rows. */
export interface CutoverArguments {
  readonly lockTimeoutMs: number;
  readonly maxLockHoldMs: number;
  readonly attempts: number;
  /** Everything up to the commit, and then back. */
  readonly dryRun?: true;
  /** On what came after the start; keys and choices as in PlanOptions. */
  readonly decisions?: Readonly<Record<string, string>>;
  /** Of a cutover: whether the retired table is kept exact, so that `rollback` may come. */
  readonly wayBack?: boolean;
}

export type CommandOutcome =
  | { readonly ok: true; readonly receipt?: unknown; readonly pass?: number; readonly repaired?: number }
  | {
      readonly ok: false;
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly detail?: string; readonly hint?: string };
    };

const POLL_MS = 500;

/** Whether a daemon works on the migration, on whatever host: it holds the advisory lock. */
export async function isDaemonAlive(client: Client, migrationId: number): Promise<boolean> {
  const { rows } = await client.query<{ alive: boolean }>(loadSql('command/daemon-alive'), [DAEMON_LOCK_CLASS, migrationId]);
  return rows[0]?.alive === true;
}

/** What `pause` and `resume` do when no daemon runs: the next one begins so. */
export async function setPaused(client: Client, migrationId: number, paused: boolean): Promise<void> {
  await store(client, 'store/set-paused', [migrationId, paused]);
  if (!paused) await store(client, 'recover/release', [migrationId]); // a slot that was dropped to save the disk
}

/**
 * Sends a command to the migration's daemon and waits for its outcome. Returns null when no daemon is alive
 * (the command is taken back: it must not be performed by one that starts tomorrow).
 * NO_DAEMON when the daemon dies over it or does not answer within `waitMs`. When `signal` aborts, the command is taken back, or called off
 * if it has begun; its outcome is waited for all the same.
 */
export async function sendCommand(
  client: Client,
  migrationId: number,
  verb: CommandVerb,
  commandArguments: object,
  { waitMs, signal, onWait }: SendOptions,
): Promise<CommandOutcome | null> {
  if (!(await isDaemonAlive(client, migrationId))) return null;
  const bell = ringOn(client);
  try {
    await client.query('listen partitioner_done');
    const { rows } = await client.query<{ id: string }>(loadSql('command/insert'), [migrationId, verb, JSON.stringify(commandArguments)]);
    return await awaitOutcome(client, migrationId, rows[0]!.id, { verb, deadline: Date.now() + waitMs, waitMs, bell, signal, onWait });
  } catch (error) {
    // The daemon drops the control schema with its last statement (undefined_table, invalid_schema_name).
    if (verb === 'abort' && ['42P01', '3F000'].includes(sqlState(error) ?? '')) return { ok: true };
    throw error;
  } finally {
    bell.close();
    await client.query('unlisten partitioner_done').catch(() => undefined);
  }
}

export interface SendOptions {
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called now and then until the outcome is there. */
  readonly onWait?: (() => Promise<void>) | undefined;
}

interface Wait extends SendOptions {
  readonly verb: CommandVerb;
  readonly deadline: number;
  readonly bell: Bell;
}

async function awaitOutcome(client: Client, migrationId: number, command: string, wait: Wait): Promise<CommandOutcome | null> {
  let calledOff = false;
  for (;;) {
    // Asked before the outcome is read: a daemon that answers and then ends is seen with its answer.
    const alive = await isDaemonAlive(client, migrationId);
    const { rows } = await client.query<{ started: boolean; outcome: CommandOutcome | null }>(loadSql('command/outcome'), [command]);
    const row = rows[0];
    if (row?.outcome) return row.outcome;
    if (!row) {
      // Abort removes the migration's rows, this one among them.
      if (wait.verb === 'abort') return { ok: true };
      throw new MigratorError('WRONG_PHASE', `the migration was removed before ${wait.verb} was performed`);
    }
    const late = Date.now() >= wait.deadline;
    if (!alive || late) {
      const withdrawn = await client.query(loadSql('command/withdraw'), [command]);
      if (withdrawn.rowCount === 1 && !alive) return null;
      if (!alive || withdrawn.rowCount === 1 || late) throw noAnswer(wait, alive, withdrawn.rowCount === 1);
    }
    if (wait.signal?.aborted === true && !calledOff) {
      const withdrawn = await client.query(loadSql('command/withdraw'), [command]);
      if (withdrawn.rowCount === 1) throw new MigratorError('WRONG_PHASE', `interrupted before ${wait.verb} had begun; nothing was done`);
      await client.query(loadSql('command/insert'), [migrationId, 'call off', JSON.stringify({ command })]);
      calledOff = true;
    }
    await wait.onWait?.();
    await wait.bell.wait(POLL_MS);
  }
}

function noAnswer({ verb, waitMs }: Wait, alive: boolean, withdrawn: boolean): MigratorError {
  const message = alive
    ? `the daemon has not answered ${verb} within ${Math.round(waitMs / 1000)} s`
    : `the daemon ended while it performed ${verb}`;
  return new MigratorError('NO_DAEMON', message, {
    detail: withdrawn
      ? 'The command was taken back, nothing will come of it.'
      : 'The command had begun: what it did or did not do is in the status.',
    hint: 'partitioner status',
  });
}

interface Bell {
  wait(timeoutMs: number): Promise<void>;
  close(): void;
}

/** Wakes the waiting caller on any notification of the session. */
function ringOn(client: Client): Bell {
  let wake: (() => void) | null = null;
  let rung = false;
  const onNotification = ({ channel }: { channel: string }): void => {
    if (channel !== 'partitioner_done') return;
    rung = true;
    wake?.();
  };
  client.on('notification', onNotification);
  return {
    wait: (timeoutMs) =>
      new Promise((resolve) => {
        if (rung) {
          rung = false;
          resolve();
          return;
        }
        const timer = setTimeout(finish, timeoutMs);
        wake = finish;
        function finish(): void {
          clearTimeout(timer);
          wake = null;
          rung = false;
          resolve();
        }
      }),
    close: () => client.off('notification', onNotification),
  };
}

/** Turns the daemon's answer into the error that it stands for. */
export function outcomeError(outcome: Extract<CommandOutcome, { ok: false }>): MigratorError {
  const { code, message, detail, hint } = outcome.error;
  return new MigratorError(code, message, { detail, hint });
}
