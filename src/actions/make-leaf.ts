import type { LeafMap, LeafRange } from '../domain/leaf-map.ts';
import { infinityOf, leafName, periodOf } from '../domain/partition-key.ts';
import { store } from '../pg/control-store.ts';
import { guardTable } from '../plan/guard.ts';
import { planLeaf } from '../plan/leaf.ts';
import type { ApplierSession } from './applier-session.ts';

/**
 * The leaf that a value outside of every leaf gets: its whole period, cut where others begin. Infinity gets one from
 * infinity to MAXVALUE, so that it stands in no later leaf's way. Adds it to the map.
 */
export function planMissingLeaf(session: ApplierSession, leaves: LeafMap, value: bigint): LeafRange {
  const { plan } = session;
  const { kind, step } = plan.partitionKey;
  const infinity = infinityOf(kind);
  const period = value === infinity ? { lower: infinity, upper: null } : periodOf(kind, step, value);
  const bounds = leaves.gap(value, period);
  const number = leaves.leaves.reduce((most, { leaf }) => Math.max(most, leaf), -1) + 1;
  const unit = Math.max(-1, ...session.units.keys(), ...leaves.leaves.map((leaf) => leaf.unit)) + 1;
  const leaf = { leaf: number, name: leafName(plan.source.name, kind, step, bounds.lower), unit, ...bounds };
  leaves.add(leaf);
  return leaf;
}

/**
 * Makes an empty leaf, live at once unless all of them are recovered, in the session's transaction: nothing of it can have been copied. It is like the
 * target, not like the source as it is now: constraints that came to that meanwhile would refuse the older rows of the stream, and the target gets
 * them, with every leaf, in the switch.
 */
export async function makeLiveLeaf(session: ApplierSession, leaf: LeafRange): Promise<void> {
  const { client, migrationId, plan, table } = session;
  const steps = planLeaf(table, plan.target, plan.partitionKey, leaf, plan.target);
  for (const step of [...steps.create, ...steps.finish, ...steps.attach]) await client.query(step.sql);
  if (session.isGuarded) await client.query(guardTable({ schema: plan.target.schema, name: leaf.name }, migrationId));
  const state = session.isRecovering ? ['loading', 'resync'] : ['live', 'live'];
  await store(client, 'store/insert-unit', [migrationId, leaf.unit, ...state, leaf.unit, 0, 0]);
  await store(client, 'store/insert-leaf', [
    migrationId,
    leaf.leaf,
    leaf.unit,
    leaf.name,
    leaf.lower?.toString() ?? null,
    leaf.upper?.toString() ?? null,
  ]);
}
