import { quoteIdent } from '../../src/domain/identifier.ts';
import { withClient } from '../../src/pg/client.ts';
import { resolveConnection, type ConnectionSettings } from '../../src/pg/connection.ts';
import type { TestDatabase } from './database.ts';

export interface TestRole {
  readonly name: string;
  readonly url: string;
  readonly settings: ConnectionSettings;
}

/**
 * A role with the least that a migration needs: REPLICATION, LOGIN, CONNECT, CREATE and TEMPORARY (which PUBLIC has, unless revoked) on the database.
 * The tables it is to migrate have to be given to it (`alter table … owner to`).
 */
export async function createMigrator(database: TestDatabase): Promise<TestRole> {
  return createRole(database, 'login replication', ['connect', 'create', 'temporary']);
}

/** A role with the given attributes and privileges on the database; dropped after the database. */
export async function createRole(database: TestDatabase, attributes: string, privileges: readonly string[]): Promise<TestRole> {
  const name = `role_${database.name.slice('test_'.length)}_${Math.random().toString(36).slice(2, 8)}`;
  await withClient(database.server, { applicationName: 'test' }, async (client) => {
    // One at a time for each database: two REVOKEs of its privileges at once fail ("tuple concurrently updated").
    await client.query('select pg_advisory_lock(hashtext($1))', [database.name]);
    await client.query(`create role ${quoteIdent(name)} ${attributes} password 'secret'`);
    await client.query(`revoke all on database ${quoteIdent(database.name)} from public`);
    if (privileges.length > 0)
      await client.query(`grant ${privileges.join(', ')} on database ${quoteIdent(database.name)} to ${quoteIdent(name)}`);
  });
  database.onDropped(async (server) => {
    await server.query(`drop role if exists ${quoteIdent(name)}`);
  });
  const url = new URL(database.url);
  url.username = name;
  url.password = 'secret';
  return { name, url: url.href, settings: resolveConnection({ databaseUrl: url.href }, {}) };
}
