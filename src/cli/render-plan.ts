import { keyLiteral } from '../domain/partition-key.ts';
import { formatBytes, formatCount } from '../domain/quantity.ts';
import type { DdlStep, MigrationPlan, PlannedLeaf } from '../plan/migration-plan.ts';
import type { Fate } from '../plan/attachments/carried.ts';
import type { planSwap } from '../plan/swap.ts';

/** What `plan` reports of one table. */
export interface PlanReport {
  readonly table: string;
  /** Whether this is the plan of a migration that runs, or what a `start` would make. */
  readonly begun: boolean;
  readonly migration: number;
  readonly plan: MigrationPlan;
  readonly swap: ReturnType<typeof planSwap>;
  /** What hangs on the table, and what becomes of it. */
  readonly dependents: readonly Fate[];
  /** Of the source with its indexes and TOAST, and of its indexes alone: about what the target needs, on disk and as WAL. */
  readonly totalBytes: number;
  readonly indexBytes: number;
}

/** The plan as a person reads it: what is made, what is copied, what the switch does. */
export function renderPlan({ table, begun, migration, plan, swap, totalBytes }: PlanReport): string {
  const { units, leaves, partitionKey } = plan;
  const rows = units.reduce((sum, unit) => sum + unit.rowsEstimated, 0);
  const chunks = units.reduce((sum, unit) => sum + unit.chunks.length, 0);
  const step = partitionKey.step;
  const every = step.unit === 'value' ? step.count : step.count === 1 ? step.unit : `${step.count} ${step.unit}s`;
  return [
    `${table}: ${begun ? `the plan of migration ${migration}` : 'the plan of a start'}`,
    `  partitioned by range of ${partitionKey.name} (${partitionKey.kind}), every ${every}: ${leaves.length} leaves`,
    `  about ${formatCount(rows)} rows in ${units.length} units and ${counted(chunks, 'chunk')}`,
    `  needs about ${formatBytes(totalBytes)} of disk for the target, and as much WAL over the whole run`,
    `  publication ${plan.publicationName}: made under SHARE UPDATE EXCLUSIVE on the table, for a moment`,
    `  slot ${plan.slotName}: its creation waits for the transactions that run at the time`,
    ...section('START makes the partitioned table', plan.createTarget),
    '',
    'LEAVES, each: create, load, index, attach',
    ...leaves.map((leaf) => renderLeaf(leaf, plan)),
    ...leafExample(leaves),
    '',
    'CUTOVER',
    ...swap.first.flatMap(renderStep),
    `  -- a lock that stops the writers of the table only, the fence and the comparison; then, in the same transaction:`,
    ...swap.next.flatMap(renderStep),
    ...swap.steps.flatMap(renderStep),
    ...(swap.after.length === 0 ? [] : section('AFTER THE CUTOVER, by the daemon, while the application goes on', swap.after)),
    '',
    'WHAT BECOMES OF EACH OBJECT',
    ...swap.objects.map(({ kind, name, action }) => `  ${kind} ${name}: ${action}`),
  ].join('\n');
}

function renderLeaf(leaf: PlannedLeaf, { units, partitionKey: { kind } }: MigrationPlan): string {
  const unit = units.find((candidate) => candidate.unit === leaf.unit);
  const bound = (value: string | null, open: string): string => (value === null ? open : keyLiteral(kind, BigInt(value)));
  const bounds = `${bound(leaf.lower, 'MINVALUE')} to ${bound(leaf.upper, 'MAXVALUE')}`;
  if (!unit || unit.kind === 'empty') return `  ${leaf.name}  ${bounds}  empty, live from the start`;
  if (unit.kind === 'table') return `  ${leaf.name}  ${bounds}  loaded with the whole table`;
  return `  ${leaf.name}  ${bounds}  load ${unit.loadOrder}: about ${formatCount(unit.rowsEstimated)} rows, ${formatBytes(unit.bytesEstimated)}, ${counted(unit.chunks.length, 'chunk')}`;
}

/** The statements differ from leaf to leaf only in names and bounds: one leaf stands for all; --json has every one. */
function leafExample(leaves: readonly PlannedLeaf[]): string[] {
  const leaf = leaves[0];
  if (!leaf) return [];
  return [
    ...section(`STATEMENTS OF A LEAF, here ${leaf.name} (--json prints those of every leaf)`, leaf.create),
    ...leaf.finish.flatMap(renderStep),
    ...leaf.attach.flatMap(renderStep),
  ];
}

function section(title: string, steps: readonly DdlStep[]): string[] {
  return ['', title, ...steps.flatMap(renderStep)];
}

function renderStep({ sql, lock, why }: DdlStep): string[] {
  const lines = sql.trim().replace(/;$/, '').split('\n');
  return [`  -- ${why}; lock: ${lock}`, ...lines.map((line, i) => `  ${line}${i === lines.length - 1 ? ';' : ''}`)];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
