import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/actions/check.ts';
import { checkAs, found } from '../support/check.ts';
import { createDatabase } from '../support/database.ts';
import { MAJORS } from '../support/server.ts';

describe('stray rows', () => {
  it.each(MAJORS)('are told with the number of leaves they cost, PostgreSQL %i', async (major) => {
    await using database = await createDatabase({ major });
    const client = await database.client();
    await client.query(
      'create schema app; create table app.events (id int, at timestamptz not null, primary key (id, at)); create index on app.events (at)',
    );
    await client.query(
      "insert into app.events select n, '2020-01-01'::timestamptz + n * interval '1 hour' from generate_series(1, 50000) n",
    );
    await client.query('analyze app.events');
    const look = async (from?: string): Promise<unknown> =>
      (await checkAs(database.settings, 'app.events', from === undefined ? {} : { from })).find(({ id }) => id === 'leaf-histogram');
    expect(await look()).toMatchObject({ severity: 'ok' });
    await client.query("insert into app.events values (0, '1901-05-05')"); // after ANALYZE: no statistics know it
    expect(await look()).toMatchObject({
      severity: 'warning',
      object: 'app.events.at',
      message: expect.stringMatching(/^about 14\d\d of 15\d\d leaves would hold next to nothing: most rows lie from 2020-01-01/) as string,
      fix: '--from 2020-01-01 puts what lies before it into one leaf; or a larger --every',
    });
    await client.query('analyze app.events'); // the sample of so small a table is all of it
    expect(await look()).toMatchObject({ severity: 'warning' });
    expect(await look('2020-01-01')).toMatchObject({ severity: 'ok' });
  });
});

// On the real server: what PostgreSQL 18 does to the application's statements once such a table is published.
describe('generated columns in what tells a row', () => {
  it('a virtual one under REPLICA IDENTITY FULL: the UPDATE of the application would fail', async () => {
    await using database = await createDatabase({ major: 18 });
    const client = await database.client();
    await client.query(`create schema app; create table app.events (id int primary key, at date not null, v int generated always as (id + 1) virtual, s int generated always as (id + 2) stored);
      alter table app.events replica identity full; insert into app.events values (1, '2024-01-01')`);
    await client.query("update app.events set at = '2024-01-02'");
    expect(found(await checkAs(database.settings, 'app.events'), 'blocker')).toEqual(['generated-identity app.events']);
    await client.query('create publication p for table app.events with (publish_generated_columns = stored)');
    await expect(client.query("update app.events set at = '2024-01-03'")).rejects.toMatchObject({
      detail: 'Replica identity must not contain unpublished generated columns.',
    });
    await client.query('alter table app.events replica identity default');
    await client.query("update app.events set at = '2024-01-03'");
    await client.query('drop publication p');
    expect(found(await checkAs(database.settings, 'app.events'), 'blocker')).toEqual([]);
  });

  it('stored ones under REPLICA IDENTITY FULL are published with the table', async () => {
    await using database = await createDatabase({ major: 18 });
    const client = await database.client();
    await client.query(`create schema app; create table app.events (id int primary key, at date not null, s int generated always as (id + 2) stored);
      alter table app.events replica identity full; insert into app.events values (1, '2024-01-01'); create publication p for table app.events with (publish_generated_columns = stored)`);
    await client.query("update app.events set at = '2024-01-03'");
    await client.query('drop publication p');
    expect(found(await checkAs(database.settings, 'app.events'), 'blocker')).toEqual([]);
  });

  it('stored ones and a publication of all tables without them: our own DELETE on a leaf would fail', async () => {
    await using database = await createDatabase({ major: 18 });
    const client = await database.client();
    await client.query(`create schema app; create table app.events (id int primary key, at date not null, s int generated always as (id + 2) stored);
      create publication every for all tables; create publication changes for tables in schema app with (publish = 'insert')`);
    await client.query(`create table app.leaf (like app.events including generated); alter table app.leaf replica identity full`);
    await client.query("insert into app.leaf values (1, '2024-01-01')");
    await expect(client.query('delete from app.leaf')).rejects.toMatchObject({
      detail: expect.stringContaining('unpublished generated columns') as string,
    });
    const look = async (): Promise<Finding | undefined> =>
      (await checkAs(database.settings, 'app.events')).find(({ id }) => id === 'generated-identity');
    const finding = await look();
    expect(finding).toMatchObject({ severity: 'blocker', message: expect.stringContaining('the publication every takes in') as string });
    await client.query(finding!.fix!);
    await client.query('delete from app.leaf');
    expect(await look()).toMatchObject({ severity: 'ok' });
  });

  it.each(MAJORS)('one in the primary key, PostgreSQL %i', async (major) => {
    await using database = await createDatabase({ major });
    const client = await database.client();
    await client.query(
      'create schema app; create table app.events (id int, k int generated always as (id + 2) stored primary key, at date not null)',
    );
    const findings = await checkAs(database.settings, 'app.events');
    expect(found(findings, 'blocker')).toEqual(['generated-identity app.events']);
    await client.query(findings.find(({ id }) => id === 'generated-identity')!.fix!);
    expect(found(await checkAs(database.settings, 'app.events'), 'blocker')).toEqual([]);
  });
});
