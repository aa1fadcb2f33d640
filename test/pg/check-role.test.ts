import { describe, expect, it } from 'vitest';
import { quoteIdent } from '../../src/domain/identifier.ts';
import { inTransaction, type Client } from '../../src/pg/client.ts';
import { createControlSchema } from '../../src/pg/control-store.ts';
import { checkAs, found } from '../support/check.ts';
import { createDatabase } from '../support/database.ts';
import { createRole } from '../support/roles.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';

interface Case {
  readonly name: string;
  readonly attributes?: string;
  readonly privileges?: readonly string[];
  /** Run by the superuser after the table was given to `role`. */
  readonly spoil?: (client: Client, role: string) => Promise<unknown>;
  readonly blockers: readonly string[];
  readonly since?: number;
}

const NEEDED = ['connect', 'create', 'temporary'];

/** The name of the role that the table is given to where it is not the connected one. */
const owner = (role: string): string => quoteIdent(`owner_${role.replaceAll('"', '')}`);

async function giveToOther(client: Client, role: string): Promise<void> {
  await client.query(
    `create role ${owner(role)}; grant create, usage on schema app to ${owner(role)}; alter table app.events owner to ${owner(role)}`,
  );
}

const CASES: readonly Case[] = [
  { name: 'the least that is needed', blockers: [] },
  { name: 'no REPLICATION', attributes: 'login', blockers: ['role-replication ROLE'] },
  { name: 'no CREATE on the database', privileges: ['connect', 'temporary'], blockers: ['role-create DATABASE'] },
  { name: 'no TEMPORARY on the database', privileges: ['connect', 'create'], blockers: ['role-temporary DATABASE'] },
  {
    name: 'a table of another role',
    spoil: async (client, role) => {
      await giveToOther(client, role);
      await client.query(`grant select on app.events to ${role}`);
    },
    blockers: ['role-owner app.events'],
  },
  {
    name: 'a member of the owner',
    spoil: async (client, role) => {
      await giveToOther(client, role);
      await client.query(`grant ${owner(role)} to ${role}`);
    },
    blockers: [],
  },
  {
    name: 'a member of the owner that does not inherit',
    attributes: 'login replication noinherit',
    spoil: async (client, role) => {
      await giveToOther(client, role);
      await client.query(`grant ${owner(role)} to ${role}; grant select on app.events to ${role}`);
    },
    blockers: ['role-owner app.events'],
  },
  {
    name: 'a member of the owner that may not SET',
    spoil: async (client, role) => {
      await giveToOther(client, role);
      await client.query(`grant ${owner(role)} to ${role} with set false`);
    },
    blockers: ['role-owner app.events'],
    since: 16,
  },
  {
    name: 'no CREATE on the schema',
    spoil: (client, role) => client.query(`alter schema app owner to current_user; grant usage on schema app to ${role}`),
    blockers: ['role-schema app'],
  },
  {
    name: 'nothing on the schema',
    spoil: (client) => client.query('alter schema app owner to current_user'),
    blockers: ['role-schema app'],
  },
  {
    name: 'an owner that has taken SELECT from itself',
    spoil: (client, role) => client.query(`revoke select on app.events from ${role}`),
    blockers: ['role-privileges app.events'],
  },
  {
    name: 'an owner that has taken every change from itself',
    spoil: (client, role) => client.query(`revoke insert, update, delete, truncate on app.events from ${role}`),
    blockers: ['role-privileges app.events'],
  },
  {
    name: 'a type that it may not use',
    spoil: (client) =>
      client.query('create domain app.d as text; revoke usage on type app.d from public; alter table app.events add x app.d'),
    blockers: ['role-types app.d'],
  },
  {
    name: 'the control schema of somebody else',
    spoil: (client) => client.query('create schema partitioner'),
    blockers: ['control-schema partitioner'],
  },
  {
    name: 'control tables that it may not read',
    spoil: async (client, role) => {
      await inTransaction(client, () => createControlSchema(client));
      await client.query(`grant all on schema partitioner to ${role}`);
    },
    blockers: ['control-schema partitioner'],
  },
  {
    name: 'default privileges, which are taken back',
    spoil: (client, role) => client.query(`alter default privileges for role ${role} in schema app grant select on tables to public`),
    blockers: [],
  },
];

describe('check of the role', () => {
  it.each(CASES.filter(({ since = 0 }) => since <= DEFAULT_MAJOR))(
    '$name',
    async ({ attributes = 'login replication', privileges = NEEDED, spoil, blockers }) => {
      await using database = await createDatabase();
      const role = await createRole(database, attributes, privileges);
      const client = await database.client();
      database.onDropped(async (server) => {
        await server.query(`drop role if exists ${owner(role.name)}`);
      });
      await client.query(
        `create schema app authorization ${quoteIdent(role.name)}; create table app.events (id int, at date not null, primary key (id, at)); alter table app.events owner to ${quoteIdent(role.name)}`,
      );
      await spoil?.(client, quoteIdent(role.name));
      const findings = await checkAs(role.settings, 'app.events');
      expect(found(findings, 'blocker')).toEqual(
        blockers.map((text) => text.replace('ROLE', role.name).replace('DATABASE', database.name)),
      );
    },
  );

  it('a tablespace that it may not use', async () => {
    await using database = await createDatabase();
    const role = await createRole(database, 'login replication', NEEDED);
    const client = await database.client();
    const space = `space_${database.name}`;
    database.onDropped(async (server) => {
      await server.query(`drop tablespace ${space}`);
    });
    await client.query('set allow_in_place_tablespaces = on');
    await client.query(`create tablespace ${space} location ''`);
    await client.query(`create schema app authorization ${quoteIdent(role.name)}`);
    await client.query(`create table app.events (id int, at date not null, primary key (id, at) using index tablespace ${space})`);
    await client.query(`alter table app.events owner to ${quoteIdent(role.name)}`);
    expect(found(await checkAs(role.settings, 'app.events'), 'blocker')).toEqual([`role-tablespace ${space}`]);
    await client.query('drop table app.events');
  });

  it('what may not be seen is a warning, not a pass', async () => {
    await using database = await createDatabase();
    const role = await createRole(database, 'login replication', NEEDED);
    const client = await database.client();
    await client.query(
      `create schema app authorization ${quoteIdent(role.name)}; create table app.events (id int, at date not null, primary key (id, at)); alter table app.events owner to ${quoteIdent(role.name)}`,
    );
    await client.query('begin');
    await client.query('select pg_current_xact_id()');
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const findings = await checkAs(role.settings, 'app.events');
    const hidden = findings.find(({ id }) => id === 'long-transactions');
    expect(hidden).toMatchObject({ severity: 'warning', message: expect.stringContaining('is hidden') as string });
    expect(hidden?.object).toContain(String(rows[0]!.pid));
    await client.query('rollback');
  });

  it('says what mends it, and what it says mends it', async () => {
    await using database = await createDatabase();
    const role = await createRole(database, 'login', ['connect']);
    const client = await database.client();
    await client.query('create schema app; create table app.events (id int, at date not null, primary key (id, at))');
    await client.query('create domain app.d as text; revoke usage on type app.d from public; alter table app.events add x app.d');
    const findings = await checkAs(role.settings, 'app.events');
    const blockers = findings.filter(({ severity }) => severity === 'blocker');
    expect(blockers.map(({ id }) => id).sort()).toEqual([
      'role-create',
      'role-owner',
      'role-replication',
      'role-schema',
      'role-temporary',
      'role-types',
    ]);
    for (const { fix } of blockers) await client.query(fix!);
    expect(found(await checkAs(role.settings, 'app.events'), 'blocker')).toEqual([]);
  });
});
