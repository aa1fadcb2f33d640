import { quoteName } from '../domain/identifier.ts';
import { snapshotSees } from '../domain/pg-snapshot.ts';
import { GONE, OUT, STAGE } from '../plan/apply-sql.ts';
import { loadingUnits, type ApplierSession } from './applier-session.ts';

/**
 * Applies a TRUNCATE of the source, in the session's transaction: live leaves and those that load become empty, but for rows
 * that a fence put there as a snapshot after the TRUNCATE saw them. Rows that a chunk copied after it come back through
 * the touched keys: their inserts follow in the stream.
 */
export async function truncateTarget(session: ApplierSession, xid: bigint): Promise<void> {
  const { client, plan, resync, sql } = session;
  const loading = new Set(loadingUnits(session));
  // The leaves that the plan found empty were so after this TRUNCATE.
  const isBased = session.baseFence !== null && snapshotSees(session.baseFence.snapshot, xid);
  const tables = [
    ...(isBased ? [] : [plan.target]),
    ...session.leaves.leaves.filter(({ unit }) => loading.has(unit)).map(({ name }) => ({ schema: plan.source.schema, name })),
  ];
  if (tables.length === 0) return;
  const truncate = `truncate ${tables.map(quoteName).join(', ')}`;
  if (!isBased && [...session.fences.values()].some(({ snapshot }) => snapshotSees(snapshot, xid))) {
    await client.query(sql.keepFenced(resync.fence), [xid.toString()]);
    await client.query(truncate);
    await client.query(sql.restoreKept);
  } else await client.query(truncate);
  await client.query(`truncate ${STAGE}, ${GONE}, ${OUT}`); // the rest of the batch is staged anew
}
