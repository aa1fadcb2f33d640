import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { runAfterSteps } from '../actions/after-steps.ts';
import type { ConnectionSettings } from '../pg/connection.ts';

const RETRY_MS = 2_000;

export interface AfterRunner {
  readonly start: () => void;
  /** Resolves when nothing of it runs; what was done stays done. */
  readonly stop: () => Promise<void>;
}

/** Runs the steps after a switch beside the stream, and begins again where it was when its connection breaks. */
export function createAfterRunner(settings: ConnectionSettings, migrationId: number, log: Logger): AfterRunner {
  let stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const run = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      try {
        await runAfterSteps(settings, migrationId, log, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: (error as Error).message, retryMs: RETRY_MS }, 'the steps after the switch were interrupted');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  return {
    start: () => {
      stopping = new AbortController();
      running = run(stopping.signal);
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
