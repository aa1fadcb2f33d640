import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadChunk, type ChunkOutcome, type Copier } from '../actions/load-chunk.ts';
import { cutByBlocks, cutByRows } from '../actions/cut-chunk.ts';
import type { QualifiedName } from '../domain/identifier.ts';
import { store, type ChunkRange } from '../pg/control-store.ts';
import type { PlannedUnit } from '../plan/migration-plan.ts';
import type { KeyInterval } from '../plan/resync-sql.ts';
import type { BackfillOptions } from './backfill.ts';

const UNSETTLED_RETRY_MS = 50;
/** A chunk that is hardly larger than what is copied in its time is not cut. */
const WORTH_CUTTING = 1.5;
/** Under a ceiling a slice holds what it allows in this time, so that the copy flows evenly. */
const CEILING_MS = 1_000;
const BLOCK_BYTES = 8_192;
/** The newest measurement counts as much as all before it. */
const SHARE = 0.5;

/** What was copied in how long, for how much is copied next. */
export class CopyPace {
  readonly #budgetMs: number;
  #rowsPerMs: number | null = null;
  #blocksPerMs: number | null = null;

  /** @param budgetMs time that a slice may take. */
  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs;
  }

  measured(rows: number, blocks: number | null, ms: number): void {
    const mixed = (before: number | null, now: number): number => (before === null ? now : before * (1 - SHARE) + now * SHARE);
    if (rows > 0) this.#rowsPerMs = mixed(this.#rowsPerMs, rows / Math.max(1, ms));
    if (blocks !== null && blocks > 0) this.#blocksPerMs = mixed(this.#blocksPerMs, blocks / Math.max(1, ms));
  }

  /** Rows of a slice; null while nothing is known and nothing forbids. */
  rows(ceiling: number | null, rowBytes: number): number | null {
    return least(this.#rowsPerMs, this.#budgetMs, ceiling, rowBytes);
  }

  blocks(ceiling: number | null): number | null {
    return least(this.#blocksPerMs, this.#budgetMs, ceiling, BLOCK_BYTES);
  }
}

function least(perMs: number | null, budgetMs: number, ceiling: number | null, unitBytes: number): number | null {
  const byTime = perMs === null ? Infinity : perMs * budgetMs;
  const byCeiling = ceiling === null ? Infinity : (ceiling * CEILING_MS) / 1000 / unitBytes;
  const amount = Math.min(byTime, byCeiling);
  return amount === Infinity ? null : Math.max(1, Math.round(amount));
}

/** What a chunk is copied for. */
export interface ChunkTarget {
  readonly unit: PlannedUnit;
  readonly extent: KeyInterval;
  readonly into: QualifiedName;
}

/** Copies one chunk, in one piece or, where that would take too long, in slices: chunks that are cut off it, each with its own snapshot. */
export async function copyChunk(options: BackfillOptions, copier: Copier, target: ChunkTarget, chunk: ChunkRange): Promise<void> {
  const { unpaused, onCopied, onWaiting, signal, pace, rate, isSlow, migration, desk } = options;
  let rowsLeft = target.unit.rowsEstimated / Math.max(1, target.unit.chunks.length);
  for (let rest: ChunkRange | null = chunk; rest;) {
    await unpaused(signal);
    await rate.wait(signal);
    signal.throwIfAborted();
    const { slice, after } = await cutSlice(options, copier, target, rest, rowsLeft);
    const chunks = await desk.use((client) => store(client, 'backfill/count-chunks', [migration.id, target.unit.unit]));
    const { ms, outcome } = await loadSettled(options, copier, target, slice, chunks[0]!.chunks === 1);
    onWaiting(null);
    if (outcome.type === 'copied') {
      rate.spend(outcome.bytes);
      pace.measured(
        outcome.rows,
        target.unit.kind === 'table' && slice.upper !== null ? Number(slice.upper - (slice.lower ?? 0n)) : null,
        ms,
      );
      onCopied(outcome.rows, outcome.bytes);
      rowsLeft -= outcome.rows;
      if (isSlow()) await sleep(ms, undefined, { signal });
    }
    rest = after;
  }
}

/** Tries until the snapshot is settled; how long the last attempt took. */
async function loadSettled(
  { migration, onWaiting, signal }: BackfillOptions,
  copier: Copier,
  { unit, extent, into }: ChunkTarget,
  chunk: ChunkRange,
  isWhole: boolean,
): Promise<{ ms: number; outcome: Exclude<ChunkOutcome, { type: 'unsettled' }> }> {
  for (;;) {
    const begun = performance.now();
    const outcome = await loadChunk(copier, migration, unit, extent, into, chunk, isWhole, signal);
    if (outcome.type !== 'unsettled') return { ms: performance.now() - begun, outcome };
    onWaiting(
      `transactions that are committed and not yet visible before chunk ${chunk.chunk} can be read: ${outcome.xids.slice(0, 5).join(', ')}`,
    );
    await sleep(UNSETTLED_RETRY_MS, undefined, { signal });
  }
}

/** The part of a chunk that is copied next, and the rest of it, which is a chunk of its own now. */
async function cutSlice(
  { pace, rate, migration, desk }: BackfillOptions,
  { reader }: Copier,
  { unit, extent }: ChunkTarget,
  chunk: ChunkRange,
  rowsLeft: number,
): Promise<{ slice: ChunkRange; after: ChunkRange | null }> {
  const rowBytes = Math.max(1, unit.bytesEstimated / Math.max(1, unit.rowsEstimated));
  let cut: bigint | null = null;
  if (unit.kind === 'leaf') {
    const rows = pace.rows(rate.perSecond, rowBytes);
    if (rows !== null && rowsLeft > rows * WORTH_CUTTING) cut = await cutByRows(reader, migration.plan, extent, chunk, rows);
  } else {
    const blocks = pace.blocks(rate.perSecond);
    if (blocks !== null) cut = await cutByBlocks(reader, migration.plan, chunk, blocks, WORTH_CUTTING);
  }
  if (cut === null) return { slice: chunk, after: null };
  const values = [migration.id, unit.unit, chunk.chunk, cut.toString(), chunk.upper?.toString() ?? null];
  const [row] = await desk.use((client) => store(client, 'backfill/split-chunk', values));
  if (!row) return { slice: chunk, after: null }; // somebody else has done something to it: copying it will show
  return { slice: { ...chunk, upper: cut }, after: { chunk: row.chunk as number, lower: cut, upper: chunk.upper } };
}
