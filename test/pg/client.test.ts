import { describe, expect, it } from 'vitest';
import { MigratorError } from '../../src/errors.ts';
import { connect, inTransaction, isConnectionLost, sqlState, toMigratorError, withClient } from '../../src/pg/client.ts';
import { resolveConnection } from '../../src/pg/connection.ts';
import { createDatabase } from '../support/database.ts';
import { createMigrator } from '../support/roles.ts';

const SESSION = { applicationName: 'partitioner test' };

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('did not fail'),
    (error: unknown) => error,
  );
}

describe('a session', () => {
  it('is pinned, whatever server, database and role have set', async () => {
    await using database = await createDatabase({
      settings: {
        extra_float_digits: '-3',
        bytea_output: 'escape',
        default_transaction_read_only: 'on',
        search_path: 'evil, public',
        lc_monetary: 'C',
      },
    });
    const role = await createMigrator(database);
    await withClient(database.server, SESSION, async (client) => {
      for (const setting of [
        `statement_timeout to '1s'`,
        `timezone to 'America/St_Johns'`,
        `default_transaction_isolation to 'serializable'`,
        `synchronous_commit to off`,
      ]) {
        await client.query(`alter role "${role.name}" set ${setting}`);
      }
    });
    await withClient(role.settings, { ...SESSION, lockTimeoutMs: 250 }, async (client) => {
      const { rows } = await client.query<Record<string, string>>(`
        select '2024-03-04 05:06:07+00'::timestamptz::text as at, '1 day 02:00'::interval::text as lasts, (0.1::float8 + 0.2::float8)::text as sum, '\\x00ff'::bytea::text as bytes,
               current_setting('search_path') as path, current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
               current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as read_only, current_setting('synchronous_commit') as sync,
               current_setting('application_name') as name, 9007199254740993::int8 as big`);
      expect(rows[0]).toEqual({
        at: '2024-03-04 05:06:07+00',
        lasts: '1 day 02:00:00',
        sum: '0.30000000000000004',
        bytes: String.raw`\x00ff`,
        path: '',
        statement: '0',
        lock: '250ms',
        isolation: 'read committed',
        read_only: 'off',
        sync: 'local',
        name: 'partitioner test',
        big: '9007199254740993',
      });
    });
  });

  it('that is dropped rejects its queries and crashes nothing', async () => {
    await using database = await createDatabase();
    const client = await connect(database.settings, SESSION);
    const pid = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
    const sleeping = failure(client.query('select pg_sleep(60)'));
    const other = await database.client();
    await other.query('select pg_terminate_backend($1)', [pid]);
    const lost = await sleeping;
    expect(sqlState(lost)).toBe('57P01');
    const later = await failure(client.query('select 1'));
    expect(toMigratorError(later, 'later')).toMatchObject({
      code: 'POSTGRES',
      message: expect.stringMatching(/^later: (Connection terminated unexpectedly|the connection was lost)$/),
    });
    for (const error of [lost, later, toMigratorError(lost, 'wrapped'), toMigratorError(later, 'wrapped')])
      expect(isConnectionLost(error)).toBe(true);
    expect(isConnectionLost(await failure(other.query('select no_such_column')))).toBe(false);
    expect(isConnectionLost(new MigratorError('SLOT_LOST', 'the connection was lost'))).toBe(false);
    await client.end();
  });

  it('takes a server without TLS under sslmode=prefer, once for all sessions, and not under require', async () => {
    await using database = await createDatabase();
    if (!database.url.includes('sslmode=disable')) return; // a server of the developer's may have TLS
    const preferring = resolveConnection({ databaseUrl: database.url.replace('sslmode=disable', 'sslmode=prefer') }, {});
    await withClient(preferring, SESSION, async (client) => expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]));
    expect(preferring.clientConfig.ssl).toBe(false);
    const requiring = resolveConnection({ databaseUrl: database.url.replace('sslmode=disable', 'sslmode=require') }, {});
    await expect(connect(requiring, SESSION)).rejects.toThrow(/does not support SSL/);
  });
});

describe('an error', () => {
  it.each([
    [
      'postgres://nobody_there@127.0.0.1:1/x?sslmode=disable',
      /^connecting to 127.0.0.1:1\/x as nobody_there: connect ECONNREFUSED/,
      /is the server running/,
    ],
    ['postgres://u:secret@host.invalid/x', /host\.invalid/, /does not resolve|is the server/],
  ])('of a connection names the place: %s', async (url, message, hint) => {
    const error = await failure(connect(resolveConnection({ databaseUrl: url }, {}), SESSION));
    expect(error).toMatchObject({ code: 'POSTGRES' });
    expect((error as MigratorError).message).toMatch(message);
    expect((error as MigratorError).hint).toMatch(hint);
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it('of a database that does not exist keeps its SQLSTATE', async () => {
    await using database = await createDatabase();
    const error = await failure(connect(resolveConnection({ databaseUrl: database.url.replace(database.name, 'not_there') }, {}), SESSION));
    expect(sqlState(error)).toBe('3D000');
    expect(error).toMatchObject({
      detail: expect.stringContaining('SQLSTATE 3D000') as string,
      hint: expect.stringContaining('does not exist') as string,
    });
  });

  it('of our own passes unchanged; one without SQLSTATE has none', () => {
    const own = new MigratorError('USAGE', 'x');
    expect(toMigratorError(own, 'context')).toBe(own);
    expect(sqlState(new Error('x'))).toBeUndefined();
    expect(sqlState(Object.assign(new Error('x'), { code: 'EPIPE' }))).toBeUndefined();
    expect(toMigratorError('text', 'context').message).toBe('context: text');
  });
});

describe('inTransaction', () => {
  it('commits, and rolls back with the first error', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query('create table public.t (id int primary key deferrable initially deferred)');
    const insert = (): Promise<unknown> => client.query('insert into public.t values (1)');
    await inTransaction(client, insert);
    await expect(inTransaction(client, () => insert().then(() => Promise.reject(new Error('mine'))))).rejects.toThrow('mine');
    expect(sqlState(await failure(inTransaction(client, insert)))).toBe('23505'); // the commit itself fails
    const level = await inTransaction(
      client,
      () => client.query<{ level: string }>(`select current_setting('transaction_isolation') as level`),
      'begin isolation level repeatable read',
    );
    expect(level.rows).toEqual([{ level: 'repeatable read' }]);
    expect((await client.query('select id from public.t')).rows).toEqual([{ id: 1 }]);
  });
});
