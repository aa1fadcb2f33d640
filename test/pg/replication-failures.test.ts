import { createServer, connect as connectSocket, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startEmbeddedServer } from '../../src/demo/embedded-server.ts';
import { formatLsn } from '../../src/domain/lsn.ts';
import { withClient } from '../../src/pg/client.ts';
import { createRole } from '../support/roles.ts';
import { testDatabase } from '../support/database.ts';
import { createSlot, currentLsn, openClient, openStream, untilTrue, type Slot } from './open-stream.ts';

const database = testDatabase();

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

async function prepare(table: string): Promise<{ client: Awaited<ReturnType<typeof openClient>>; slot: Slot }> {
  const client = await openClient(database.get());
  await client.query(`create table ${table} (id bigint primary key, filler text)`);
  return { client, slot: await createSlot(client, table) };
}

describe('a slot that another reads', () => {
  it('is waited for', async () => {
    const { client, slot } = await prepare('waited');
    const first = openStream(database.get(), slot);
    await first.untilLsn(await currentLsn(client));
    const waits: unknown[] = [];
    const waiting = deferred<undefined>();
    await using second = openStream(database.get(), slot, {
      log: {
        info: (fields) => {
          waits.push(fields);
          waiting.resolve(undefined);
        },
        warn: () => undefined,
      },
    });
    const { rows } = await client.query<{ pid: number }>('select active_pid as pid from pg_replication_slots where slot_name = $1', [
      slot.slotName,
    ]);
    await waiting.promise;
    await first.replication.stop();
    await client.query('insert into waited values (1)');
    await second.until('the row', () => second.messages('insert').length === 1);
    expect(waits).toEqual([{ slot: slot.slotName, pid: rows[0]!.pid }]);
  });

  it('ends the wait with the name of the reader', async () => {
    const { client, slot } = await prepare('taken');
    await using first = openStream(database.get(), slot);
    await first.untilLsn(await currentLsn(client));
    const { rows } = await client.query<{ pid: number }>('select active_pid as pid from pg_replication_slots where slot_name = $1', [
      slot.slotName,
    ]);
    await using second = openStream(database.get(), slot, { slotWaitMs: 200 });
    expect(await second.ended).toMatchObject({
      code: 'POSTGRES',
      message: `slot "${slot.slotName}" has had another reader for 200 ms: pid ${rows[0]!.pid}`,
      detail: 'SQLSTATE 55006',
      hint: expect.stringContaining(`pg_terminate_backend(${rows[0]!.pid})`),
    });
  });

  it('can be given up', async () => {
    const { client, slot } = await prepare('given_up');
    await using first = openStream(database.get(), slot);
    await first.untilLsn(await currentLsn(client));
    const waiting = deferred<undefined>();
    const second = openStream(database.get(), slot, { log: { info: () => waiting.resolve(undefined), warn: () => undefined } });
    await waiting.promise;
    await second.replication.stop();
    expect(await second.ended).toBeNull();
    await client.query('insert into given_up values (1)');
    await first.until('the row', () => first.messages('insert').length === 1);
  });
});

describe('a slot that is of no use', () => {
  it('is lost when it is not there', async () => {
    const { slot } = await prepare('dropped');
    await using stream = openStream(database.get(), { ...slot, slotName: 'nobodys' });
    expect(await stream.ended).toMatchObject({
      code: 'SLOT_LOST',
      message: expect.stringContaining('"nobodys"'),
      detail: 'there is no slot of this name',
    });
  });

  it('is lost when it is a physical one', async () => {
    const { client, slot } = await prepare('physical');
    const slotName = `${slot.slotName}_p`;
    await client.query('select pg_create_physical_replication_slot($1)', [slotName]);
    try {
      await using stream = openStream(database.get(), { ...slot, slotName });
      expect(await stream.ended).toMatchObject({ code: 'SLOT_LOST', detail: expect.stringContaining('physical') });
    } finally {
      await client.query('select pg_drop_replication_slot($1)', [slotName]);
    }
  });

  it('is lost when it stands past the applied position', async () => {
    const { client, slot } = await prepare('ahead');
    const startLsn = await currentLsn(client);
    await client.query('insert into ahead values (1)');
    await client.query('select pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot.slotName]);
    await using stream = openStream(database.get(), slot, { startLsn });
    expect(await stream.ended).toMatchObject({
      code: 'SLOT_LOST',
      detail: expect.stringContaining(`past the applied position ${formatLsn(startLsn)}`),
    });
  });

  it('is lost when its publication came after it', async () => {
    const { client, slot } = await prepare('unpublished');
    await client.query(`drop publication "${slot.publicationName.replaceAll('"', '""')}"`);
    await client.query('insert into unpublished values (1)');
    await using stream = openStream(database.get(), slot);
    expect(await stream.ended).toMatchObject({ code: 'SLOT_LOST', detail: expect.stringContaining('publication') });
  });

  it('is lost when its WAL is gone', async () => {
    const server = await startEmbeddedServer({
      major: 17,
      settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', fsync: 'off' },
    });
    try {
      await withClient(server.settings, { applicationName: 'test' }, async (client) => {
        await client.query('set search_path to public');
        await client.query('create table gone (id bigint primary key, filler text)');
        const slot = await createSlot(client, 'gone');
        for (let i = 0; i < 4; i++) {
          await client.query(`select pg_logical_emit_message(false, 'fill', repeat('x', 1000000)), pg_switch_wal()`);
          await client.query('checkpoint');
        }
        await untilTrue(client, `select wal_status = 'lost' from pg_replication_slots where slot_name = $1`, [slot.slotName]);
        await using stream = openStream({ settings: server.settings }, slot);
        expect(await stream.ended).toMatchObject({ code: 'SLOT_LOST', detail: expect.stringContaining('max_slot_wal_keep_size') });
      });
    } finally {
      await server.stop('immediate');
    }
  });
});

describe('a connection', () => {
  it('that the server ends is an error that says so', async () => {
    const { client, slot } = await prepare('terminated');
    await using stream = openStream(database.get(), slot);
    await stream.untilLsn(await currentLsn(client));
    await client.query('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1', [slot.slotName]);
    expect(await stream.ended).toMatchObject({
      code: 'POSTGRES',
      message: expect.stringContaining(slot.slotName),
      detail: expect.stringContaining('57P01'),
    });
    // and the next one goes on
    await client.query('insert into terminated values (1)');
    await using next = openStream(database.get(), slot);
    await next.until('the row', () => next.messages('insert').length === 1);
  });

  it('that breaks is an error', async () => {
    const { client, slot } = await prepare('broken');
    const { clientConfig } = database.settings();
    const sockets: Socket[] = [];
    const proxy = createServer((socket) => {
      const upstream = connectSocket(clientConfig.port!, clientConfig.host);
      sockets.push(socket, upstream);
      for (const end of [socket, upstream]) end.on('error', () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    try {
      const settings = { clientConfig: { ...clientConfig, host: '127.0.0.1', port: address.port } };
      await using stream = openStream({ settings }, slot);
      await stream.untilLsn(await currentLsn(client));
      for (const socket of sockets) socket.destroy();
      expect(await stream.ended).toMatchObject({ code: 'POSTGRES' });
    } finally {
      proxy.close();
    }
  });

  it('is ended by the server in the same read that says it stands: an error, and no crash', async () => {
    const { slot } = await prepare('ended');
    const { clientConfig } = database.settings();
    const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', ''];
    const fatal = Buffer.from(`E\0\0\0\0${fields.map((field) => `${field}\0`).join('')}`);
    fatal.writeInt32BE(fatal.length - 1, 1);
    const ready = Buffer.from('Z\0\0\0\u0005I');
    const proxy = createServer((socket) => {
      const upstream = connectSocket(clientConfig.port!, clientConfig.host);
      for (const end of [socket, upstream]) end.on('error', () => undefined);
      socket.pipe(upstream);
      upstream.on('data', (data: Buffer) => {
        if (!data.subarray(-ready.length).equals(ready)) return void socket.write(data);
        socket.end(Buffer.concat([data, fatal]));
        upstream.destroy();
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    try {
      await using stream = openStream({ settings: { clientConfig: { ...clientConfig, host: '127.0.0.1', port: address.port } } }, slot);
      expect(await stream.ended).toMatchObject({ code: 'POSTGRES', detail: expect.stringContaining('57P01') });
    } finally {
      proxy.close();
    }
  });

  it('that is not made is an error', async () => {
    const { slot } = await prepare('refused');
    const settings = { clientConfig: { ...database.settings().clientConfig, port: 1 } };
    await using stream = openStream({ settings }, slot);
    expect(await stream.ended).toMatchObject({ code: 'POSTGRES', detail: 'ECONNREFUSED' });
  });

  it('of a role that may not replicate is an error', async () => {
    const { slot } = await prepare('unprivileged');
    const role = await createRole(database.get(), 'login', ['connect']);
    await using stream = openStream({ settings: role.settings }, slot);
    expect(await stream.ended).toMatchObject({ code: 'POSTGRES', detail: expect.stringContaining('42501') });
  });

  it('is closed when nobody listens any more, and by stop at any moment', async () => {
    const { client, slot } = await prepare('closed');
    const delays = [0, 0, 1, 2, 4, 8, 16, 32];
    for (const delayMs of delays) {
      const stream = openStream(database.get(), slot);
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      await Promise.all([stream.replication.stop(), stream.replication.stop()]);
      expect(await stream.ended).toBeNull();
    }
    await untilTrue(
      client,
      `select count(*) = 0 from pg_stat_activity where datname = current_database() and application_name = 'partitioner walsender'`,
    );
    await using stream = openStream(database.get(), slot);
    await stream.untilLsn(await currentLsn(client));
    stream.unsubscribe();
    await untilTrue(client, 'select not active from pg_replication_slots where slot_name = $1', [slot.slotName]);
    stream.replication.confirm(await currentLsn(client));
    stream.replication.release(1, 1);
  });

  it('is subscribed to once', async () => {
    const { slot } = await prepare('once');
    await using stream = openStream(database.get(), slot);
    const second = deferred<unknown>();
    stream.replication.events$.subscribe({ error: second.resolve });
    expect(await second.promise).toMatchObject({ code: 'DEFECT' });
  });
});
