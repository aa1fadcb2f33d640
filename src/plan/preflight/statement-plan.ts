import { identifierOf, tokenizeSql } from '../../domain/sql-tokens.ts';

/** A node of EXPLAIN (FORMAT JSON). */
export type PlanNode = Readonly<Record<string, unknown>> & { readonly Plans?: readonly PlanNode[] };

export interface PlanReading {
  /** It names the partitioned table or a leaf of it. */
  readonly uses: boolean;
  /** It goes through every leaf, whatever its parameters are. */
  readonly all: boolean;
  /** What an INSERT … ON CONFLICT goes by; null when it is none. */
  readonly arbiters: readonly string[] | null;
}

/** Nodes that hand rows on as they come, so that a LIMIT above them ends the reading below. */
const PASSING = new Set(['LockRows', 'Result', 'Subquery Scan', 'ProjectSet']);

/**
 * Reads a plan over the empty twin, made for parameters that are NULL: what prunes by a parameter has its leaves removed when
 * it starts, what keeps them all cannot prune. Pruning that waits for a value from another part of the plan (a join, a
 * subquery) shows as a plain comparison of the partition column; a LIMIT over leaves in their order, of rows that all will do, reads on only as far as it must.
 */
export function readPlan(
  root: PlanNode,
  twin: { readonly table: string; readonly leaves: readonly string[]; readonly key: string },
): PlanReading {
  let uses = false;
  let all = false;
  let arbiters: readonly string[] | null = null;
  const visit = (node: PlanNode, stopsEarly: boolean): void => {
    const type = String(node['Node Type']);
    const relation = node['Relation Name'];
    const members = (node.Plans ?? []).filter((child) => child['Parent Relationship'] === 'Member');
    const removed = Number(node['Subplans Removed'] ?? 0);
    if (relation === twin.table || twin.leaves.includes(String(relation)) || removed > 0) uses = true;
    if (type === 'ModifyTable' && relation === twin.table && node['Conflict Resolution'] !== undefined) {
      arbiters = (node['Conflict Arbiter Indexes'] as readonly string[] | undefined) ?? [];
    }
    if (type === 'Append' || type === 'Merge Append') {
      const scans = members.map((member) => leafScan(member, twin.leaves)).filter((scan) => scan !== null);
      const isEarly = stopsEarly && type === 'Append' && scans.every((scan) => isUnconditional(scan, twin.key));
      if (scans.length >= twin.leaves.length && removed === 0 && !isEarly) {
        if (!scans.every((scan) => comparesKey(scan, twin.key))) all = true;
      }
    }
    for (const child of node.Plans ?? []) {
      const isOuter = child['Parent Relationship'] === 'Outer' || child['Parent Relationship'] === 'Subquery';
      visit(child, isOuter && (type === 'Limit' || (stopsEarly && PASSING.has(type))));
    }
  };
  visit(root, false);
  return { uses, all, arbiters };
}

/** The scan of a leaf below a member of an Append, with what it goes by; null when it is none of the twin's. */
function leafScan(node: PlanNode, leaves: readonly string[]): PlanNode | null {
  if (leaves.includes(String(node['Relation Name']))) return node;
  for (const child of node.Plans ?? []) {
    const found = leafScan(child, leaves);
    if (found !== null) return found;
  }
  return null;
}

/** Whether each row will do: then a LIMIT is soon reached. min() and max() leave out NULLs of the column. */
function isUnconditional(scan: PlanNode, key: string): boolean {
  const conditions = [scan['Index Cond'], scan['Filter']].filter((text) => typeof text === 'string');
  return conditions.every((condition) => / IS NOT NULL\)$/.test(condition) && !condition.includes(' AND ') && condition.includes(key));
}

const COMPARISONS = new Set(['=', '<', '>']);

/** Whether a condition compares the bare column with something: `(at = o.at)`; not `(at)::date = …`, and not beside an OR. */
function comparesKey(scan: PlanNode, key: string): boolean {
  const conditions = [scan['Index Cond'], scan['Recheck Cond'], scan['Filter']].filter((text) => typeof text === 'string');
  return conditions.some((condition) => {
    const tokens = tokenizeSql(condition).filter(({ kind }) => kind !== 'space');
    if (tokens.some((token) => token.kind === 'word' && token.text === 'OR')) return false;
    return tokens.some((token, i) => {
      if (identifierOf(token) !== key) return false;
      const from = tokens[i - 1]?.text === '.' ? i - 2 : i;
      const before = tokens[from - 1]?.text ?? '';
      return COMPARISONS.has(tokens[i + 1]?.text ?? '') || COMPARISONS.has(before);
    });
  });
}
