import { formatBytes } from '../../domain/quantity.ts';
import { passed, warning, type Finding } from './finding.ts';
import type { TableFacts } from './table-kind.ts';

const LARGE_BYTES = 10 * 1024 ** 3;

/**
 * Rows are copied once (without the dead ones) and indexed once; both write WAL of about the same size. Building an index sorts
 * its keys in temporary files. The WAL is only kept until the slot and the archiver have it.
 */
export function computeSpaceNeeded({ tableBytes, indexBytes }: TableFacts): {
  readonly data: number;
  readonly wal: number;
  readonly temporary: number;
} {
  return { data: tableBytes + indexBytes, wal: tableBytes + indexBytes, temporary: indexBytes };
}

export function decideSpace(facts: TableFacts): Finding {
  const name = `${facts.schema}.${facts.name}`;
  const { data, wal, temporary } = computeSpaceNeeded(facts);
  const message = `${name} is ${formatBytes(facts.tableBytes)} and ${formatBytes(facts.indexBytes)} of indexes: about ${formatBytes(data)} more on its data volume, ${formatBytes(wal)} of WAL written in all, up to ${formatBytes(temporary)} of temporary files for a moment`;
  return data > LARGE_BYTES ? warning('space-needed', name, message) : passed('space-needed', name, message);
}
