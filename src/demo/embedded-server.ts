import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveConnection, type ConnectionSettings } from '../pg/connection.ts';
import { findBinaries, type Binaries, type Major } from './embedded-binaries.ts';
import { launch, run, type LaunchOptions, type ServerProcess } from './server-process.ts';
import { findServerUser, scratchDirectory, type ServerUser } from './server-user.ts';

export type { Major } from './embedded-binaries.ts';

export interface EmbeddedOptions {
  readonly major: Major;
  /** Server settings by name; they win over the defaults below. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/** A running server of our own: superuser `postgres`, no password, loopback only. */
export interface EmbeddedServer {
  readonly major: Major;
  readonly port: number;
  readonly url: string;
  readonly settings: ConnectionSettings;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Ends the server and removes its data. `fast` ends sessions in order, `immediate` is a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Ends it, unless it has been killed, and starts it again with the same data and port. */
  restart(settings?: EmbeddedOptions['settings'], mode?: 'fast' | 'immediate'): Promise<void>;
  /** Kills it with all its processes (SIGKILL); the data stays for `restart`. */
  kill(): Promise<void>;
}

const DEFAULTS: EmbeddedOptions['settings'] = {
  wal_level: 'logical',
  max_wal_senders: 20,
  max_replication_slots: 20,
  max_connections: 100,
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // one that exists on every system does not exist
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** How long a fast shutdown may wait for a stuck walsender's client. */
const FAST_STOP_MS = 10_000;

/** Starts a server of the given major on a free port, with its data in a temporary directory. It ends with this process at the latest. */
export async function startEmbeddedServer({ major, settings = {} }: EmbeddedOptions): Promise<EmbeddedServer> {
  const user = findServerUser();
  const binaries = await findBinaries(major, user);
  const home = await mkdtemp(join(scratchDirectory(user), 'partitioner-server-'));
  try {
    if (user) await chown(home, user.uid, user.gid);
    const dataDirectory = join(home, 'data');
    await createCluster(binaries, dataDirectory, user);
    const given = { ...DEFAULTS, ...settings };
    const options = { postgres: program(binaries, 'postgres'), home, dataDirectory, logFile: join(home, 'server.log'), user };
    const server = await launch({ ...options, settings: texts(given), port: null });
    return handle(major, options, given, server);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
}

function handle(
  major: Major,
  options: Omit<LaunchOptions, 'settings' | 'port'>,
  first: NonNullable<EmbeddedOptions['settings']>,
  started: ServerProcess,
): EmbeddedServer {
  let server = started;
  let current = first;
  const { port } = started;
  const end = async (mode: 'fast' | 'immediate'): Promise<void> => {
    if (server.hasExited()) return;
    process.kill(server.pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    const impatience = setTimeout(() => {
      if (!server.hasExited()) process.kill(server.pid, 'SIGQUIT');
    }, FAST_STOP_MS);
    await server.exited;
    clearTimeout(impatience);
  };
  const url = `postgres://postgres@127.0.0.1:${String(port)}/postgres?sslmode=disable`;
  return {
    major,
    port,
    url,
    settings: resolveConnection({ databaseUrl: url }, {}),
    dataDirectory: options.dataDirectory,
    logFile: options.logFile,
    stop: async (mode = 'fast') => {
      await end(mode);
      await rm(options.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
    restart: async (settings = {}, mode = 'fast') => {
      await end(mode);
      current = { ...current, ...settings };
      server = await launch({ ...options, settings: texts(current), port });
    },
    kill: async () => {
      if (server.hasExited()) return;
      const children = childrenOf(server.pid);
      process.kill(server.pid, 'SIGKILL');
      for (const pid of children) killQuietly(pid);
      await server.exited;
    },
  };
}

/** Copies the cluster that initdb made for this version before, or makes it: the copy takes a tenth of the time. */
async function createCluster(binaries: Binaries, dataDirectory: string, user: ServerUser | null): Promise<void> {
  const scratch = scratchDirectory(user);
  const template = join(scratch, `partitioner-cluster-${binaries.version}-${String(user?.uid ?? process.getuid?.() ?? 0)}`);
  if (!(await belongsTo(template, user))) {
    const draft = await mkdtemp(`${template}-`);
    if (user) await chown(draft, user.uid, user.gid);
    const args = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '-D', join(draft, 'data')];
    await run(program(binaries, 'initdb'), args, user, draft);
    // Another process may have been faster: its cluster is as good.
    await rename(draft, template).catch(() => rm(draft, { recursive: true, force: true }));
  }
  if (process.platform === 'win32' || !(await belongsTo(template, user))) {
    await run(
      program(binaries, 'initdb'),
      ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '-D', dataDirectory],
      user,
      scratch,
    );
    return;
  }
  await run('cp', ['-R', join(template, 'data'), dataDirectory], user, scratch);
  chmodSync(dataDirectory, 0o700);
}

async function belongsTo(path: string, user: ServerUser | null): Promise<boolean> {
  const stats = await stat(join(path, 'data', 'PG_VERSION')).catch(() => null);
  return stats !== null && stats.uid === (user?.uid ?? process.getuid?.() ?? stats.uid);
}

function program({ native }: Binaries, name: string): string {
  return join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
}

function texts(settings: NonNullable<EmbeddedOptions['settings']>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
}

/** The postmaster's children: a killed postmaster leaves them running until they look for it. */
function childrenOf(pid: number): number[] {
  const file = `/proc/${String(pid)}/task/${String(pid)}/children`;
  try {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
    return text
      .split(/\s+/)
      .filter((each) => each !== '')
      .map(Number);
  } catch {
    return [];
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}
