import pg from 'pg';
import type { LinkFacts, ReplicationProbe } from '../plan/preflight/link.ts';
import { loadSql } from '../sql/load.ts';
import { sqlState, withClient, type Client } from './client.ts';
import { guardAuthentication } from './authentication.ts';
import { driverConfig, type ConnectionSettings } from './connection.ts';

const STATEMENTS = 4;

interface LinkRow {
  readonly pid: number;
  readonly probe: string | null;
  readonly server_port: number | null;
  readonly client_address: string | null;
}

/** Follows the session over some transactions; looks at a second session only when the first one makes suspicious. */
export async function fetchLinkFacts(
  client: Client,
  settings: ConnectionSettings,
): Promise<LinkFacts & { readonly clientAddress: string | null }> {
  const token = String(Math.random());
  await client.query({ text: loadSql('preflight/mark-session'), values: [token] });
  const rows: LinkRow[] = [];
  for (let i = 0; i < STATEMENTS; i++) rows.push(...(await client.query<LinkRow>(loadSql('preflight/link'))).rows);
  const first = rows[0]!;
  const announcedPid = (client as Client & { processID?: number | null }).processID ?? null; // the driver's types leave it out
  const suspicious = announcedPid !== null && announcedPid !== first.pid;
  const configuredPort = settings.clientConfig.port;
  return {
    announcedPid,
    backendPids: rows.map(({ pid }) => pid),
    stateSurvives: rows.every(({ probe }) => probe === token),
    sharesBackend: suspicious ? await sharesBackend(settings, new Set(rows.map(({ pid }) => pid))) : null,
    serverPort: first.server_port,
    configuredPort: configuredPort ?? null,
    clientAddress: first.client_address,
  };
}

/** While the first session idles a transaction pooler gives its server process to the second one. Null when no second one can be had. */
async function sharesBackend(settings: ConnectionSettings, pids: ReadonlySet<number>): Promise<boolean | null> {
  try {
    return await withClient(settings, { applicationName: 'partitioner check' }, async (second) => {
      const { rows } = await second.query<LinkRow>(loadSql('preflight/link'));
      return pids.has(rows[0]!.pid);
    });
  } catch {
    return null;
  }
}

/** Opens a replication connection and asks it who the server is: what pg_hba.conf, role and proxies allow is tried, not guessed. */
export async function probeReplication(settings: ConnectionSettings): Promise<ReplicationProbe> {
  const client = new pg.Client({
    connectionTimeoutMillis: 10_000,
    ...driverConfig(settings),
    application_name: 'partitioner check',
    replication: 'database',
  } as pg.ClientConfig);
  client.on('error', () => undefined);
  const assertAuthenticated = guardAuthentication(client, settings.authentication);
  try {
    await client.connect();
    assertAuthenticated();
    await client.query('IDENTIFY_SYSTEM');
    return { outcome: 'opened' };
  } catch (error) {
    return { outcome: 'refused', sqlState: sqlState(error) ?? null, message: error instanceof Error ? error.message : String(error) };
  } finally {
    await client.end().catch(() => undefined);
  }
}
