import { setTimeout as sleep } from 'node:timers/promises';
import { MigratorError } from '../errors.ts';
import { sqlState, type Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';

const OBJECT_IN_USE = '55006';

/** Drops a slot if it is there. It stays active for a moment after its walsender stopped: retried for ten seconds. */
export async function dropSlot(client: Client, slotName: string): Promise<void> {
  if (slotName === '') return;
  for (let attempt = 0; ; attempt++) {
    try {
      await store(client, 'store/drop-slot', [slotName]);
      return;
    } catch (error) {
      if (sqlState(error) !== OBJECT_IN_USE) throw error;
      if (attempt === 100) {
        throw new MigratorError('WRONG_PHASE', `replication slot "${slotName}" is in use`, {
          detail: (error as Error).message,
          hint: 'stop the daemon of the migration (it holds the slot), then repeat the command',
          cause: error,
        });
      }
      await sleep(100);
    }
  }
}
