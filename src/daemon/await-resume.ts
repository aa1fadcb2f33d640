import { setTimeout as sleep } from 'node:timers/promises';
import { dropFreeSlot } from '../actions/drop-slot.ts';
import { fetchStatus } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { tableWord } from '../domain/command-word.ts';
import { quoteName } from '../domain/identifier.ts';
import { invariant, MigratorError } from '../errors.ts';
import { store, type Migration } from '../pg/control-store.ts';
import { changeLimits, limitChanges } from '../pg/throttle-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { CommandEnd } from './command-context.ts';
import type { Worker } from './way-back.ts';

const SAMPLE_MS = 500;

/**
 * The slot was dropped to save the disk: nothing is followed until `resume`, for a new one would fill it again. Resolves with the command
 * that ends the daemon's work, null when it goes on. Throws when it is stopped.
 */
export async function awaitResume(worker: Worker, migration: Migration & { readonly plan: MigrationPlan }): Promise<CommandEnd | null> {
  const { control, metrics, signal, beat, log } = worker;
  const name = quoteName(migration.source);
  const waiting = `partitioner resume ${tableWord(migration.source)}: the slot was dropped to save the disk, nothing is followed`;
  log.warn({ waiting }, 'waiting for resume');
  await store(control, 'store/set-phase', [migration.id, 'catchup', waiting]);
  await dropFreeSlot(control, migration.plan.slotName, { signal, onWaiting: () => undefined });
  for (;;) {
    signal.throwIfAborted();
    await beat(control);
    const [status] = await fetchStatus(control, name);
    invariant(status, 'the migration that runs has no status');
    metrics.setStatus(status);
    worker.onProgress?.(statusLine(status));
    // Resumed by a command line that found no daemon.
    if (status.recovery?.held !== true) return null;
    const taken = await takeCommand(worker, migration);
    if (taken) return taken === 'resumed' ? null : taken;
    await sleep(SAMPLE_MS, undefined, { signal });
  }
}

async function takeCommand({ control }: Worker, { id, source }: Migration): Promise<CommandEnd | 'resumed' | null> {
  const [command] = await store(control, 'store/take-command', [id]);
  if (!command) return null;
  if (command.verb === 'abort') return { end: 'abort' };
  const finish = (outcome: object): Promise<unknown> => store(control, 'store/finish-command', [command.id, JSON.stringify(outcome)]);
  switch (command.verb) {
    case 'resume':
      await store(control, 'recover/release', [id]);
      await store(control, 'store/set-paused', [id, false]);
      await finish({ ok: true });
      return 'resumed';
    case 'throttle':
      await changeLimits(control, id, limitChanges(command.arguments as Record<string, unknown>));
      await finish({ ok: true });
      return null;
    default: {
      const error = new MigratorError(
        'WRONG_PHASE',
        `the slot of ${quoteName(source)} was dropped to save the disk: no ${String(command.verb)} now`,
        {
          hint: `partitioner resume ${tableWord(source)}, when there is room`,
        },
      );
      await finish({ ok: false, error });
      return null;
    }
  }
}
