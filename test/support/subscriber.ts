import { quoteLiteral } from '../../src/domain/identifier.ts';
import { connect, type Client } from '../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { until } from './daemon.ts';

export interface Subscriber extends AsyncDisposable {
  readonly client: Client;
  /** Waits until the query has a row. */
  readonly arrives: (query: string, values?: unknown[]) => Promise<void>;
}

/**
 * A second database of the same server that subscribes to a publication of the first. The slot is made by hand: CREATE SUBSCRIPTION
 * would wait for its own transaction there.
 */
export async function subscribe(publisher: TestDatabase, publication: string, tables: string): Promise<Subscriber> {
  const database = await createDatabase();
  const name = `sub_${database.name}`;
  const source = await publisher.client('application');
  const client = await connect(database.settings, { applicationName: 'subscriber' });
  await client.query(tables);
  await source.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
  const url = new URL(publisher.url);
  const conninfo = Object.entries({
    host: url.hostname,
    port: url.port,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    dbname: publisher.name,
  })
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
  await client.query(
    `create subscription ${name} connection ${quoteLiteral(conninfo)} publication ${publication} with (create_slot = false, slot_name = ${quoteLiteral(name)}, copy_data = false)`,
  );
  return {
    client,
    arrives: async (query, values = []) => {
      await until(client, `${query} at the subscriber`, async () => ((await client.query(query, values)).rowCount ?? 0) > 0, 20_000);
    },
    [Symbol.asyncDispose]: async () => {
      await client.query(`alter subscription ${name} disable`);
      await client.query(`alter subscription ${name} set (slot_name = none)`);
      await client.query(`drop subscription ${name}`);
      await client.end();
      await until(source, 'the slot is free', async () => {
        const { rows } = await source.query<{ active: boolean }>('select active from pg_replication_slots where slot_name = $1', [name]);
        return rows[0]?.active === false;
      });
      await source.query('select pg_drop_replication_slot($1)', [name]);
      await database[Symbol.asyncDispose]();
    },
  };
}
