import { performance } from 'node:perf_hooks';
import {
  concat,
  defer,
  EMPTY,
  from,
  ignoreElements,
  lastValueFrom,
  merge,
  NEVER,
  Subject,
  take,
  takeUntil,
  tap,
  type Observable,
} from 'rxjs';
import { openApplierSession } from '../actions/applier-session.ts';
import { statusLine } from '../actions/status-line.ts';
import { formatLsn, type Lsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { READY_LAG } from '../migration/phase.ts';
import { close, connect, type Client } from '../pg/client.ts';
import type { Migration } from '../pg/control-store.ts';
import { fetchLimits } from '../pg/throttle-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { Applier, AppliedEvent } from './applier.ts';
import { runBackfill } from './backfill.ts';
import type { CommandEnd, RunningWayBack } from './command-context.ts';
import { commands$ } from './commands.ts';
import { DEFAULT_CHUNK_MS, DEFAULT_WAY_BACK_WAL_BYTES, type DaemonOptions } from './options.ts';
import { watchDefinition$ } from './definition-watch.ts';
import { Pool } from './pool.ts';
import { CopyPace } from './copy-chunk.ts';
import { Rate } from './rate.ts';
import { throttle$ } from './throttle.ts';
import { monitor$ } from './monitor.ts';
import { runRecovery } from './recovery.ts';
import { openApplier } from './open-applier.ts';
import { watchWayBack$ } from './way-back-monitor.ts';
import { lost$, push$ } from './sessions.ts';
import { aborted$, createSharedState, untilUnpaused } from './shared-state.ts';
import { Verifier } from './verifier.ts';

export interface RunOptions extends Omit<DaemonOptions, 'table' | 'http'> {
  readonly metrics: Metrics;
  readonly control: Client;
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly table: SourceTable;
  readonly beat: (client: Client) => Promise<unknown>;
  /** The stream is that of the way back of a migration that is switched; `migration` is its row. */
  readonly wayBack: RunningWayBack | null;
  /** Something was committed: the pauses between restarts begin anew. */
  readonly onCommitted: () => void;
}

/**
 * Runs a prepared migration: change stream, backfill, monitor and commands as one merged graph that is awaited once; the
 * first error wins, and everything is taken down outside of it. Returns the command that has ended it, or null
 * when the signal asked for it: what is being applied is committed first.
 */
export async function runMigration(options: RunOptions): Promise<CommandEnd | null> {
  const { settings, migration, table, control, metrics, wayBack, signal, log } = options;
  const session = await openApplierSession(settings, migration.id, migration.plan, table);
  const closing: (() => Promise<unknown>)[] = [() => close(session.client)];
  const stopped = new AbortController();
  const stop = AbortSignal.any([signal, stopped.signal]);
  let end: CommandEnd | null = null;
  let applier: Applier | null = null;
  try {
    const listener = await open(closing, () => connect(settings, { applicationName: 'partitioner commands' }));
    const pusher = await open(closing, () => connect(settings, { applicationName: 'partitioner fence' }));
    const following = (applier = await openApplier(options, session, closing));
    const state = createSharedState(migration.paused, await fetchLimits(control, migration.id));
    const rate = new Rate(null);
    const onWaiting = (what: string | null): void => {
      if (what !== state.waiting$.value) state.waiting$.next(what);
    };
    const passed = (lsn: Lsn): Promise<void> => following.passed(lsn);
    // One query at a time on the session that holds the migration's lock; monitor and backfill share it.
    const desk = new Pool<Client>({ size: 1, make: () => Promise.resolve(control), dispose: () => Promise.resolve() });
    // Whoever goes on with this session would do so in the transaction, and the snapshot, of a look that is under way.
    closing.push(() => {
      desk.abandon(stop.reason);
      return desk.close();
    });

    const applied$ = following.events$.pipe(tap((event) => observe(options, metrics, following, event)));
    if (wayBack) {
      closing.push(() => wayBack.afterSteps.stop());
      wayBack.afterSteps.start();
    }
    const backfill$ = defer(() => {
      if (wayBack) return NEVER; // everything is there
      const running = runBackfill({
        settings,
        migration,
        applier: following,
        jobs: options.jobs,
        clientEncoding: session.clientEncoding,
        desk,
        pace: new CopyPace(options.chunkMs ?? DEFAULT_CHUNK_MS),
        rate,
        isSlow: () => state.pace$.value.pace === 'slow' || state.outrun$.value !== null,
        unpaused: (until) => untilUnpaused(state, until),
        passed,
        onCopied: (rows) => {
          options.onCommitted();
          metrics.rowsCopied(rows);
        },
        onWaiting,
        onUnit: (unit, event) => {
          log.info({ unit, event }, 'unit');
        },
        signal: stop,
      });
      closing.push(() => running.catch(() => undefined));
      return from(running);
    });
    const recovered$ = defer(() => {
      if (wayBack) return EMPTY;
      const running = runRecovery({
        settings,
        migrationId: migration.id,
        plan: migration.plan,
        sql: session.verify,
        applier: following,
        jobs: options.jobs,
        bytesPerSecond: options.verifyBytesPerSecond ?? null,
        rowBytes: rowBytesOf(migration.plan),
        desk,
        unpaused: (until) => untilUnpaused(state, until),
        passed,
        onWaiting,
        signal: stop,
        log,
      });
      closing.push(() => running.catch(() => undefined));
      return from(running);
    }).pipe(ignoreElements());
    const verifier = new Verifier({
      settings,
      migrationId: migration.id,
      plan: migration.plan,
      sql: session.verify,
      applier: following,
      jobs: options.jobs,
      bytesPerSecond: options.verifyBytesPerSecond ?? null,
      rowBytes: rowBytesOf(migration.plan),
      unpaused: (until) => untilUnpaused(state, until),
      signal: stop,
      log,
    });
    const verified$ = defer(() => {
      const running = verifier.run();
      closing.push(() => running.catch(() => undefined));
      return from(running);
    });
    const command$ = commands$({
      settings,
      migration,
      table,
      applier: following,
      wayBack,
      verifier,
      state,
      metrics,
      listener,
      passed,
      onWaiting,
      log,
      signal: stop,
      now: () => performance.now(),
      onBackground: (running) => {
        closing.push(() => running.catch(() => undefined));
      },
    }).pipe(
      take(1),
      tap((ended) => (end = ended)),
    );
    const defined$ = wayBack ? NEVER : watchDefinition$(desk, migration);
    const watched = { desk, state, metrics, applier: following, beat: options.beat };
    const monitored$ = (
      wayBack
        ? watchWayBack$({ ...watched, parent: wayBack.parent, limitBytes: options.wayBackWalBytes ?? DEFAULT_WAY_BACK_WAL_BYTES })
        : monitor$({ ...watched, migration, verifier, maxLag: READY_LAG, log })
    ).pipe(tap((status) => options.onProgress?.(statusLine(status))));
    const over$ = new Subject<void>();
    const stopping$: Observable<void> = merge(over$, aborted$(signal)).pipe(
      take(1),
      tap(() => {
        following.stop();
      }),
    );
    await lastValueFrom(
      merge(
        applied$,
        merge(
          concat(recovered$, backfill$.pipe(ignoreElements())),
          verified$.pipe(ignoreElements()),
          command$.pipe(
            tap(() => {
              over$.next();
            }),
          ),
          monitored$,
          defined$,
          wayBack ? NEVER : throttle$({ settings, migrationId: migration.id, slotName: migration.plan.slotName, desk, state, log }),
          state.limits$.pipe(
            tap((limits) => (rate.perSecond = limits['copy-rate'] ?? null)),
            ignoreElements(),
          ),
          push$(following, pusher).pipe(ignoreElements()),
          ...[control, session.client, listener, pusher].map(lost$),
        ).pipe(takeUntil(stopping$)),
      ),
      { defaultValue: undefined },
    );
  } finally {
    applier?.stop(); // whoever waits for it is told, whatever has ended the graph
    stopped.abort(new MigratorError('POSTGRES', 'the daemon stops'));
    for (const close of closing.reverse()) await close().catch(() => undefined);
  }
  return end;
}

function observe({ log, onCommitted }: RunOptions, metrics: Metrics, applier: Applier, event: AppliedEvent): void {
  if (event.type !== 'batch') return;
  const { applied, seconds } = event;
  // Of an idle stream the position alone is written down, also right before it fails once more.
  if (applied.inserted + applied.updated + applied.deleted + applied.truncated > 0) onCommitted();
  metrics.observeBatch(seconds);
  metrics.changesApplied('insert', applied.inserted);
  metrics.changesApplied('update', applied.updated);
  metrics.changesApplied('delete', applied.deleted);
  metrics.changesApplied('truncate', applied.truncated);
  if (applied.anomalies > 0)
    log.error(
      { anomalies: applied.anomalies, at: formatLsn(applier.position) },
      'changes did not hit exactly one row: the cutover is refused',
    );
}

async function open(closing: (() => Promise<unknown>)[], make: () => Promise<Client>): Promise<Client> {
  const client = await make();
  closing.push(() => close(client));
  return client;
}

/** What a row takes, about; at least what a row takes at all. */
function rowBytesOf({ units }: MigrationPlan): number {
  const rows = units.reduce((sum, unit) => sum + unit.rowsEstimated, 0);
  const bytes = units.reduce((sum, unit) => sum + unit.bytesEstimated, 0);
  return rows === 0 ? 200 : Math.max(40, bytes / rows);
}
