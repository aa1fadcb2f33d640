import { describe, expect, it } from 'vitest';
import { CopyBuffer } from '../../src/domain/copy-row.ts';
import { formatLsn, parseLsn } from '../../src/domain/lsn.ts';
import { TupleFields } from '../../src/domain/tuple.ts';
import { widenXid } from '../../src/domain/xid.ts';
import { copyIn, copyOutRows } from '../../src/pg/copy.ts';
import type { Major } from '../../src/demo/embedded-server.ts';
import { createDatabase, testDatabase } from '../support/database.ts';
import { createSlot, currentLsn, openClient, openStream, untilTrue } from './open-stream.ts';

/** Columns whose text depends on a setting, or whose value does not survive a JavaScript type. */
const COLUMNS = `
  id bigint primary key, small smallint, flag boolean, real4 real, real8 double precision, amount numeric, price money,
  at timestamptz, local timestamp, day date, hour time, zoned timetz, span interval,
  raw bytea, doc json, docb jsonb, label text, code varchar(20), fixed char(5), uid uuid, address inet, bits bit varying(9),
  list integer[], texts text[], mood mood, pair pair, email email, span4 int4range, mark xml, words tsvector`;

const ROWS = `
  (1, -32768, true, 0.1, 0.30000000000000004, '1234567890.12345678901234567890', '1234.56', '2024-04-03 04:05:06.789012+00', '0044-03-15 01:02:03.000001 BC', '9999-12-31', '23:59:59.999999',
   '01:02:03.4+05:45', '1 year 2 mons -3 days 04:05:06.000007', '\\x00ff5c27', '{"b" : 1,  "a":1.0, "a":2}', '{"b": 1.10, "a": 10000000000000000000}', 'tab\there "quoted" \\ back''s', 'ünïcödé', 'ab',
   'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.1.2.3/8', '10101', '[2:4]={1,NULL,3}', '{"a,b",NULL,"NULL",""}', 'a "sad" one', row(1, '2024-04-03 04:05:06.789012+00'), 'x@y', '[1,5)', '<a>1</a>', '''a'':1A b:2'),
  (2, null, null, 'NaN', '-Infinity', 'NaN', null, 'infinity', '-infinity', 'infinity', '24:00', null, null, '', null, null, '', '', '', null, null, '', '{}', '{}', null, row(null, null), null, 'empty', null, ''),
  (9223372036854775807, 32767, false, 1e-45, 5e-324, '-0.000000000000000000000000000000000000001', '-92233720368547758.08', '294276-12-31 23:59:59.999999+00', '1999-12-31 23:59:59.999999', '4713-01-01 BC', '00:00', '00:00-15:59', '-178000000 years', decode(repeat('00', 3000), 'hex'),
   '[]', '"x"', repeat('long ', 5000), 'x', 'x', '00000000-0000-0000-0000-000000000000', '::1', null, '{{1,2},{3,4}}', array[repeat('z', 3000)], 'happy', null, null, '(,)', null, null)`;

const TYPES = `create type mood as enum ('happy', 'a "sad" one'); create type pair as (n integer, at timestamptz); create domain email as text check (value like '%@%')`;

const fields = new TupleFields();

function values(tuple: Buffer): (Buffer | null)[] {
  fields.read(tuple);
  return Array.from({ length: fields.count }, (_, i) => (fields.isNull(i) ? null : Buffer.from(fields.bytes(i))));
}

describe.each([14, 17, 18] as Major[])('values on PostgreSQL %i', (major) => {
  // Settings of the database, which a session has unless it pins its own.
  const database = testDatabase({
    major,
    settings: {
      datestyle: 'German',
      intervalstyle: 'sql_standard',
      timezone: 'America/St_Johns',
      extra_float_digits: '-3',
      bytea_output: 'escape',
    },
  });

  it('pass as bytes, as COPY writes them, and go back by COPY', async () => {
    const client = await openClient(database.get());
    await client.query(TYPES);
    await client.query(
      `create table source (${COLUMNS}); create table target (like source including all); create table as_text (like source including all)`,
    );
    const slot = await createSlot(client, 'source');
    {
      await using stream = openStream(database.get(), slot);
      await client.query(`insert into source values ${ROWS}`);
      await stream.until('the commit', () => stream.messages('commit').length > 0);
      const tuples = stream.messages('insert').map(({ tuple }) => tuple);
      expect(tuples.map(values)).toEqual(await copyOutRows(client, 'copy (select * from source order by id) to stdout (format binary)'));
      const buffer = new CopyBuffer();
      const positions = Array.from({ length: 30 }, (_, i) => i);
      for (const tuple of tuples) buffer.appendTuple(tuple, positions);
      expect(await copyIn(client, 'copy target from stdin (format binary)', buffer.take())).toBe(3);
      expect((await client.query('select source::text from source except all select target::text from target')).rows).toEqual([]);
    }
    // As text: what a session with pinned settings reads, whatever the database has.
    await using stream = openStream(database.get(), slot, { binary: false });
    await stream.until('the commit', () => stream.messages('commit').length > 0);
    for (const { tuple } of stream.messages('insert')) {
      const texts = values(tuple).map((value) => value?.toString() ?? null);
      await client.query(`insert into as_text values (${texts.map((_, i) => `$${i + 1}`).join(', ')})`, texts);
    }
    expect((await client.query('select source::text from source except all select as_text::text from as_text')).rows).toEqual([]);
    expect(values(stream.messages('insert')[0]!.tuple).slice(7, 14).map(String)).toEqual([
      '2024-04-03 04:05:06.789012+00',
      '0044-03-15 01:02:03.000001 BC',
      '9999-12-31',
      '23:59:59.999999',
      '01:02:03.4+05:45',
      '1 year 2 mons -3 days +04:05:06.000007',
      '\\x00ff5c27',
    ]);
  });

  it('leave out an unchanged TOAST value', async () => {
    const client = await openClient(database.get());
    await client.query(
      'create table toasted (id bigint primary key, big text, n integer); alter table toasted alter big set storage external',
    );
    await client.query(`insert into toasted values (1, repeat('x', 10000), 0)`);
    const slot = await createSlot(client, 'toasted');
    await using stream = openStream(database.get(), slot);
    await client.query('update toasted set n = 1');
    await client.query('update toasted set id = 2');
    await client.query(`update toasted set big = repeat('y', 10000)`);
    await stream.until('three commits', () => stream.messages('commit').filter(() => stream.messages('update').length === 3).length >= 3);
    const [n, id, big] = stream.messages('update');
    expect(fields.read(n!.tuple)).toMatchObject({ hasUnchanged: true, count: 3 });
    expect(fields.isUnchanged(1)).toBe(true);
    expect(id!.oldKind).toBe('K');
    expect(fields.read(id!.old!).isNull(1)).toBe(true);
    expect(fields.read(id!.tuple).isUnchanged(1)).toBe(true);
    expect(fields.read(big!.tuple).bytes(1).toString()).toBe('y'.repeat(10_000));
    expect(() => {
      new CopyBuffer().appendTuple(n!.tuple, [0, 1, 2]);
    }).toThrow(/lacks a binary value/);
  });
});

describe.each([14, 15, 16, 17, 18] as Major[])('transactions on PostgreSQL %i', (major) => {
  const database = testDatabase({ major });

  it('come whole and in commit order, with every kind of change', async () => {
    const client = await openClient(database.get());
    const other = await openClient(database.get());
    await client.query(
      `create table "Odd ""name""" (id bigint primary key, "a b" text, dropped integer, twice bigint generated always as (id * 2) stored, c integer default 7)`,
    );
    await client.query(`alter table "Odd ""name""" drop dropped; create table elsewhere (id bigint)`);
    // From 18 on an UPDATE fails when the replica identity is full and holds a generated column that the publication leaves out.
    const withGenerated = major >= 18;
    const slot = await createSlot(client, `"Odd ""name"""`, withGenerated ? 'publish_generated_columns = stored' : undefined);
    await using stream = openStream(database.get(), slot);
    const { rows } = await client.query<{ xid: string; oid: number }>(
      `select pg_current_xact_id()::text as xid, '"Odd ""name"""'::regclass::oid as oid`,
    );
    const { oid } = rows[0]!;
    const reference = BigInt(rows[0]!.xid);

    await client.query('begin');
    await client.query(`insert into "Odd ""name""" values (1, 'one'), (2, 'two')`);
    await other.query(`insert into "Odd ""name""" values (3, 'three')`);
    await client.query('savepoint a');
    await client.query(`insert into "Odd ""name""" values (4, 'rolled back')`);
    await client.query('rollback to a');
    await client.query('savepoint b');
    await client.query(`update "Odd ""name""" set "a b" = null where id = 1`);
    await client.query('release b');
    await client.query(`delete from "Odd ""name""" where id = 2`);
    await client.query(`select pg_logical_emit_message(true, 'test transactional', 'in the transaction')`);
    const { rows: own } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
    await client.query('commit');
    await client.query(`select pg_logical_emit_message(false, 'test', '\\x00ff'::bytea)`);
    await client.query('truncate "Odd ""name""" restart identity cascade');
    await client.query('insert into elsewhere values (1)');
    await client.query('alter table "Odd ""name""" replica identity full');
    await client.query(`insert into "Odd ""name""" values (5, 'five')`);
    await client.query(`update "Odd ""name""" set c = 8`);
    await client.query(`delete from "Odd ""name"""`);
    await stream.untilLsn(await currentLsn(client));

    // PostgreSQL 14 sends begin and commit of transactions that hold nothing for us.
    const story = stream.events.flatMap((event) => (event.kind === 'wal' ? [event.message] : []));
    // A relation comes again whenever the server's cache was invalidated.
    const kinds = story
      .filter(({ kind }) => kind !== 'relation')
      .map(({ kind }) => kind)
      .join(' ')
      .replaceAll('begin commit', '')
      .trim()
      .split(/ +/);
    expect(kinds.join(' ')).toBe(
      'begin insert commit begin insert insert update delete message commit message begin truncate commit begin insert commit begin update commit begin delete commit',
    );
    const relation = stream.messages('relation')[0]!;
    expect(relation).toMatchObject({ oid, schema: 'public', name: 'Odd "name"', replicaIdentity: 'd' });
    expect(relation.columns.map(({ name, isKey, typeOid }) => [name, isKey, typeOid])).toEqual([
      ['id', true, 20],
      ['a b', false, 25],
      ...(withGenerated ? [['twice', false, 20]] : []),
      ['c', false, 23],
    ]);
    expect(stream.messages('relation').at(-1)).toMatchObject({ replicaIdentity: 'f' });
    expect(stream.messages('begin').map(({ xid }) => widenXid(xid, reference))).toContain(BigInt(own[0]!.xid));
    expect(
      stream.messages('message').map(({ transactional, prefix, content }) => [transactional, prefix, content.toString('hex')]),
    ).toEqual([
      [true, 'test transactional', Buffer.from('in the transaction').toString('hex')],
      [false, 'test', '00ff'],
    ]);
    expect(stream.messages('truncate')).toEqual([{ kind: 'truncate', oids: [oid], cascade: true, restartIdentity: true }]);
    expect(stream.messages('update').map(({ oldKind }) => oldKind)).toEqual([null, 'O']);
    expect(stream.messages('delete').map(({ oldKind }) => oldKind)).toEqual(['K', 'O']);
    expect(values(stream.messages('update')[1]!.old!).map((value) => value?.toString('latin1'))).toEqual([
      '\0\0\0\0\0\0\0\x05',
      'five',
      ...(withGenerated ? ['\0\0\0\0\0\0\0\x0a'] : []),
      '\0\0\0\x07',
    ]);
    // Positions rise, and a transaction's are those of its commit record.
    const commits = stream.messages('commit');
    expect(stream.messages('begin').map(({ finalLsn }) => finalLsn)).toEqual(commits.map(({ commitLsn }) => commitLsn));
    commits.forEach(({ commitLsn, endLsn }, i) => {
      expect(endLsn > commitLsn && (i === 0 || commitLsn >= commits[i - 1]!.endLsn)).toBe(true);
    });
  });

  it('that were prepared come at their commit', async () => {
    const client = await openClient(database.get());
    await client.query('create table prepared (id bigint primary key)');
    const slot = await createSlot(client, 'prepared');
    await using stream = openStream(database.get(), slot);
    const gid = `gid ${slot.slotName}`;
    await client.query('begin; insert into prepared values (1)');
    await client.query(`prepare transaction '${gid}'`);
    await client.query('insert into prepared values (2)');
    await stream.until('the first row', () => stream.messages('insert').length === 1);
    await client.query(`commit prepared '${gid}'`);
    await stream.until('both rows', () => stream.messages('insert').length === 2);
    expect(stream.messages('insert').map(({ tuple }) => values(tuple)[0]!.readBigInt64BE())).toEqual([2n, 1n]);
  });
});

it('reads names in the encoding of the database, and passes text unconverted', async () => {
  await using database = await createDatabase({ encoding: 'LATIN1' });
  const client = await openClient(database);
  await client.query('create table "Größe" ("Öl" text primary key)');
  const slot = await createSlot(client, '"Größe"');
  await using stream = openStream(database, slot, { clientEncoding: 'LATIN1' });
  await client.query(`insert into "Größe" values ('über')`);
  await stream.until('the row', () => stream.messages('insert').length === 1);
  expect(stream.messages('relation')[0]).toMatchObject({ name: 'Größe', columns: [{ name: 'Öl' }] });
  expect(values(stream.messages('insert')[0]!.tuple)[0]!.toString('latin1')).toBe('über');
});

it('skips what came from elsewhere only when asked to', async () => {
  await using database = await createDatabase();
  const client = await openClient(database);
  await client.query('create table fed (id bigint primary key)');
  const slot = await createSlot(client, 'fed');
  const origin = `origin ${slot.slotName}`;
  database.onDropped(async (server) => {
    await server.query('select pg_replication_origin_drop($1)', [origin]);
  });
  await client.query('select pg_replication_origin_create($1)', [origin]);
  await client.query('select pg_replication_origin_session_setup($1)', [origin]);
  await client.query('insert into fed values (1)');
  await client.query('select pg_replication_origin_session_reset()');
  await client.query('insert into fed values (2)');
  const end = await currentLsn(client);
  for (const [option, expected] of [
    ['any', [1n, 2n]],
    ['none', [2n]],
  ] as const) {
    await using stream = openStream(database, slot, { origin: option });
    await stream.untilLsn(end);
    expect(stream.messages('insert').map(({ tuple }) => values(tuple)[0]!.readBigInt64BE())).toEqual(expected);
    expect(stream.messages('origin').map(({ name }) => name)).toEqual(option === 'any' ? [origin] : []);
  }
});

it('tells the server its own clock', async () => {
  await using database = await createDatabase({ settings: { wal_sender_timeout: '500ms' } });
  const client = await openClient(database);
  await client.query('create table clock (id bigint primary key)');
  const slot = await createSlot(client, 'clock');
  await using stream = openStream(database, slot);
  await stream.untilLsn(0n);
  await untilTrue(
    client,
    `select abs(extract(epoch from reply_time - clock_timestamp())) < 60 and flush_lsn is not null from pg_stat_replication where pid = (select active_pid from pg_replication_slots where slot_name = $1)`,
    [slot.slotName],
  );
});

it('starts where the target stands', async () => {
  await using database = await createDatabase();
  const client = await openClient(database);
  await client.query('create table places (id bigint primary key)');
  const slot = await createSlot(client, 'places');
  await client.query('insert into places values (1)');
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  await client.query('insert into places values (2)');
  const startLsn = parseLsn(rows[0]!.lsn);
  await using stream = openStream(database, slot, { startLsn });
  await stream.until('the second row', () => stream.messages('commit').length === 1);
  expect(stream.messages('insert').map(({ tuple }) => values(tuple)[0]!.readBigInt64BE())).toEqual([2n]);
  // What is applied is told at once: WAL that nobody needs is not kept.
  await untilTrue(client, 'select confirmed_flush_lsn = $2::pg_lsn from pg_replication_slots where slot_name = $1', [
    slot.slotName,
    formatLsn(startLsn),
  ]);
});
