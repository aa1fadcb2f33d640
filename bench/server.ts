import { startEmbeddedServer } from '../src/demo/embedded-server.ts';
import { connect, type Client } from '../src/pg/client.ts';
import { resolveConnection, type ConnectionSettings } from '../src/pg/connection.ts';

/** Of a small real server. fsync is on: what is measured has to be durable. */
const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '30min',
  maintenance_work_mem: '256MB',
  work_mem: '64MB',
  wal_level: 'logical',
  autovacuum: 'off', // neither side is to be interrupted by chance; both vacuum by themselves
};

export interface BenchServer {
  readonly version: string;
  readonly port: number;
  url(database: string): string;
  settings(database: string): ConnectionSettings;
  /** A session that is ended with the bench. */
  session(database: string): Promise<Client>;
}

/** Runs a bench on a PostgreSQL 17 of its own, with an empty database `bench`. */
export async function withServer<T>(use: (server: BenchServer) => Promise<T>): Promise<T> {
  const server = await startEmbeddedServer({ major: 17, settings: SETTINGS });
  const sessions: Client[] = [];
  const url = (database: string): string => server.url.replace('/postgres?', `/${database}?`);
  const settings = (database: string): ConnectionSettings => resolveConnection({ databaseUrl: url(database) }, {});
  const session = async (database: string): Promise<Client> => {
    const client = await connect(settings(database), { applicationName: 'bench' });
    sessions.push(client);
    return client;
  };
  try {
    const admin = await session('postgres');
    await admin.query('create database bench');
    const { rows } = await admin.query<{ version: string }>(`select current_setting('server_version') as version`);
    return await use({ version: rows[0]!.version, port: server.port, url, settings, session });
  } finally {
    await Promise.allSettled(sessions.map((client) => client.end()));
    await server.stop();
  }
}
