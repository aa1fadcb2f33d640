import type { PadColumn } from '../domain/pad-tuple.ts';
import type { Client } from '../pg/client.ts';
import { copyOutRows } from '../pg/copy.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';

/**
 * What changes have in the columns that came after them, in the form of the stream. The server makes it of the plan's own row, so that no
 * encoding but its own is involved.
 */
export async function fetchPadding(client: Client, migrationId: number, plan: MigrationPlan): Promise<PadColumn[]> {
  const padding: PadColumn[] = [];
  for (const [i, { name, type }] of (plan.added ?? []).entries()) {
    const { wire } = plan.columns.find((column) => column.name === name)!;
    const value = `(plan #>> '{added,${i},missing}')${wire === 'binary' ? `::${type}` : ''}`;
    const [row] = await copyOutRows(
      client,
      `copy (select ${value} from partitioner.migration where id = ${migrationId}) to stdout (format binary)`,
    );
    padding.push({ bytes: row![0]!, wire });
  }
  return padding;
}
