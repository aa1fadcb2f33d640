import { setTimeout as sleep } from 'node:timers/promises';
import { sqlState, type Client } from '../../src/pg/client.ts';

/** Drops every slot of the database, also one that is read: by somebody else's hand. How many there were. */
export async function dropSlot(client: Client): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    try {
      await client.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active_pid is not null',
      );
      const { rowCount } = await client.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`,
      );
      return rowCount ?? 0;
    } catch (error) {
      // Its reader is not gone yet, or back already; or it was never finished being made, and is gone.
      if (!['55006', '42704'].includes(sqlState(error) ?? '') || attempt === 400) throw error;
      await sleep(10);
    }
  }
}
