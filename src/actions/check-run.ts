import { inTransaction, sqlState, type Client } from '../pg/client.ts';
import type { PlanOptions } from '../plan/options.ts';
import type { Fate } from '../plan/attachments/carried.ts';
import { unread, type Finding } from '../plan/preflight/finding.ts';
import type { CheckId } from '../plan/preflight/registry.ts';

const INSUFFICIENT_PRIVILEGE = '42501';

/** One run of `check`: what it looks at, and what it has found so far. */
export interface CheckRun {
  readonly client: Client;
  readonly options: PlanOptions;
  readonly findings: Finding[];
  /** What hangs on the table and what becomes of it, once that was read. */
  readonly dependents: Fate[];
}

/** Reads in one read-only transaction. What the role may not read becomes a warning of each check that needs it, and null. */
export async function read<T>(run: CheckRun, ids: readonly CheckId[], object: string, use: () => Promise<T>): Promise<T | null> {
  return attempt(run, ids, object, () => inTransaction(run.client, use, 'begin transaction read only'));
}

/** The same for reads that bring their own read-only transaction. */
export async function attempt<T>(
  { findings }: CheckRun,
  ids: readonly CheckId[],
  object: string,
  use: () => Promise<T>,
): Promise<T | null> {
  try {
    return await use();
  } catch (error) {
    if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    findings.push(...ids.map((id) => unread(id, object, reason)));
    return null;
  }
}
