import { inject } from 'vitest';
import { startEmbeddedServer, type Major } from '../../src/demo/embedded-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URLs of the servers that the global setup has started, by their major: one for each worker. */
    servers: Record<string, readonly string[]> | undefined;
  }
}

export const MAJORS: readonly Major[] = [14, 15, 16, 17, 18];

/** The major that a test runs on when it names none. */
export const DEFAULT_MAJOR = parseMajor(process.env['TEST_PG_MAJOR'] ?? '17');

/**
 * Not what a developer's server has, so that a session which forgets to pin a setting shows.
 * A server of TEST_PG_NN has its own settings; it needs wal_level=logical and some free slots.
 */
export const TEST_SETTINGS = {
  timezone: 'Asia/Kathmandu', // +05:45
  datestyle: 'SQL, DMY',
  intervalstyle: 'iso_8601',
  bytea_output: 'escape',
  extra_float_digits: 0,
  wal_level: 'logical',
  max_wal_senders: 30,
  max_replication_slots: 30,
  max_connections: 150,
  max_prepared_transactions: 20,
  max_wal_size: '2GB',
  fsync: 'off',
};

const started = new Map<Major, Promise<string>>();

/**
 * The URL of a superuser's session on a server of this major: TEST_PG_17=postgres://… names one that runs, TEST_SERVER=testcontainers
 * starts a container, else an embedded one starts. It ends with the process that has started it.
 */
export async function serverUrl(major: Major = DEFAULT_MAJOR): Promise<string> {
  const shared = ownServer(major) ?? process.env[`TEST_PG_${String(major)}`];
  if (shared !== undefined) return shared;
  let url = started.get(major);
  if (!url) {
    url = startServer(major).then((server) => server.url);
    started.set(major, url);
  }
  return url;
}

/** Starts a server for tests; `stop` ends it. */
export async function startServer(major: Major): Promise<{ url: string; stop: () => Promise<void> }> {
  if (process.env['TEST_SERVER'] !== 'testcontainers') {
    const server = await startEmbeddedServer({ major, settings: TEST_SETTINGS });
    return { url: server.url, stop: () => server.stop('immediate') };
  }
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const settings = Object.entries(TEST_SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${String(value)}`]);
  const container = await new PostgreSqlContainer(`postgres:${String(major)}`)
    .withUsername('postgres')
    .withCommand(['postgres', ...settings])
    .start();
  return {
    url: `${container.getConnectionUri()}?sslmode=disable`,
    stop: async () => {
      await container.stop();
    },
  };
}

/** The server of this worker. Outside of vitest (a bench, a script) nothing is provided. */
function ownServer(major: Major): string | undefined {
  if (process.env['VITEST'] === undefined) return undefined;
  try {
    const urls = inject('servers')?.[String(major)];
    return urls?.[(Number(process.env['VITEST_POOL_ID']) - 1) % urls.length];
  } catch {
    return undefined;
  }
}

function parseMajor(text: string): Major {
  const major = Number(text);
  if (major === 14 || major === 15 || major === 16 || major === 17 || major === 18) return major;
  throw new Error(`TEST_PG_MAJOR is "${text}", one of 14 to 18 is needed`);
}
