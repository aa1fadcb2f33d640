import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { close, connect } from '../../src/pg/client.ts';
import { copyOutRows, copyThrough } from '../../src/pg/copy.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/** CopyDone, and no other message of a server begins so. */
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);

/** A relay that hands on what a server says up to the end of the rows, and the rest later, or never: then the connection ends there. */
async function startRelay({ settings }: TestDatabase, afterRows: 'late' | 'cut'): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<net.Socket>();
  const listening = net.createServer((client) => {
    const backend = net.connect({ host: settings.clientConfig.host ?? '127.0.0.1', port: settings.clientConfig.port ?? 5432 });
    for (const socket of [client, backend]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.pipe(backend);
    let order = Promise.resolve();
    backend.on('data', (data: Buffer) => {
      order = order.then(async () => {
        const done = data.indexOf(COPY_DONE);
        if (done < 0) return void client.write(data);
        client.write(data.subarray(0, done + COPY_DONE.length));
        await sleep(300);
        if (afterRows === 'cut') client.destroy();
        else client.write(data.subarray(done + COPY_DONE.length));
      });
    });
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return {
    port: (listening.address() as net.AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listening.close(resolve));
    },
  };
}

const ROWS = 'copy (select n from generate_series(1, 17) n) to stdout (format binary)';

async function copy(afterRows: 'late' | 'cut') {
  const database = await createDatabase();
  const relay = await startRelay(database, afterRows);
  const control = await database.client();
  await control.query('create table public.numbers (n int)');
  const far = { clientConfig: { ...database.settings.clientConfig, host: '127.0.0.1', port: relay.port } };
  const reader = await connect(far, { applicationName: 'reader' });
  const writer = await connect(database.settings, { applicationName: 'writer' });
  return {
    through: () => copyThrough(reader, ROWS, writer, 'copy public.numbers from stdin (format binary)', new AbortController().signal),
    rows: () => copyOutRows(reader, ROWS),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([reader, writer].map(close));
      await relay[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

test('the number of rows that comes later than the rows is waited for', async () => {
  await using session = await copy('late');
  expect(await session.through()).toMatchObject({ rows: 17 });
  expect(await session.rows()).toHaveLength(17);
});

test('a connection that ends after the rows and before their number: the copy has failed, and nothing else', async () => {
  await using through = await copy('cut');
  await expect(through.through()).rejects.toThrow(/terminated/);
  await using rows = await copy('cut');
  await expect(rows.rows()).rejects.toThrow(/terminated/);
});
