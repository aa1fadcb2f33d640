import { expect, it } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { differences, differingRows, leftovers, NO_LEFTOVERS } from '../support/oracle.ts';

const a = { schema: 'public', name: 'A' };
const b = { schema: 'public', name: 'B' };

it('the oracle sees a missing row, a row too many and a changed value, of types without equality too', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await client.query('create table public."A" (id int, doc json, spot point, "Twice" int generated always as (id * 2) stored)');
  await client.query('create table public."B" (like public."A" including generated)');
  await client.query(`insert into public."A" (id, doc, spot) select i, '{"a": 1}', point(i, i) from generate_series(1, 10) i`);
  await client.query('insert into public."B" (id, doc, spot) select id, doc, spot from public."A"');
  expect(await differences(client, a, b)).toBe(0);

  await client.query('insert into public."B" (id, doc, spot) select id, doc, spot from public."B" where id = 1');
  expect(await differences(client, a, b)).toBe(1);
  expect(await differingRows(client, a, b, ['id'])).toEqual([{ side: 'b', line: '(1)' }]);

  await client.query('delete from public."B" where id = 2');
  await client.query(`update public."B" set doc = '{"a":1}' where id = 3`); // the same value, other bytes
  expect(await differences(client, a, b)).toBe(4);
  expect(await differences(client, a, b, ['id'])).toBe(2);
});

it('the oracle sees what a migration leaves behind', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  expect(await leftovers(client)).toEqual(NO_LEFTOVERS);
  await client.query('create schema partitioner');
  await client.query('create table public.partitioner_1_target (id int) partition by hash (id)');
  await client.query('create publication partitioner_1');
  await client.query(`select pg_create_logical_replication_slot('${database.name}', 'pgoutput')`);
  const other = await database.client('partitioner applier');
  expect(await leftovers(client)).toEqual({
    slots: [database.name],
    publications: ['partitioner_1'],
    schemas: ['partitioner'],
    tables: ['public.partitioner_1_target'],
    sessions: ['partitioner applier'],
  });
  await other.end();
});
