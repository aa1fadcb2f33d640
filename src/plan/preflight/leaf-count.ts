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
    const lower = from === undefined ? null : parseFrom(kind, from);
    if (lower !== null && (lower === infinityOf(kind) || lower === minusInfinityOf(kind)))
      throw new MigratorError('USAGE', `--from ${from!} is not finite`, {
        hint: '--from takes the first bound; older rows go into one edge leaf',
      });
    const finding = passed('partition-step', name, `--every ${every}${from === undefined ? '' : ` --from ${from}`} fits a ${kind} column`);
    return { finding, partitioning: { step, from: lower } };
  } catch (error) {
    if (!(error instanceof MigratorError)) throw error;
    return { finding: blocker('partition-step', name, error.message, error.hint), partitioning: null };
  }
}

function parseFrom(kind: KeyKind, text: string): bigint {
  try {
    return parseKeyText(kind, text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const example = kind.startsWith('int') ? '10000000' : '2024-01-01';
    throw new MigratorError('USAGE', `--from "${text}" is no ${kind}`, {
      hint: `the first bound, as the column writes it: --from ${example}`,
    });
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
  if (leaves > MAX_LEAVES)
    return blocker(
      'leaf-count',
      name,
      `${message}: at most ${MAX_LEAVES} are made`,
      'a larger --every; or --from VALUE, which puts all older rows into one edge leaf',
    );
  return leaves > MANY_LEAVES
    ? warning('leaf-count', name, `${message}: more than ${MANY_LEAVES} make planning slow`)
    : passed('leaf-count', name, message);
}
