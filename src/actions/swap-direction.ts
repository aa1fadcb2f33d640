import type { QualifiedName } from '../domain/identifier.ts';
import type { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import type { MaterializedViewFacts } from '../plan/attachments/materialized-views.ts';
import type { Swap } from '../plan/swap.ts';
import type { CutoverReceipt } from './cutover-context.ts';

/** The switch as the catalog is now. */
export interface PlannedSwap {
  readonly swap: Swap;
  readonly materializedViews: readonly MaterializedViewFacts[];
  /** Under the lock: whether what it was planned from is still so. */
  readonly isStill: (locker: Client) => Promise<boolean>;
}

/** What differs between the cutover and the switch back; the locks, the fence, the limits and the attempts do not. */
export interface SwapDirection {
  /** As the user calls it, for what is said on the way. */
  readonly verb: 'cutover' | 'rollback';
  /** The name that the table gets which has the application's until then. */
  readonly retires: QualifiedName;
  /** Planned for each attempt, on the session that will hold the lock: its second reading is then a fast one. */
  readonly plan: (client: Client) => Promise<PlannedSwap>;
  /** The table that the application writes has another definition than was planned for. */
  readonly altered: () => MigratorError;
  /** Records the switch in its own transaction, as the last thing before the commit. */
  readonly record: (locker: Client, receipt: CutoverReceipt, swap: Swap) => Promise<void>;
}
