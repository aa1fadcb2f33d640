import type { Logger } from 'pino';
import type { ConnectionSettings } from '../pg/connection.ts';
import type { PlanOptions } from '../plan/options.ts';

/** Hours of a busy server, and less than what most disks have left. */
export const DEFAULT_WAY_BACK_WAL_BYTES = 64 * 2 ** 30;

/** What a sync daemon is started with. */
export interface DaemonOptions {
  readonly settings: ConnectionSettings;
  /** As the user wrote it. */
  readonly table: string;
  readonly plan: PlanOptions;
  /** Copy streams at a time, and as many index builders. */
  readonly jobs: number;
  /** WAL that the way back's slot may retain after the cutover; past it the way back is closed. Default: DEFAULT_WAY_BACK_WAL_BYTES. */
  readonly wayBackWalBytes?: number;
  /** Ceiling of the verification, for each side; without it as fast as it goes. */
  readonly verifyBytesPerSecond?: number;
  /** With a token `pause` and `resume` are taken over HTTP. */
  readonly http: { readonly host: string; readonly port: number; readonly token?: string | null } | null;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly onProgress?: (line: string) => void;
}
