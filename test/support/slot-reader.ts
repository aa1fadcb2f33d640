import pg from 'pg';
import type { TestDatabase } from './database.ts';
import { until } from './daemon.ts';

/** A session that reads a slot: it never says how far it is, and hears what it is sent. */
export interface SlotReader extends AsyncDisposable {
  readonly pid: number;
  hasEnded(): boolean;
  end(): void;
}

/** Reads a slot of pgoutput under a name from now on. Without a publication until the first change is decoded. Throws when it does not come to it. */
export async function readSlot(
  database: TestDatabase,
  slotName: string,
  applicationName: string,
  publication = 'none',
): Promise<SlotReader> {
  const control = await database.client('slot reader control');
  // The driver's types do not know of replication.
  const config = { ...database.settings.clientConfig, replication: 'database', application_name: applicationName };
  const client = new pg.Client(config) as pg.Client & { processID: number; connection: { stream: { destroy(): void } } };
  let hasEnded = false;
  client.on('error', () => undefined);
  client.once('end', () => (hasEnded = true));
  await client.connect();
  const streaming = client.query(
    `START_REPLICATION SLOT "${slotName}" LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`,
  );
  streaming.catch(() => undefined);
  const end = (): void => {
    client.connection.stream.destroy();
  };
  try {
    await until(control, 'the slot is read', async () => {
      const { rows } = await control.query(`select from pg_replication_slots where slot_name = $1 and active_pid = $2`, [
        slotName,
        client.processID,
      ]);
      return rows.length === 1;
    });
  } finally {
    await control.end();
  }
  return {
    pid: client.processID,
    hasEnded: () => hasEnded,
    end,
    [Symbol.asyncDispose]: () => {
      end();
      return Promise.resolve();
    },
  };
}
