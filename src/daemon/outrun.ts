import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Status } from '../actions/status.ts';
import { parseLsn } from '../domain/lsn.ts';
import { decideOutrun, describeOutrun, OUTRUN_MS, type StreamSample } from '../migration/outrun.ts';

/** Watches whether changes come faster than they are applied. */
export class OutrunWatch {
  readonly #log: Logger;
  readonly #maxLagBytes: number;
  #samples: StreamSample[] = [];
  #isOutrun = false;

  constructor(log: Logger, maxLagBytes: number) {
    this.#log = log;
    this.#maxLagBytes = maxLagBytes;
  }

  /** What is to be said of it; null while the applier keeps up. */
  observe({ appliedLsn, lag }: Status): string | null {
    if (appliedLsn === null || lag === null) return null;
    const applied = Number(parseLsn(appliedLsn));
    const atMs = performance.now();
    this.#samples = [
      ...this.#samples.filter((sample) => sample.atMs >= atMs - OUTRUN_MS * 1.1),
      { atMs, wal: applied + lag.bytes, applied },
    ];
    const outrun = decideOutrun(this.#samples, this.#maxLagBytes);
    if ((outrun !== null) !== this.#isOutrun) {
      this.#isOutrun = outrun !== null;
      if (outrun) this.#log.warn(outrun, 'changes come faster than they are applied: the lag grows; the copy is slowed down');
      else this.#log.info({ lagBytes: lag.bytes }, 'changes are applied as fast as they come again');
    }
    return outrun && describeOutrun(outrun);
  }
}
