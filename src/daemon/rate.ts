import { setTimeout as sleep } from 'node:timers/promises';

const STEP_MS = 500;

/** Keeps work below so many units a second: what was spent is waited for before more is. */
export class Rate {
  #perSecond: number | null;
  #nextAt = 0;

  /** @param perSecond null for no limit. */
  constructor(perSecond: number | null) {
    this.#perSecond = perSecond;
  }

  get perSecond(): number | null {
    return this.#perSecond;
  }

  /** What was spent before is no longer waited for. */
  set perSecond(perSecond: number | null) {
    if (perSecond === this.#perSecond) return;
    this.#perSecond = perSecond;
    this.#nextAt = 0;
  }

  spend(units: number): void {
    if (this.#perSecond === null) return;
    this.#nextAt = Math.max(this.#nextAt, performance.now()) + (units * 1000) / this.#perSecond;
  }

  /** Resolves when more may be spent; rejects when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    // In short steps: the limit may be lifted meanwhile.
    for (let ms = this.#nextAt - performance.now(); ms > 0; ms = this.#nextAt - performance.now())
      await sleep(Math.min(ms, STEP_MS), undefined, { signal });
  }
}
