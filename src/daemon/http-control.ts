import { outcomeError, sendCommand } from '../actions/command.ts';
import { MigratorError } from '../errors.ts';
import type { HttpVerb } from '../http/control.ts';
import { withClient } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';

const WAIT_MS = 30_000;

/** A command that came over HTTP goes the way of all others: through the command table. */
export async function performOverHttp(settings: ConnectionSettings, migrationId: number, verb: HttpVerb): Promise<void> {
  await withClient(settings, { applicationName: 'partitioner http' }, async (client) => {
    const outcome = await sendCommand(client, migrationId, verb, {}, { waitMs: WAIT_MS });
    if (!outcome) throw new MigratorError('NO_DAEMON', 'the daemon has lost its session');
    if (!outcome.ok) throw outcomeError(outcome);
  });
}
