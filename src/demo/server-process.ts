import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MigratorError } from '../errors.ts';
import type { ServerUser } from './server-user.ts';

/** Runs a program to its end as the server's user; the error carries what it printed. */
export async function run(program: string, args: readonly string[], user: ServerUser | null, cwd: string): Promise<void> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: environment(), ...identity(user) });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new MigratorError('POSTGRES', `${program} ended with code ${String(code)}`, { detail: output.trim().slice(-2000) });
}

/** The postmaster, from its start to its end. */
export interface ServerProcess {
  readonly pid: number;
  readonly port: number;
  readonly exited: Promise<void>;
  hasExited(): boolean;
}

export interface LaunchOptions {
  readonly postgres: string;
  /** Removed with all that it holds when this process dies without stopping the server. */
  readonly home: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly user: ServerUser | null;
  /** Null: a port that is free. */
  readonly port: number | null;
}

const START_TIMEOUT_MS = 60_000;
/** After a crash the new postmaster has to wait until the old one's processes have let go of the shared memory; another program may take the port first. */
const TRANSIENT = /pre-existing shared memory block|Address already in use|could not bind/;

/** Starts the postmaster and waits until it takes connections. */
export async function launch(options: LaunchOptions): Promise<ServerProcess> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const server = await spawnPostmaster(options, port);
    if (await becomesReady(server, options.dataDirectory)) return server;
    const log = readFileSync(options.logFile, 'utf8').slice(-4000);
    if (attempt >= 20 || !TRANSIENT.test(log.slice(-1000))) {
      throw new MigratorError('POSTGRES', 'the embedded PostgreSQL did not start', { detail: log.trim() });
    }
    await sleep(250);
  }
}

async function spawnPostmaster(
  { postgres, home, dataDirectory, logFile, settings, user }: LaunchOptions,
  port: number,
): Promise<ServerProcess> {
  const args = [
    '-D',
    dataDirectory,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const log = openSync(logFile, 'a');
  // Detached: an interrupt from the terminal is for the program that uses the server, which ends it in its own order.
  const child = spawn(postgres, args, {
    cwd: dataDirectory,
    stdio: ['ignore', log, log],
    detached: true,
    env: environment(),
    ...identity(user),
  });
  closeSync(log);
  let ended = false;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve())).then(() => {
    ended = true;
  });
  const pid = await new Promise<number>((resolve, reject) => child.once('error', reject).once('spawn', () => resolve(child.pid!)));
  child.unref();
  guard(child, exited, home);
  return { pid, port, exited, hasExited: () => ended };
}

/**
 * $0 is the postmaster, $1 the directory of its data and log. The postmaster's end shows in its file: in a container
 * nobody may collect the process itself.
 */
const AFTERMATH = `read -r line; [ "$line" = ended ] && exit
kill -QUIT "$0"; tries=0
while [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$1"`;

/**
 * Ends the server when this process ends, however it does: a shell waits for the end of a pipe that only this process holds open.
 * Node's own exit handlers do not run when it is killed.
 */
function guard(server: ChildProcess, exited: Promise<void>, home: string): void {
  const atExit = (): void => {
    server.kill('SIGQUIT');
  };
  process.once('exit', atExit);
  const release = (): void => {
    process.removeListener('exit', atExit);
  };
  if (process.platform === 'win32') {
    void exited.then(release);
    return;
  }
  const watcher = spawn('/bin/sh', ['-c', AFTERMATH, String(server.pid), home], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  watcher.unref();
  (watcher.stdin as { unref?: () => void }).unref?.();
  void exited.then(() => {
    release();
    watcher.stdin.end('ended\n');
  });
}

/** pg_ctl's own test: the last line of postmaster.pid. Needs no connection, so no role and no free slot. */
async function becomesReady(server: ServerProcess, dataDirectory: string): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!server.hasExited() && Date.now() < deadline) {
    const lines = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (lines[0] === String(server.pid) && lines[7]?.trim() === 'ready') return true;
    await sleep(20);
  }
  if (!server.hasExited()) process.kill(server.pid, 'SIGQUIT');
  await server.exited;
  return false;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new MigratorError('DEFECT', 'a TCP socket has no port');
  return address.port;
}

/** Without the caller's PG* and LC_* variables: initdb and postgres would follow them. */
function environment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    LC_ALL: 'C',
    TZ: 'UTC',
    ...(process.platform === 'win32' ? { SystemRoot: process.env['SystemRoot'], TEMP: process.env['TEMP'] } : {}),
  };
}

function identity(user: ServerUser | null): { uid?: number; gid?: number } {
  return user === null ? {} : { uid: user.uid, gid: user.gid };
}
