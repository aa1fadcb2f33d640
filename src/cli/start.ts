import { checkTable } from '../actions/check.ts';
import { fetchStatus } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { runDaemon } from '../daemon/daemon.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { formatAddress } from '../http/server.ts';
import { describeConnection } from '../pg/connection.ts';
import type { PlanOptions } from '../plan/options.ts';
import { hasBlocker } from './check.ts';
import { findMigration, isOpen, requirePhase } from './find-migration.ts';
import { readHttpToken } from './http-token.ts';
import { createProgressLine, print, printJson } from './output.ts';
import { planOptionsOf, refuseOtherOptions } from './plan-options.ts';
import type { Invocation, Verb } from './program.ts';
import { renderFindings } from './render-findings.ts';
import { oneTable, openSession, withSession, type Session } from './session.ts';
import { limitsOf } from './settings.ts';
import { onStopSignal } from './stop-signal.ts';

const DEFAULT_HTTP = { host: '127.0.0.1', port: 9187 };
const DEFAULT_JOBS = 2;
/** Hours of a busy server, and less than what most disks have left. */
const DEFAULT_SLOT_WAL_BYTES = 64 * 2 ** 30;
/** A log file wants no line a second for ten hours. */
const PLAIN_PROGRESS_MS = 5_000;

/** `start`: checks, says what it is going to do, and runs the daemon until a signal or the migration's end. */
export const start: Verb = async (invocation) => {
  const session = openSession(invocation, 'info');
  const table = oneTable(invocation, session.config, 'start');
  const settings = session.settings(table);
  const token = readHttpToken(settings['http-token-file'], process.env);
  const decision = await decide(invocation, session, table);
  if (!decision) return 2;

  const http = settings.http === undefined ? DEFAULT_HTTP : settings.http;
  const jobs = settings.jobs ?? DEFAULT_JOBS;
  if (!invocation.json)
    print([...(decision.resumes ?? announcement(session, table, decision.options, jobs)), ...addresses(http)].join('\n'));
  const progress = createProgressLine(process.stdout, PLAIN_PROGRESS_MS);
  const stop = onStopSignal();
  try {
    await runDaemon({
      settings: session.connection,
      table,
      plan: decision.options,
      jobs,
      ...(settings['way-back-wal'] === undefined ? {} : { wayBackWalBytes: settings['way-back-wal'] }),
      ...(settings['verify-rate'] === undefined ? {} : { verifyBytesPerSecond: settings['verify-rate'] }),
      http: http && { ...http, token },
      ...(settings['chunk-time'] === undefined ? {} : { chunkMs: settings['chunk-time'] }),
      limits: { 'max-slot-wal': DEFAULT_SLOT_WAL_BYTES, ...limitsOf(settings) },
      signal: stop.signal,
      log: session.log,
      onProgress: (line) => {
        if (!invocation.json) progress.show(line);
      },
    });
  } finally {
    stop.dispose();
    progress.end();
  }
  await reportEnd(invocation, session, table, stop.signal.aborted);
  return 0;
};

interface Decision {
  readonly options: PlanOptions;
  /** What to announce of a migration that goes on. */
  readonly resumes?: readonly string[];
}

/** The partitioning to run with: that of the migration that is open, else what the flags say once the check lets it pass. Null when refused. */
async function decide(invocation: Invocation, session: Session, table: string): Promise<Decision | null> {
  return withSession(session, async (client) => {
    const open = await findMigration(client, table);
    if (open && isOpen(open.phase)) {
      requirePhase('start', open);
      refuseOtherOptions(session.settings(table), open.options, open.source);
      return { options: open.options, resumes: [`Resumes migration ${open.id} of ${open.source}, which is in phase "${open.phase}".`] };
    }
    const options = planOptionsOf(session.settings(table), table, 'start');
    const { findings } = await checkTable(client, session.connection, table, options);
    if (!hasBlocker(findings)) {
      const warnings = findings.filter(({ severity }) => severity === 'warning');
      if (!invocation.json && warnings.length > 0) print(renderFindings(table, warnings));
      return { options };
    }
    if (!invocation.json) {
      print(renderFindings(table, findings));
      return null;
    }
    const blockers = findings.filter(({ severity }) => severity === 'blocker');
    const error = new MigratorError(
      'PREFLIGHT_REFUSED',
      `${table} cannot be migrated yet: ${blockers.map(({ message }) => message).join('; ')}`,
      { hint: `partitioner check ${tableWord(table)} …` },
    );
    printJson({ error, table, findings, ok: false });
    return null;
  });
}

function announcement(session: Session, table: string, options: PlanOptions, jobs: number): string[] {
  return [
    `Partitions ${table} by range of ${options.range}, every ${options.every}, on ${describeConnection(session.connection)}:`,
    `  prepares slot, publication and the empty partitioned table beside it; copies the rows with ${jobs} streams; follows every change;`,
    '  then waits in phase "ready" for: partitioner cutover. The table stays as it is until then, and abort takes everything back.',
  ];
}

function addresses(http: { host: string; port: number } | null): string[] {
  return [
    http ? `  Dashboard and metrics: http://${formatAddress(http.host, http.port)}/` : '  No HTTP server (--http off).',
    '  Ctrl-C or SIGTERM ends it in an orderly way; the same command resumes it.',
  ];
}

/** Says how it stands. After an abort or a finish there is nothing to show. */
async function reportEnd(invocation: Invocation, session: Session, table: string, interrupted: boolean): Promise<void> {
  const status = await withSession(session, (client) => fetchStatus(client, table)).then(
    ([first]) => first ?? null,
    () => null,
  );
  if (invocation.json) printJson({ table, interrupted, status });
  else print(`${interrupted ? 'Stopped' : 'Ended'}: ${status ? statusLine(status) : `no migration of ${table} is left`}`);
}
