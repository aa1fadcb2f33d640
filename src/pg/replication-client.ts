import pg from 'pg';
import type { LogicalReplicationService } from 'pg-logical-replication';
import { AbstractPlugin } from 'pg-logical-replication/dist/output-plugins/abstract.plugin.js';
import { guardAuthentication, type AuthenticationRules } from './authentication.ts';

/**
 * The library listens for a connection's errors only once it stands. A session that is ended with its first answer still unread would
 * crash the process: its error comes in the same read.
 */
export function listenFromTheBeginning(service: LogicalReplicationService, rules: AuthenticationRules | undefined): void {
  const inside = service as unknown as {
    readonly clientConfig: pg.ClientConfig;
    _client: pg.Client | null;
    _connection: unknown;
    client(): Promise<[pg.Client, unknown]>;
  };
  inside.client = async () => {
    await service.stop();
    const client = new pg.Client({ ...inside.clientConfig, replication: 'database' } as pg.ClientConfig);
    client.on('error', (error) => service.emit('error', error));
    inside._client = client;
    const assertAuthenticated = guardAuthentication(client, rules);
    await client.connect();
    assertAuthenticated();
    inside._connection = (client as unknown as { readonly connection: unknown }).connection;
    return [client, inside._connection];
  };
}

/** What the service asks of a plugin, handed to the receiver. */
export class Pgoutput extends AbstractPlugin<{ start(client: pg.Client): Promise<void>; parse(chunk: Buffer): void }> {
  readonly name = 'pgoutput';

  override start(client: pg.Client): Promise<void> {
    return this.options.start(client);
  }

  override parse(chunk: Buffer): void {
    this.options.parse(chunk);
  }
}
