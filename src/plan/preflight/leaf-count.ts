import { infinityOf, KEY_RANGE, minusInfinityOf, type KeyKind } from '../../domain/key-kind.ts';
import { parseEvery, parseKeyText, periodOf, type Step } from '../../domain/partition-key.ts';
import type { QualifiedName } from '../../domain/identifier.ts';
import { MigratorError } from '../../errors.ts';
import { MAX_LEAVES } from '../leaves.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';
import type { KeyRange } from './partition-column.ts';

export interface Partitioning {
  readonly step: Step;
  readonly from: bigint | null;
}

/** Reads `--every` and `--from`; what does not fit the column is a finding. */
export function decideStep(
  kind: KeyKind,
  { every, from }: { readonly every: string; readonly from?: string },
  table: QualifiedName,
): { readonly finding: Finding; readonly partitioning: Partitioning | null } {
  const name = `${table.schema}.${table.name}`;
  try {
    const step = parseEvery(every, kind);
    const lower = from === undefined ? null : parseKeyText(kind, from);
    if (lower !== null && (lower === infinityOf(kind) || lower === minusInfinityOf(kind)))
      throw new RangeError(`--from ${from!} is not finite`);
    const finding = passed('partition-step', name, `--every ${every}${from === undefined ? '' : ` --from ${from}`} fits a ${kind} column`);
    return { finding, partitioning: { step, from: lower } };
  } catch (error) {
    if (!(error instanceof MigratorError) && !(error instanceof RangeError)) throw error;
    const hint = error instanceof MigratorError ? error.hint : undefined;
    return { finding: blocker('partition-step', name, error.message, hint), partitioning: null };
  }
}

/** The finite ones of the range's ends, in the key's own unit. */
export function computeEnds(kind: KeyKind, range: KeyRange): { readonly min: bigint | null; readonly max: bigint | null } {
  const ends = [range.lowest, range.highest].filter((text) => text !== null && text !== 'infinity' && text !== '-infinity');
  const values = ends.map((text) => parseKeyText(kind, text!));
  if (values.length === 0) return { min: null, max: null };
  return { min: values[0]!, max: values.at(-1)! };
}

/** How many leaves there will be, without making the list of them: a stray row in the year 1 would make it long. */
export function estimateLeaves(
  kind: KeyKind,
  { step, from }: Partitioning,
  { min, max, now }: { readonly min: bigint | null; readonly max: bigint | null; readonly now: bigint | null },
  premake: number,
): number {
  const values = [min, max, now].filter((value) => value !== null);
  if (values.length === 0) return 1 + premake;
  let lowest = values.reduce((a, b) => (a < b ? a : b));
  const highest = values.reduce((a, b) => (a > b ? a : b));
  const edge = from !== null && lowest < from;
  if (edge) lowest = from < highest ? from : highest;
  const { lower, upper } = periodOf(kind, step, highest);
  const range = KEY_RANGE[kind];
  const width = (upper ?? range.end) - (lower ?? range.first);
  return Number((highest - lowest) / (width > 0n ? width : 1n)) + 1 + premake + (edge ? 1 : 0);
}

const MANY_LEAVES = 1000;

export function decideLeafCount(leaves: number, range: KeyRange, table: QualifiedName): Finding {
  const name = `${table.schema}.${table.name}`;
  const source = {
    rows: '',
    statistics: ', by the statistics',
    nothing: ', the rows could not be read in time and there are no statistics: ANALYZE the table',
  }[range.from];
  const span = range.lowest === null || range.highest === null ? 'no value is known' : `values from ${range.lowest} to ${range.highest}`;
  const message = `about ${leaves} leaves (${span}${source})`;
  if (leaves > MAX_LEAVES) return blocker('leaf-count', name, `${message}: at most ${MAX_LEAVES} are made`);
  return leaves > MANY_LEAVES
    ? warning('leaf-count', name, `${message}: more than ${MANY_LEAVES} make planning slow`)
    : passed('leaf-count', name, message);
}
