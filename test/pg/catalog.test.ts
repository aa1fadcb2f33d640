import { describe, expect, it } from 'vitest';
import { fetchAttachments } from '../../src/pg/attachments.ts';
import { fetchFingerprint, fetchTable, resolveTable } from '../../src/pg/catalog.ts';
import { withClient } from '../../src/pg/client.ts';
import { createDatabase, testDatabase } from '../support/database.ts';
import { createRole } from '../support/roles.ts';
import { MAJORS } from '../support/server.ts';

/** A type of text that has neither send nor receive: made of built-in functions, which only a superuser may do. */
const TEXT_ONLY = `
  create type mute;
  create function mute_in(cstring) returns mute language internal immutable strict as 'int4in';
  create function mute_out(mute) returns cstring language internal immutable strict as 'int4out';
  create type mute (input = mute_in, output = mute_out, internallength = 4, passedbyvalue, alignment = int4);
  create type deaf;
  create function deaf_in(cstring) returns deaf language internal immutable strict as 'int4in';
  create function deaf_out(deaf) returns cstring language internal immutable strict as 'int4out';
  create function deaf_send(deaf) returns bytea language internal immutable strict as 'int4send';
  create type deaf (input = deaf_in, output = deaf_out, send = deaf_send, internallength = 4, passedbyvalue, alignment = int4);
  create type holder as (a int, b mute);
  create domain quiet as mute;
  create domain held as holder;
  create domain positive as int check (value > 0)`;

describe('how values travel', () => {
  const database = testDatabase();

  it.each([
    [
      'binary, whatever is inside of what',
      'int[], public.positive[], int4range, int4multirange, numeric(10, 2), xml, uuid[], tsvector',
      true,
      'bbbbbbbb',
    ],
    ['text, a type without send on its own', 'int, public.mute, public.quiet, aclitem', true, 'bttt'],
    ['text for all: an array of it', 'int, public.mute[]', false, 'tt'],
    ['text for all: an array of a domain over it', 'int, public.quiet[]', false, 'tt'],
    ['text for all: a composite that holds it', 'public.holder', false, 't'],
    ['text for all: a domain over such a composite', 'public.held', false, 't'],
    ['text for all: an array of such composites', 'public.holder[]', false, 't'],
    ['text for all: it could be sent and not received', 'int, public.deaf', false, 'tt'],
  ])('%s: %s', async (_case, types, binary, wires) => {
    const client = await database.get().client();
    await client.query('begin; set local search_path = public');
    await client.query(TEXT_ONLY);
    const columns = types.split(/, (?!\d)/).map((type, i) => `c${i} ${type}`);
    await client.query(`create table w (${columns.join(', ')})`);
    await client.query(`set local search_path = ''`);
    const table = (await fetchTable(client, { schema: 'public', name: 'w' }))!;
    expect(table.binary).toBe(binary);
    expect(table.columns.map(({ wire }) => wire[0]).join('')).toBe(wires);
    await client.query('rollback');
  });
});

describe('the name of a table', () => {
  it('is looked for along the search path of role and database, which is pinned away in our sessions', async () => {
    await using database = await createDatabase();
    await (await database.client()).query(`alter database ${database.name} set search_path = "My Schema", public`);
    const client = await database.client();
    await client.query('create schema "My Schema"; create table "My Schema".t (); create table public.t (); create table public."T.x" ()');
    expect(await resolveTable(client, 't')).toEqual({ schema: 'My Schema', name: 't' });
    expect(await resolveTable(client, ' T ')).toEqual({ schema: 'My Schema', name: 't' });
    expect(await resolveTable(client, '"T.x"')).toEqual({ schema: 'public', name: 'T.x' });
    expect(await resolveTable(client, 'Public . "T.x"')).toEqual({ schema: 'public', name: 'T.x' });
    expect(await resolveTable(client, 'missing')).toEqual({ schema: 'public', name: 'missing' });
    expect(await fetchTable(client, { schema: 'public', name: 'missing' })).toBeNull();
    expect((await client.query('show search_path')).rows).toEqual([{ search_path: '' }]);
  });

  it.each(['', '.', 'a.', '.a', 'a.b.c', '"a', '"a""', '""', 'a b', 'a;b', "a'", '1a', 'a-b'])('is not "%s"', async (text) => {
    await using database = await createDatabase();
    const client = await database.client();
    await expect(resolveTable(client, text)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe.each(MAJORS)('the fingerprint on PostgreSQL %i', (major) => {
  it('changes with what the plan was made from and with what would be lost, and with nothing else', async () => {
    await using database = await createDatabase({ major });
    const client = await database.client();
    const reader = (await createRole(database, 'nologin', [])).name;
    await client.query(`
      create table public.t (id bigserial primary key, ts timestamptz not null, a text, b int check (b > 0));
      create index i on public.t (a);
      create table public.other (id bigint);
      insert into public.t (ts, a, b) select now(), g::text, g from generate_series(1, 100) g`);
    const table = (await fetchTable(client, { schema: 'public', name: 't' }))!;
    const before = await fetchFingerprint(client, table.oid);
    for (const harmless of [
      'analyze public.t',
      'vacuum full public.t',
      'cluster public.t using i',
      'reindex table concurrently public.t',
      'update public.t set a = a',
      'create publication partitioner_1 for table only public.t',
      'alter table public.other add column x int',
      `select nextval('public.t_id_seq')`,
    ]) {
      await client.query(harmless);
      expect(await fetchFingerprint(client, table.oid), harmless).toBe(before);
    }
    for (const change of [
      'alter table public.t rename to t2',
      'alter table public.t add column c int',
      'alter table public.t drop column a',
      'alter table public.t alter column b type bigint',
      `alter table public.t alter column a set default 'x'`,
      'alter table public.t alter column a set storage external',
      'alter table public.t alter column a set statistics 5',
      'alter table public.t set (fillfactor = 50)',
      'alter table public.t set (toast.autovacuum_enabled = off)',
      'alter table public.t replica identity full',
      'alter table public.t enable row level security',
      'alter table public.t drop constraint t_b_check',
      'alter table public.t add check (b < 5000) not valid',
      'create index on public.t (b)',
      'drop index public.i',
      'alter index public.i rename to j',
      `grant select on public.t to ${reader}`,
      `grant select (a) on public.t to ${reader}`,
      `alter table public.t owner to ${reader}`,
      `comment on table public.t is 'x'`,
      `comment on column public.t.a is 'x'`,
      'create table public.child () inherits (public.t)',
      'create statistics public.s on a, b from public.t',
      'alter sequence public.t_id_seq increment 2',
      'alter sequence public.t_id_seq owned by none',
    ]) {
      await client.query(`begin; ${change}`);
      expect(await fetchFingerprint(client, table.oid), change).not.toBe(before);
      await client.query('rollback');
    }
    // What hangs on it is planned at the switch: it may come and go until then, and is read a second time under the lock.
    const { text } = await fetchAttachments(client, table.oid);
    for (const attached of [
      'create view public.v as select a from public.t',
      'create rule r as on delete to public.t do also nothing',
      'create trigger tr before update on public.t for each row execute function suppress_redundant_updates_trigger()',
      'create policy p on public.t',
      'create table public.referring (t bigint references public.t)',
      'create publication mine for table public.t',
      'alter table public.t add foreign key (id) references public.other2 (id) not valid',
      'create materialized view public.m as select a from public.t',
      'create function public.f() returns bigint language sql begin atomic select max(id) from public.t; end',
    ]) {
      await client.query(`begin; create table public.other2 (id bigint primary key); ${attached}`);
      expect(await fetchFingerprint(client, table.oid), attached).toBe(before);
      expect((await fetchAttachments(client, table.oid)).text, attached).not.toBe(text);
      await client.query('rollback');
    }
    await client.query('drop table public.t cascade');
    expect(await fetchFingerprint(client, table.oid)).toBe('');
  });
});

describe('what is read of a table', () => {
  const database = testDatabase();

  it('names a partitioned table, a view and a missing one for what they are', async () => {
    const client = await database.get().client();
    await client.query('create table public.parted (a int) partition by range (a); create view public.seen as select 1 as a');
    expect((await fetchTable(client, { schema: 'public', name: 'parted' }))?.kind).toBe('p');
    expect((await fetchTable(client, { schema: 'public', name: 'seen' }))?.kind).toBe('v');
  });

  it('says who made it, who owns it, what the owner took from itself, and whom defaults would let in', async () => {
    const owner = await createRole(database.get(), 'login', ['connect', 'create']);
    const reader = await createRole(database.get(), 'nologin', []);
    await withClient(owner.settings, { applicationName: 'test' }, async (client) => {
      await client.query(`create schema mine; create table mine.t (id int generated by default as identity primary key);
        alter default privileges grant select on tables to ${reader.name}; alter default privileges in schema mine grant usage on sequences to public;
        revoke truncate, delete on mine.t from ${owner.name}`);
      const table = (await fetchTable(client, { schema: 'mine', name: 't' }))!;
      expect(table).toMatchObject({ owner: owner.name, sessionRole: owner.name, ownerLacks: ['DELETE', 'TRUNCATE'] });
      expect(table.defaultGrantees).toEqual(
        expect.arrayContaining([
          { kind: 'table', grantee: reader.name },
          { kind: 'sequence', grantee: null },
        ]),
      );
      await client.query(`drop schema mine cascade; alter default privileges revoke select on tables from ${reader.name}`);
    });
  });
});
