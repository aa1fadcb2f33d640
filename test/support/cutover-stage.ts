import { sendCommand, type CommandOutcome } from '../../src/actions/command.ts';
import type { Client } from '../../src/pg/client.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import { createPlainEvents } from './attached-table.ts';
import { startDaemon, untilPhase, type TestDaemon } from './daemon.ts';
import type { TestDatabase } from './database.ts';
import { partitioner, startPartitioner, type Run, type Running } from './partitioner.ts';

/** `app.events` in phase ready with its daemon, and ways to ask for the cutover. Leaving its scope stops the daemon. */
export interface CutoverStage extends AsyncDisposable {
  readonly control: Client;
  readonly id: number;
  readonly daemon: TestDaemon;
  /** The command by itself, as the command line sends it. */
  readonly cutover: (limits?: object) => Promise<CommandOutcome | null>;
  /** `partitioner …args` to its end. */
  readonly run: (...args: string[]) => Promise<Run>;
  readonly start: (...args: string[]) => Running;
}

export async function setCutoverStage(
  database: TestDatabase,
  { plan = {}, prepare }: { readonly plan?: Partial<PlanOptions>; readonly prepare?: (control: Client) => Promise<unknown> } = {},
): Promise<CutoverStage> {
  const control = await database.client();
  await createPlainEvents(control);
  await prepare?.(control);
  const daemon = startDaemon(database.settings, 'app.events', plan);
  try {
    const { id } = await untilPhase(control, 'ready');
    const asker = await database.client();
    const env = { DATABASE_URL: database.url };
    return {
      control,
      id,
      daemon,
      cutover: (limits = {}) =>
        sendCommand(asker, id, 'cutover', { lockTimeoutMs: 500, maxLockHoldMs: 10_000, attempts: 60, ...limits }, { waitMs: 120_000 }),
      run: (...args) => partitioner(withoutWayBack(args), env),
      start: (...args) => startPartitioner(withoutWayBack(args), env),
      [Symbol.asyncDispose]: () => daemon.stop(),
    };
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}

/** The daemon of these tests ends with the switch. */
function withoutWayBack(args: readonly string[]): readonly string[] {
  return args[0] === 'cutover' ? [...args, '--no-way-back'] : args;
}

const lock = (granted: boolean): string =>
  `exists (select from pg_locks l join pg_stat_activity a using (pid) where a.application_name = 'partitioner cutover' and a.datname = current_database()
     and l.granted = ${String(granted)} and l.relation = 'app.events'::regclass and l.mode = $1)`;

/** Whether a session of the cutover waits for a lock in this mode (`AccessExclusiveLock`) on the table, or has it. */
export const WAITS = lock(false);
export const HAS = lock(true);
