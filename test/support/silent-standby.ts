import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../src/pg/client.ts';
import type { TestDatabase } from './database.ts';
import { holds, until } from './daemon.ts';

/** From now on commits wait for a standby that never answers, and are in the WAL, but in no snapshot. Our own sessions pin `synchronous_commit = local`. */
export async function holdCommits(database: TestDatabase): Promise<void> {
  const control = await database.client();
  await control.query(`alter system set synchronous_standby_names = 'a_standby_that_never_answers'`);
  await control.query('select pg_reload_conf()');
  // The checkpointer takes the setting over, in its own time: tried with commits until one hangs.
  const probe = await database.client('probe');
  const { rows } = await probe.query<{ pid: number }>('select pg_backend_pid() as pid');
  await probe.query('set synchronous_commit = on');
  for (;;) {
    const commit = probe.query(`select pg_logical_emit_message(true, 'probe', '')`).then(() => 'went through' as const);
    if ((await Promise.race([commit, sleep(300, 'hangs' as const)])) === 'hangs') {
      await control.query('select pg_cancel_backend($1)', [rows[0]!.pid]); // ends the wait, not the commit
      await commit;
      break;
    }
  }
  await Promise.all([probe.end(), control.end()]);
}

/** The standby has answered, so to speak: what hangs becomes visible. */
export async function letCommitsGo(client: Client): Promise<void> {
  await client.query(`alter system set synchronous_standby_names = ''`);
  await client.query('select pg_reload_conf()');
}

export interface HangingCommit {
  readonly xid: string;
  /** Resolves when the commit has returned. */
  readonly committed: Promise<unknown>;
}

/** A transaction of the application whose COMMIT hangs: its commit record is written, no snapshot sees it. */
export async function hangingCommit(database: TestDatabase, control: Client, statements: readonly string[]): Promise<HangingCommit> {
  const writer = await database.client('application');
  await writer.query('set synchronous_commit = on');
  const { rows: session } = await writer.query<{ pid: number }>('select pg_backend_pid() as pid');
  await writer.query('begin');
  for (const statement of statements) await writer.query(statement);
  const { rows } = await writer.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  const committed = writer.query('commit');
  committed.catch(() => undefined);
  await until(control, 'a commit that hangs', () =>
    holds(control, `select exists (select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep')`, [session[0]!.pid]),
  );
  return { xid: rows[0]!.xid, committed };
}
