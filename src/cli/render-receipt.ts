import type { CutoverReceipt } from '../actions/cutover-context.ts';
import { tableWord } from '../domain/command-word.ts';

/** The receipt as a person reads it. */
export function renderReceipt(receipt: unknown, verb: 'cutover' | 'rollback' = 'cutover'): string {
  const {
    source,
    retired,
    attempts,
    lockWaitMs,
    lockHeldMs,
    readsBlockedMs,
    fenceLsn,
    rowsCompared,
    differences,
    sequences,
    objects,
    committedAt,
    dryRun,
  } = receipt as CutoverReceipt;
  return [
    ...(dryRun
      ? [`Rehearsed: everything was done and rolled back, ${source} is as it was.`, `  the old table would be ${retired}`]
      : verb === 'cutover'
        ? [`${source} is partitioned since ${String(committedAt)}.`, `  the old table is ${retired}`]
        : [`${source} is un-partitioned again since ${String(committedAt)}.`, `  the partitioned table is ${retired}`]),
    `  attempt ${attempts}: waited ${ms(lockWaitMs)} for the lock, held it ${ms(lockHeldMs)}, reads blocked for ${ms(readsBlockedMs)}`,
    `  fence ${fenceLsn}, ${rowsCompared} rows compared, ${differences} differences`,
    ...sequences.map(({ name, lastValue }) => `  sequence ${name} goes on after ${String(lastValue)}`),
    ...objects.map(({ kind, name, action }) => `  ${kind} ${name}: ${action}`),
    ...(dryRun ? [`Next: partitioner cutover ${tableWord(source)}`] : NEXT[verb](tableWord(source))),
  ].join('\n');
}

const NEXT: Readonly<Record<'cutover' | 'rollback', (source: string) => string[]>> = {
  cutover: (source) => [
    `Next: partitioner finish ${source} removes what the migration leaves behind; --drop-retired drops the old table too.`,
    `Until then, unless it was made with --no-way-back: partitioner rollback ${source} switches back.`,
  ],
  rollback: (source) => [`Next: partitioner cutover ${source} --when-ready once more, or partitioner abort ${source}.`],
};

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
