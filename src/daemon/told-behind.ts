import type { Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import type { Applier } from './applier.ts';

/**
 * Tells `status` since when changes have been waiting to be applied: the server cannot know, for it has sent them. Written once a second while there are
 * some, and once when there are none any more.
 */
export class ToldBehind {
  readonly #applier: Applier;
  readonly #migrationId: number;
  /** Nothing is known of what an earlier daemon has told. */
  #told = true;

  constructor(applier: Applier, migrationId: number) {
    this.#applier = applier;
    this.#migrationId = migrationId;
  }

  async tell(client: Client): Promise<void> {
    const { pendingMs } = this.#applier;
    if (pendingMs === null && !this.#told) return;
    await store(client, 'store/set-behind', [this.#migrationId, pendingMs === null ? null : pendingMs / 1000]);
    this.#told = pendingMs !== null;
  }
}
