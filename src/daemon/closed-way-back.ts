import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { tryStopStream } from '../actions/way-back.ts';
import { tableWord } from '../domain/command-word.ts';
import { quoteName } from '../domain/identifier.ts';
import { invariant, MigratorError } from '../errors.ts';
import { store, type Migration } from '../pg/control-store.ts';
import { fetchWayBack } from '../pg/way-back-store.ts';
import { createAfterRunner } from './after-runner.ts';
import { whileHeld } from './held-slot.ts';
import type { Worker } from './way-back.ts';

const SAMPLE_MS = 1_000;

/**
 * The way back has closed: nothing is followed any more, and its slot is dropped as soon as nobody reads it; but who watches the metrics must see it, and
 * what is left after the switch is done.
 * Until `finish`, or until it is stopped. Whether the daemon has more to do: it has not.
 */
export async function serveClosed(worker: Worker, migration: Migration): Promise<boolean> {
  const { control, settings, metrics, log, signal, beat } = worker;
  const row = await fetchWayBack(control, migration.id);
  const held = whileHeld(worker, migration.id);
  let isStopped = row === null;
  const afterSteps = createAfterRunner(settings, migration.id, log);
  afterSteps.start();
  try {
    while (!signal.aborted) {
      await beat(control);
      if (row && !isStopped) isStopped = await tryStopStream(control, row, held);
      const [status] = await fetchStatus(control, quoteName(migration.source));
      invariant(status, 'the migration that runs has no status');
      metrics.setStatus(status);
      worker.onProgress?.(statusLine(status));
      if (await takeCommand(worker, migration)) return false;
      await sleep(SAMPLE_MS, undefined, { signal }).catch(() => undefined);
    }
    return false;
  } finally {
    await afterSteps.stop();
  }
}

/** Whether it was `finish`; anything else is refused. */
async function takeCommand({ control }: Worker, { id, source }: Migration): Promise<boolean> {
  const [command] = await store(control, 'store/take-command', [id]);
  if (!command) return false;
  const isFinish = command.verb === 'finish';
  const refused = new MigratorError('WAY_BACK_CLOSED', `the way back of ${quoteName(source)} is closed`, {
    hint: `partitioner status ${tableWord(source)} says why; finish removes what is left`,
  });
  await store(control, 'store/finish-command', [command.id, JSON.stringify(isFinish ? { ok: true } : { ok: false, error: refused })]);
  return isFinish;
}
