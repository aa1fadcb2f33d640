import type { Logger } from 'pino';
import type { FollowHooks } from '../actions/follow.ts';
import type { CutoverContext } from '../actions/cutover-context.ts';
import type { Lsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import type { Migration } from '../pg/control-store.ts';
import type { OpenWayBack } from '../pg/way-back-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { AfterRunner } from './after-runner.ts';
import type { Applier } from './applier.ts';
import { assertStillReady, untilReady } from './assert-ready.ts';
import type { SharedState } from './shared-state.ts';
import type { Verifier } from './verifier.ts';

/** The way back that the daemon follows. */
export interface RunningWayBack {
  readonly parent: Migration & { readonly plan: MigrationPlan };
  readonly row: OpenWayBack;
  /** The validations after the cutover hold locks: they make way for a switch back, and go on when it does not come. */
  readonly afterSteps: AfterRunner;
}

export interface CommandOptions {
  readonly settings: ConnectionSettings;
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly table: SourceTable;
  readonly applier: Applier;
  readonly verifier: Verifier;
  /** After the cutover: the stream is that of the way back. */
  readonly wayBack: RunningWayBack | null;
  readonly state: SharedState;
  readonly metrics: Metrics;
  /** Takes the commands; it listens. */
  readonly listener: Client;
  readonly passed: (lsn: Lsn) => Promise<void>;
  readonly onWaiting: (what: string | null) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** What goes on beside the stream of commands: to be ended before the sessions are. */
  readonly onBackground: (running: Promise<unknown>) => void;
}

/** How a command ends the daemon's work, when it does. */
export interface CommandEnd {
  readonly end: 'switched' | 'rolled back' | 'finish' | 'abort';
}

/** What a switch of either direction is given. */
export function switchContext(options: CommandOptions, limits: Record<string, unknown>): Omit<CutoverContext, 'direction'> & FollowHooks {
  const { settings, migration, table, applier, verifier, metrics, passed, onWaiting, signal, now } = options;
  const attempts = Number(limits.attempts ?? 60);
  return {
    settings,
    migration,
    table,
    limits: { lockTimeoutMs: Number(limits.lockTimeoutMs ?? 200), maxLockHoldMs: Number(limits.maxLockHoldMs ?? 1_000), attempts },
    attempts,
    dryRun: limits.dryRun === true,
    passed,
    verification: { migrationId: migration.id, plan: migration.plan, sql: applier.session.verify },
    quietly: (run) => verifier.hold(run),
    catchUp: () => verifier.catchUp(),
    untilProven: () => untilReady(options, signal),
    assertProven: () => {
      assertStillReady(options);
    },
    onAttempt: (outcome) => {
      metrics.lockAttempt(outcome);
    },
    onSwitched: () => {
      verifier.end();
    },
    onWaiting,
    signal,
    now,
  };
}
