import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import { exhaustMap, finalize, ignoreElements, timer, type Observable } from 'rxjs';
import { decidePace, FULL_PACE, type Pace, type ThrottleLimits } from '../migration/throttle.ts';
import { close, connect, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { emitMessage } from '../pg/control-store.ts';
import { fetchSample, storePace, type WalMark } from '../pg/throttle-store.ts';
import type { Pool } from './pool.ts';
import type { SharedState } from './shared-state.ts';

const SAMPLE_MS = 1_000;

export interface ThrottleOptions {
  readonly settings: ConnectionSettings;
  readonly migrationId: number;
  readonly slotName: string;
  readonly desk: Pool<Client>;
  readonly state: SharedState;
  readonly log: Logger;
}

/** Measures once a second what the limits are about, and sets the pace. Emits nothing. */
export function throttle$({ settings, migrationId, slotName, desk, state, log }: ThrottleOptions): Observable<never> {
  const probe = new CommitProbe(settings);
  let mark: WalMark | null = null;
  return timer(0, SAMPLE_MS).pipe(
    exhaustMap(async () => {
      const limits = state.limits$.value;
      const before = state.pace$.value;
      let pace = FULL_PACE;
      if (isMeasured(limits)) {
        const measured = await desk.use((client) => fetchSample(client, slotName, mark));
        mark = measured.mark;
        const commitMs = limits['max-commit-latency'] === undefined ? null : probe.measure();
        pace = decidePace(limits, { ...measured.sample, commitMs }, before);
      }
      if (pace.pace !== before.pace) log.info({ pace: pace.pace, reasons: pace.reasons }, 'pace of the copy');
      state.pace$.next(pace);
      await desk.use((client) => storePace(client, migrationId, pace));
    }),
    ignoreElements(),
    finalize(() => {
      probe.stop();
    }),
  );
}

function isMeasured(limits: ThrottleLimits): boolean {
  return Object.keys(limits).some((name) => name.startsWith('max-'));
}

/** What the pace is held or slowed by, for status; null at full pace. */
export function describePace({ pace, reasons }: Pace): string | null {
  if (pace === 'full') return null;
  return `the copy is ${pace === 'hold' ? 'held' : 'slowed down'} (${reasons.join('; ')})`;
}

/** Commits something small as the application would, and says how long that takes; while it takes, how long it has taken. */
class CommitProbe {
  readonly #settings: ConnectionSettings;
  #client: Promise<Client> | null = null;
  #begun: number | null = null;
  #lastMs: number | null = null;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  measure(): number | null {
    if (this.#begun === null) {
      this.#begun = performance.now();
      void this.#commit();
    }
    const running = performance.now() - this.#begun;
    return this.#lastMs === null ? (running > SAMPLE_MS ? running : null) : Math.max(this.#lastMs, running);
  }

  stop(): void {
    void this.#client?.then(close, () => undefined);
    this.#client = null;
  }

  async #commit(): Promise<void> {
    try {
      this.#client ??= this.#open();
      const client = await this.#client;
      const begun = performance.now();
      await emitMessage(client, 'probe');
      this.#lastMs = performance.now() - begun;
    } catch {
      this.#client = null; // a session that was cut is opened again
      this.#lastMs = null;
    } finally {
      this.#begun = null;
    }
  }

  async #open(): Promise<Client> {
    const client = await connect(this.#settings, { applicationName: 'partitioner probe' });
    client.on('error', () => (this.#client = null));
    await client.query('reset synchronous_commit'); // what the role's sessions have: that of the application, as a rule
    return client;
  }
}
