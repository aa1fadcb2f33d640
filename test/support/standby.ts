import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { findBinaries } from '../../src/demo/embedded-binaries.ts';
import type { EmbeddedServer } from '../../src/demo/embedded-server.ts';
import { launch, run } from '../../src/demo/server-process.ts';
import { findServerUser, scratchDirectory } from '../../src/demo/server-user.ts';

/** A streaming standby of a server of ours. */
export interface Standby extends AsyncDisposable {
  /** It receives WAL, and shows nothing of it. */
  pauseReplay(): Promise<void>;
  resumeReplay(): Promise<void>;
}

/**
 * Makes a standby from a base backup by the low-level API, which needs no program but the server's own.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
export async function startStandby(primary: EmbeddedServer): Promise<Standby> {
  const user = findServerUser();
  const { native } = await findBinaries(primary.major, user);
  const scratch = scratchDirectory(user);
  const home = await mkdtemp(join(scratch, 'partitioner-standby-'));
  const dataDirectory = join(home, 'data');
  if (user) await chown(home, user.uid, user.gid);
  const session = new pg.Client({ connectionString: primary.url });
  await session.connect();
  const [start, stop] =
    primary.major < 15 ? ['pg_start_backup($1, true, false)', 'pg_stop_backup(false)'] : ['pg_backup_start($1, true)', 'pg_backup_stop()'];
  await session.query(`select ${start}`, [randomBytes(4).toString('hex')]);
  await run('cp', ['-R', primary.dataDirectory, dataDirectory], user, scratch);
  const { rows } = await session.query<{ labelfile: string }>(`select labelfile from ${stop}`);
  await session.end();
  const files = { backup_label: rows[0]!.labelfile, 'standby.signal': '' };
  for (const [name, content] of Object.entries(files)) {
    const path = join(dataDirectory, name);
    await writeFile(path, content);
    if (user) await chown(path, user.uid, user.gid);
  }
  for (const left of ['postmaster.pid', 'postmaster.opts']) await rm(join(dataDirectory, left), { force: true });
  await chmod(dataDirectory, 0o700);
  const server = await launch({
    postgres: join(native, 'bin', 'postgres'),
    home,
    dataDirectory,
    logFile: join(home, 'server.log'),
    user,
    port: null,
    settings: {
      primary_conninfo: `host=127.0.0.1 port=${String(primary.port)} user=postgres application_name=standby`,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      hot_standby: 'on',
      // No lower than the primary's, or it does not start.
      max_connections: '300',
      max_wal_senders: '100',
      max_prepared_transactions: '100',
      max_locks_per_transaction: '1024',
      max_worker_processes: '64',
    },
  });
  const own = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' });
  own.on('error', () => undefined);
  await own.connect();
  return {
    pauseReplay: async () => {
      await own.query('select pg_wal_replay_pause()');
    },
    resumeReplay: async () => {
      await own.query('select pg_wal_replay_resume()');
    },
    [Symbol.asyncDispose]: async () => {
      await own.end().catch(() => undefined);
      if (!server.hasExited()) process.kill(server.pid, 'SIGQUIT');
      await server.exited;
      await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}
