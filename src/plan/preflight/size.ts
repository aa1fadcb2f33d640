import { formatBytes } from '../../domain/quantity.ts';
import { passed, warning, type Finding } from './finding.ts';
import type { ServerFacts } from './server.ts';
import type { TableFacts } from './table-kind.ts';

const LARGE_BYTES = 10 * 1024 ** 3;
const MB = 1024 ** 2;

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

export function decideSpace(facts: TableFacts, { settings }: Pick<ServerFacts, 'settings'>): Finding {
  const name = `${facts.schema}.${facts.name}`;
  const { data, wal, temporary } = computeSpaceNeeded(facts);
  const message = `${name} is ${formatBytes(facts.tableBytes)} and ${formatBytes(facts.indexBytes)} of indexes: about ${formatBytes(data)} more on its data volume, ${formatBytes(wal)} of WAL written in all (${describeKept(wal, Number(settings.max_slot_wal_keep_size ?? -1))}), up to ${formatBytes(temporary)} of temporary files for a moment`;
  return data > LARGE_BYTES ? warning('space-needed', name, message) : passed('space-needed', name, message);
}

/** While the daemon stands still the slot keeps all that is written, the application's own WAL too. */
function describeKept(wal: number, limitMb: number): string {
  if (limitMb < 0)
    return 'kept on disk for as long as the daemon stands still, and what the application writes with it: max_slot_wal_keep_size is off';
  const limit = limitMb * MB;
  return limit >= wal
    ? `max_slot_wal_keep_size, ${formatBytes(limit)}, has room for it`
    : `max_slot_wal_keep_size keeps ${formatBytes(limit)} of it: with a daemon that stands still for longer the slot is lost`;
}
