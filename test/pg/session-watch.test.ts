import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { close, connect, type Client } from '../../src/pg/client.ts';
import { resolveConnection, type ConnectionSettings } from '../../src/pg/connection.ts';
import { copyThrough } from '../../src/pg/copy.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { holds, until } from '../support/daemon.ts';
import { startFaultProxy, type FaultProxy, type Moment } from '../support/fault-proxy.ts';
import { startMuteProxy } from '../support/mute-proxy.ts';
import { createSlot, currentLsn, openClient, openStream } from './open-stream.ts';

/** A connection of which nobody says that it is gone: no FIN, no reset. */

const SESSION = { applicationName: 'partitioner half' };

function startProxy(database: TestDatabase): Promise<FaultProxy> {
  const { host, port } = database.settings.clientConfig as { host: string; port: number };
  return startFaultProxy({ host, port });
}

function throughProxy(database: TestDatabase, proxy: FaultProxy): ConnectionSettings {
  return throughPort(database, proxy.ports.daemon);
}

function throughPort(database: TestDatabase, port: number): ConnectionSettings {
  const url = new URL(database.url);
  url.port = String(port);
  url.searchParams.set('keepalives_idle', '1');
  url.searchParams.set('connect_timeout', '2');
  return resolveConnection({ databaseUrl: url.href }, {});
}

function halfOpen(proxy: FaultProxy, statement: RegExp, moment: Moment): void {
  const point = { session: /half/, statement, occurrence: 1, moment };
  proxy.arm(
    point,
    () => ({ kind: 'half-open', serverNoticesMs: 600_000 }),
    () => undefined,
  );
}

test.each(['before', 'after'] as const)(
  '%s a statement nothing passes any more: it fails, and the server lets go of what the session held',
  async (moment) => {
    await using database = await createDatabase();
    const control = await database.client();
    await using proxy = await startProxy(database);
    const settings = throughProxy(database, proxy);
    const client = await connect(settings, SESSION);
    await client.query('select pg_advisory_lock(77)');
    halfOpen(proxy, /^select 'lost'/, moment);
    await expect(client.query(`select 'lost'`)).rejects.toThrow('Connection terminated');
    await until(control, 'the lock is free', () => holds(control, 'pg_try_advisory_lock(77)'));
    await close(client);
  },
);

test('the network is away altogether: what is under way fails, and so does a new connection', async () => {
  await using database = await createDatabase();
  await using proxy = await startProxy(database);
  const settings = throughProxy(database, proxy);
  const client = await connect(settings, SESSION);
  proxy.arm(
    { session: /half/, statement: /^select 'lost'/, occurrence: 1, moment: 'before' },
    () => ({ kind: 'partition', ms: 60_000 }),
    () => undefined,
  );
  await expect(client.query(`select 'lost'`)).rejects.toThrow('Connection terminated');
  await expect(connect(settings, SESSION)).rejects.toMatchObject({ code: 'POSTGRES' });
  await close(client);
});

test('a server that takes connections and says nothing is not waited for for ever', async () => {
  const mute = net.createServer(() => undefined);
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as net.AddressInfo;
  const settings = resolveConnection({ databaseUrl: `postgres://u@127.0.0.1:${String(port)}/d?sslmode=disable&connect_timeout=1` }, {});
  await expect(connect(settings, SESSION)).rejects.toMatchObject({ code: 'POSTGRES' });
  mute.close();
});

test('what takes its time is left alone: a long statement, one that waits for a lock, rows that are not read, rows that do not come', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await control.query(
    `create table public.a (v text); create table public.b (v text); insert into public.a select repeat('x', 1000) from generate_series(1, 20000)`,
  );
  await using proxy = await startProxy(database);
  const settings = throughProxy(database, proxy);
  const [sleeper, waiter, reader, writer] = (await Promise.all([0, 1, 2, 3].map(() => connect(settings, SESSION)))) as [
    Client,
    Client,
    Client,
    Client,
  ];
  await control.query('begin; lock table public.b');
  const slept = sleeper.query('select pg_sleep(5)');
  const waited = waiter.query('select count(*) from public.b');
  // The COPY into b waits for the lock, and so the COPY out of a is not read.
  const copied = copyThrough(reader, 'copy public.a to stdout', writer, 'copy public.b from stdin', new AbortController().signal);
  await sleep(4_000);
  await control.query('commit');
  await Promise.all([slept, waited]);
  expect(await copied).toMatchObject({ rows: 20_000 });
  const slow = `copy (select 'last' from (select pg_sleep(4)) s) to stdout`;
  expect(await copyThrough(reader, slow, writer, 'copy public.b from stdin', new AbortController().signal)).toMatchObject({ rows: 1 });
  for (const client of [sleeper, waiter, reader, writer]) await close(client);
});

test.each(['its reader is found lost', 'it is called off'])(
  'nothing passes any more on either side of a copy, and %s: it fails',
  async (end) => {
    await using database = await createDatabase();
    const control = await database.client();
    await control.query('create table public.b (v text)');
    const { host, port } = database.settings.clientConfig as { host: string; port: number };
    await using proxy = await startMuteProxy({ host, port });
    const settings = throughPort(database, proxy.port);
    const open = (name: string): Promise<Client> => connect(settings, { applicationName: `partitioner half ${name}` });
    const [reader, writer] = [await open('reader'), await open('writer')];
    const calledOff = new AbortController();
    const slow = `copy (select 'x' from generate_series(1, 1000) union all select 'y' from (select pg_sleep(3)) s) to stdout`;
    const copied = copyThrough(reader, slow, writer, 'copy public.b from stdin', calledOff.signal);
    const outcome = Promise.race([copied, sleep(20_000, 'nothing', { ref: false })]);
    outcome.catch(() => undefined);
    const waits = `from pg_stat_activity where application_name like 'partitioner half%' and state = 'active' and wait_event in ('PgSleep', 'ClientRead')`;
    await until(control, 'the middle of it', () => holds(control, `(select count(*) = 2 ${waits})`));
    expect([proxy.mute('partitioner half reader'), proxy.mute('partitioner half writer')]).toEqual([1, 1]);
    if (end === 'it is called off') calledOff.abort();
    await expect(outcome).rejects.toThrow();
    for (const client of [reader, writer]) await close(client);
  },
);

test.each(['before', 'during'] as const)(
  'a walsender of which nothing is heard any more, %s its stream: the stream fails, and the slot is free',
  async (moment) => {
    await using database = await createDatabase();
    const client = await openClient(database);
    await client.query('create table public.rows (id int primary key)');
    const slot = await createSlot(client, 'public.rows');
    await using proxy = await startProxy(database);
    proxy.arm(
      { session: /walsender/, statement: /^start_replication/i, occurrence: 1, moment },
      () => ({ kind: 'half-open', serverNoticesMs: 600_000 }),
      () => undefined,
    );
    await using stream = openStream(database, slot, { settings: throughProxy(database, proxy) });
    await client.query('insert into public.rows select generate_series(1, 100)');
    expect(await stream.ended).toMatchObject({ code: 'POSTGRES' });
  },
);

test('a walsender that has nothing to send is not taken for one that is gone', async () => {
  // It says nothing by itself when it is not to watch over us.
  await using database = await createDatabase({ settings: { wal_sender_timeout: '0' } });
  const client = await openClient(database);
  await client.query('create table public.rows (id int primary key)');
  const slot = await createSlot(client, 'public.rows');
  await using proxy = await startProxy(database);
  await using stream = openStream(database, slot, { settings: throughProxy(database, proxy) });
  await stream.untilLsn(await currentLsn(client));
  await sleep(4_000);
  await client.query('insert into public.rows values (1)');
  await stream.until('the row', () => stream.messages('insert').length === 1);
});

test('the server is told to notice a client that is gone', async () => {
  await using database = await createDatabase();
  const client = await connect(database.settings, SESSION);
  const { rows } = await client.query(
    `select current_setting('tcp_keepalives_idle') as idle, current_setting('tcp_keepalives_interval') as interval, current_setting('tcp_keepalives_count') as count,
       current_setting('tcp_user_timeout') as timeout, current_setting('client_connection_check_interval') as check`,
  );
  expect(rows).toEqual([{ idle: '15', interval: '5', count: '3', timeout: '60000', check: process.platform === 'linux' ? '5s' : '0' }]);
  await close(client);
});

test('a killed client: what it has left running on the server is ended', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const client = await connect(database.settings, SESSION);
  const running = client.query('select pg_sleep(600)');
  running.catch(() => undefined);
  const runs = `exists (select from pg_stat_activity where application_name = 'partitioner half' and state = 'active')`;
  await until(control, 'it runs', () => holds(control, runs));
  (client as unknown as { connection: { stream: net.Socket } }).connection.stream.destroy();
  await until(control, 'it is ended', () => holds(control, `not ${runs}`));
  await expect(running).rejects.toThrow();
});
