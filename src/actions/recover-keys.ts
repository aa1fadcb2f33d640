import { quoteName } from '../domain/identifier.ts';
import { LeafMap, type LeafRange } from '../domain/leaf-map.ts';
import { formatLsn } from '../domain/lsn.ts';
import { parseKeyText } from '../domain/partition-key.ts';
import { addHistory, store } from '../pg/control-store.ts';
import { gapsBetween, joinIntervals, RECOVERED_UNITS, type KeyInterval } from '../plan/resync-sql.ts';
import { adoptMade, type ApplierSession } from './applier-session.ts';
import { makeLiveLeaf, planMissingLeaf } from './make-leaf.ts';
import { WHOLE_TABLE } from './verify-range.ts';
import { adopt, GO_LIVE_KEYS, inSettledSnapshot, RESYNC_KEYS, resyncLive, type SnapshotOutcome } from './resync.ts';

/** The leaves that were live when the slot was lost, and those that were made since: all that is attached. */
export function keptLeaves({ leaves, units }: ApplierSession): LeafRange[] {
  return leaves.leaves.filter(({ unit }) => units.get(unit) === 'loading');
}

/**
 * Leaves for rows outside of every leaf: their inserts may be among the missing changes, so nobody would make them. Called between two
 * transactions of the stream, until there is none; what comes later comes through the stream. Resolves with the leaves made.
 */
export async function makeStrayLeaves(session: ApplierSession): Promise<SnapshotOutcome<number>> {
  const { client, plan, resync } = session;
  const leaves = new LeafMap(session.leaves.leaves);
  const made: LeafRange[] = [];
  const outcome = await inSettledSnapshot(session, async () => {
    for (;;) {
      const value = await firstIn(gapsBetween(leaves.leaves));
      if (value === null) return made.length;
      const leaf = planMissingLeaf(session, leaves, value);
      await makeLiveLeaf(session, leaf);
      made.push(leaf);
    }
  });
  if (outcome.type !== 'done') return outcome;
  session.leaves = leaves;
  adoptMade(session, made);
  return outcome;

  async function firstIn(gaps: readonly KeyInterval[]): Promise<bigint | null> {
    for (const gap of gaps) {
      const { rows } = await client.query<{ value: string | null }>(resync.firstIn(gap));
      if (rows[0]!.value !== null) return parseKeyText(plan.partitionKey.kind, rows[0]!.value);
    }
    return null;
  }
}

/** Empties leaves whose rows are all gone from the source: a missed TRUNCATE is not looked for key by key. Whether it did. */
export async function emptyPart(session: ApplierSession, part: number, interval: KeyInterval): Promise<SnapshotOutcome<boolean>> {
  const { client, plan, resync, migrationId } = session;
  return inSettledSnapshot(session, async ({ walLsn }) => {
    const { rows } = await client.query<{ value: string | null }>(resync.firstIn(interval));
    if (rows[0]!.value !== null) return false;
    const leaves = keptLeaves(session).filter(({ leaf }) => part === WHOLE_TABLE || leaf === part);
    await client.query(`truncate ${leaves.map(({ name }) => quoteName({ schema: plan.source.schema, name })).join(', ')}`);
    await store(client, 'recover/advance-part', [migrationId, part, null, 0, formatLsn(walLsn)]);
    return true;
  });
}

/**
 * Takes touched keys out of the kept leaves and puts their rows in as one settled snapshot sees them. Resolves with the number of keys
 * done. Called between two transactions of the stream.
 */
export async function resyncKept(session: ApplierSession, recovery: number): Promise<SnapshotOutcome<number>> {
  const { client, resync, plan, migrationId } = session;
  return inSettledSnapshot(session, async ({ walLsn }) => {
    const taken = await client.query(resync.takeTouched, [RECOVERED_UNITS, RESYNC_KEYS]);
    const keys = taken.rowCount ?? 0;
    if (keys === 0) return 0;
    await client.query(resync.deleteJob(plan.target));
    await client.query(resync.insertJob(plan.target, joinIntervals(keptLeaves(session))));
    await store(client, 'recover/pass-snapshot', [migrationId, recovery, formatLsn(walLsn)]);
    return keys;
  });
}

/**
 * The kept leaves are live again: the last touched keys stand in them as one settled snapshot has them, and are fenced (rule 5). Called
 * between two transactions of the stream, with everything compared, when the applied position has passed the last snapshot. False when
 * more keys are touched than are done at once.
 */
export async function finishRecovery(session: ApplierSession, recovery: number): Promise<SnapshotOutcome<boolean>> {
  const { client, resync, migrationId } = session;
  const { rows } = await client.query<{ keys: number }>(resync.countTouched, [RECOVERED_UNITS, GO_LIVE_KEYS + 1]);
  if (rows.some(({ keys }) => keys > GO_LIVE_KEYS)) return { type: 'done', value: false };
  const kept = new Set(keptLeaves(session).map(({ unit }) => unit));
  const outcome = await inSettledSnapshot(session, async (at) => {
    await client.query(resync.takeTouched, [RECOVERED_UNITS, 4 * GO_LIVE_KEYS]);
    const resynced = await resyncLive(session, at, kept, []);
    await store(client, 'recover/finish-units', [migrationId, recovery]);
    await addHistory(client, migrationId, 'slot recovered', { recovery });
    return resynced;
  });
  if (outcome.type !== 'done') return outcome;
  session.isRecovering = false;
  for (const [unit, state] of session.units) if (state === 'loading') session.units.set(unit, 'live');
  adopt(session, outcome.value);
  return { type: 'done', value: true };
}
