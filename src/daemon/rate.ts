import { setTimeout as sleep } from 'node:timers/promises';

/** Keeps work below so many units a second: what was spent is waited for before more is. */
export class Rate {
  readonly #perSecond: number | null;
  #nextAt = 0;

  /** @param perSecond null for no limit. */
  constructor(perSecond: number | null) {
    this.#perSecond = perSecond;
  }

  spend(units: number): void {
    if (this.#perSecond === null) return;
    this.#nextAt = Math.max(this.#nextAt, performance.now()) + (units * 1000) / this.#perSecond;
  }

  /** Resolves when more may be spent; rejects when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const ms = this.#nextAt - performance.now();
    if (ms > 0) await sleep(ms, undefined, { signal });
  }
}
