import { describe, expect, it } from 'vitest';
import { formatLsn, type Lsn } from '../../src/domain/lsn.ts';
import { TupleFields } from '../../src/domain/tuple.ts';
import type { Client } from '../../src/pg/client.ts';
import { testDatabase } from '../support/database.ts';
import {
  confirmedLsn,
  createSlot,
  currentLsn,
  openClient,
  openStream,
  untilTrue,
  WALSENDER,
  type MessageOf,
  type OpenStream,
} from './open-stream.ts';

/** Short, so that what the server does at the timeout and at half of it happens within a test. */
const TIMEOUT_MS = 1_000;
const database = testDatabase({ settings: { wal_sender_timeout: `${TIMEOUT_MS}ms` } });

const fields = new TupleFields();

/** The bigint in the first column of an inserted row. */
function idOf({ tuple }: { tuple: Buffer }): bigint {
  return fields.read(tuple).bytes(0).readBigInt64BE();
}

function ids(stream: OpenStream): bigint[] {
  return stream.messages('insert').map(idOf);
}

/** Waits until the server's walsender has been answered twice more, by the keepalive timer or by request. */
async function twoReplies(client: Client, slotName: string): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const { rows } = await client.query<{ at: string }>(`select (${WALSENDER}).reply_time::text as at`, [slotName]);
    await untilTrue(client, `(${WALSENDER}).reply_time > $2::timestamptz`, [slotName, rows[0]!.at]);
  }
}

describe('confirming', () => {
  it('never passes what it was told, whatever was received and however often the server asks', async () => {
    const client = await openClient(database.get());
    await client.query('create table told (id bigint primary key)');
    const slot = await createSlot(client, 'told');
    await using stream = openStream(database.get(), slot);
    const before = await confirmedLsn(client, slot);
    for (let id = 1; id <= 5; id++) await client.query('insert into told values ($1)', [id]);
    await stream.until('five commits', () => stream.messages('commit').length === 5);
    await twoReplies(client, slot.slotName);
    expect(await confirmedLsn(client, slot)).toBe(before);

    const second = stream.messages('commit')[1]!.endLsn;
    stream.replication.confirm(second);
    await twoReplies(client, slot.slotName);
    expect(formatLsn(await confirmedLsn(client, slot))).toBe(formatLsn(second));

    stream.replication.confirm(before); // never back
    await twoReplies(client, slot.slotName);
    expect(formatLsn(await confirmedLsn(client, slot))).toBe(formatLsn(second));
  });

  it('has its last confirmation arrive when the stream stops', async () => {
    const client = await openClient(database.get());
    await client.query('create table stopped (id bigint primary key)');
    const slot = await createSlot(client, 'stopped');
    await using stream = openStream(database.get(), slot);
    await client.query('insert into stopped values (1)');
    await stream.until('a commit', () => stream.messages('commit').length === 1);
    const { endLsn } = stream.messages('commit')[0]!;
    stream.replication.confirm(endLsn);
    await stream.replication.stop();
    await untilTrue(client, 'select not active from pg_replication_slots where slot_name = $1', [slot.slotName]);
    expect(formatLsn(await confirmedLsn(client, slot))).toBe(formatLsn(endLsn));
  });

  it('does not skip the neighbour whose commit record begins where the confirmed one ends', async () => {
    const one = await openClient(database.get());
    const two = await openClient(database.get());
    await one.query('create table neighbours (id bigint primary key)');
    const slot = await createSlot(one, 'neighbours');
    let first: Lsn = 0n;
    {
      await using stream = openStream(database.get(), slot);
      let pair: [MessageOf<'commit'>, MessageOf<'commit'>] | null = null;
      // The server's own records (running transactions) may come in between: try again.
      for (let attempt = 0; !pair && attempt < 20; attempt++) {
        for (const client of [one, two]) await client.query('begin');
        await one.query('insert into neighbours values ($1)', [attempt * 2]);
        await two.query('insert into neighbours values ($1)', [attempt * 2 + 1]);
        await Promise.all([one.query('commit'), two.query('commit')]);
        await stream.until('both commits', () => stream.messages('commit').length === (attempt + 1) * 2);
        const [a, b] = stream.messages('commit').slice(-2);
        if (a!.endLsn === b!.commitLsn) pair = [a!, b!];
      }
      expect(pair, 'two adjacent commits').not.toBeNull();
      first = pair![0].endLsn;
      stream.replication.confirm(first);
    }
    for (const startLsn of [0n, first]) {
      await using stream = openStream(database.get(), slot, { startLsn });
      await stream.untilLsn(await currentLsn(one));
      expect(stream.messages('begin').map(({ finalLsn }) => formatLsn(finalLsn))).toEqual([formatLsn(first)]);
    }
  });

  it('hears of the WAL of others when idle, and may confirm it', async () => {
    const client = await openClient(database.get());
    await client.query('create table idle (id bigint primary key); create table other (id bigint primary key)');
    const slot = await createSlot(client, 'idle');
    await using stream = openStream(database.get(), slot);
    await client.query('insert into other select generate_series(1, 1000)');
    const lsn = await currentLsn(client);
    await stream.untilLsn(lsn);
    const last = stream.events.at(-1)!;
    if (last.kind !== 'keepalive') expect.unreachable();
    else {
      stream.replication.confirm(last.walEnd);
      await untilTrue(client, 'select confirmed_flush_lsn = $2::pg_lsn from pg_replication_slots where slot_name = $1', [
        slot.slotName,
        formatLsn(last.walEnd),
      ]);
    }
    expect(stream.messages('insert')).toEqual([]);
  });
});

describe('back-pressure', () => {
  it('survives the timeout of the walsender while nothing is released', async () => {
    const client = await openClient(database.get());
    await client.query('create table held (id bigint primary key, filler text)');
    const slot = await createSlot(client, 'held');
    await using stream = openStream(database.get(), slot, { hold: true, credit: { messages: 100, bytes: 1 << 20 } });
    await client.query(`insert into held select i, repeat('x', 1000) from generate_series(1, 30000) i`); // more than the sockets buffer
    await stream.until('the credit is used up', () => stream.messages('insert').length >= 90);
    const { rows } = await client.query<{ at: string; pid: number }>(
      `select clock_timestamp()::text as at, active_pid as pid from pg_replication_slots where slot_name = $1`,
      [slot.slotName],
    );
    const { at, pid } = rows[0]!;
    await untilTrue(client, `(${WALSENDER}).reply_time > $2::timestamptz + $3::integer * interval '1 ms'`, [
      slot.slotName,
      at,
      3 * TIMEOUT_MS,
    ]);
    const held = stream.events.length;
    expect(held).toBeLessThan(2_000);
    expect((await client.query('select active_pid as pid from pg_replication_slots where slot_name = $1', [slot.slotName])).rows).toEqual([
      { pid },
    ]);

    // From here on everything is given back.
    const interval = setInterval(() => release(), 1);
    let released = 0;
    const release = (): void => {
      const events = stream.events.slice(released);
      released = stream.events.length;
      let bytes = 0;
      let messages = 0;
      for (const event of events) if (event.kind === 'wal') [messages, bytes] = [messages + 1, bytes + event.bytes];
      stream.replication.release(messages, bytes);
    };
    await stream.until('the commit', () => stream.messages('commit').length === 1).finally(() => clearInterval(interval));
    expect(ids(stream)).toEqual(Array.from({ length: 30_000 }, (_, i) => BigInt(i + 1)));
  });

  it('stops at once while it is paused', async () => {
    const client = await openClient(database.get());
    await client.query('create table paused (id bigint primary key, filler text)');
    const slot = await createSlot(client, 'paused');
    const stream = openStream(database.get(), slot, { hold: true, credit: { messages: 10, bytes: 1 << 20 } });
    await client.query(`insert into paused select i, repeat('x', 1000) from generate_series(1, 30000) i`);
    await stream.until('the credit is used up', () => stream.messages('insert').length >= 5);
    const begun = performance.now();
    await stream.replication.stop();
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(await stream.ended).toBeNull();
    await untilTrue(client, 'select not active from pg_replication_slots where slot_name = $1', [slot.slotName]);
  });

  it('keeps a transaction of a million rows within its credit', async () => {
    const client = await openClient(database.get());
    await client.query('create table million (id bigint primary key, filler text)');
    const slot = await createSlot(client, 'million');
    const credit = { messages: 2_000, bytes: 1 << 20 };
    let count = 0;
    let ordered = true;
    let held = 0;
    let most = 0;
    let heap = 0;
    let commits = 0;
    const queue: { messages: number; bytes: number }[] = [];
    global.gc?.();
    const start = process.memoryUsage();
    await using stream = openStream(database.get(), slot, {
      hold: true,
      credit,
      onEvents: (events) => {
        let bytes = 0;
        let messages = 0;
        for (const event of events) {
          if (event.kind === 'keepalive') continue;
          messages++;
          bytes += event.bytes;
          if (event.message.kind === 'commit') commits++;
          if (event.message.kind !== 'insert') continue;
          count++;
          if (idOf(event.message) !== BigInt(count)) ordered = false;
        }
        held += messages;
        most = Math.max(most, held);
        queue.push({ messages, bytes });
        // A consumer that lags behind: it gives back later, and in pieces of its own size.
        if (queue.length === 1)
          setImmediate(() => {
            const { heapUsed, external } = process.memoryUsage();
            heap = Math.max(heap, heapUsed + external - start.heapUsed - start.external);
            for (const taken of queue.splice(0)) {
              held -= taken.messages;
              stream.replication.release(taken.messages, taken.bytes);
            }
          });
      },
    });
    await client.query(`insert into million select i, repeat('x', 100) from generate_series(1, 1000000) i`);
    await stream.until('the commit', () => commits === 1);
    expect({ count, ordered }).toEqual({ count: 1_000_000, ordered: true });
    expect(most).toBeLessThan(credit.messages + 1_000); // and one read of the socket
    expect(heap).toBeLessThan(64 << 20);
  });

  it('lets a message pass that is larger than the credit', async () => {
    const client = await openClient(database.get());
    await client.query('create table wide (id bigint primary key, filler bytea); alter table wide alter filler set storage external');
    const slot = await createSlot(client, 'wide');
    await using stream = openStream(database.get(), slot, { credit: { messages: 1, bytes: 1_000 } });
    await client.query(`insert into wide select i, decode(repeat(to_hex(i), 5000000), 'hex') from generate_series(16, 19) i`);
    await client.query('insert into wide values (20, null)');
    await stream.until('both commits', () => stream.messages('commit').length === 2);
    expect(ids(stream)).toEqual([16n, 17n, 18n, 19n, 20n]);
    const row = stream.messages('insert')[2]!;
    expect(fields.read(row.tuple).bytes(1).equals(Buffer.alloc(5_000_000, 18))).toBe(true);
  });

  it('delivers what one read brought together', async () => {
    const client = await openClient(database.get());
    await client.query('create table together (id bigint primary key)');
    const slot = await createSlot(client, 'together');
    await client.query('insert into together select generate_series(1, 20000)');
    await using stream = openStream(database.get(), slot);
    await stream.until('the commit', () => stream.messages('commit').length === 1);
    expect(stream.arrays.length).toBeLessThan(10_000);
    expect(stream.arrays.reduce((sum, length) => sum + length)).toBe(stream.events.length);
  });
});

it('holds messages that later reads do not change', async () => {
  const client = await openClient(database.get());
  await client.query('create table kept (id bigint primary key, a text, b text)');
  const slot = await createSlot(client, 'kept');
  const copies: Buffer[] = [];
  const tuples: Buffer[] = [];
  let commits = 0;
  await using stream = openStream(database.get(), slot, {
    onEvents: (events) => {
      for (const event of events) {
        if (event.kind !== 'wal') continue;
        if (event.message.kind === 'commit') commits++;
        if (event.message.kind !== 'insert') continue;
        tuples.push(event.message.tuple);
        copies.push(Buffer.from(event.message.tuple));
      }
    },
  });
  // Of all sizes, so that messages lie across the ends of reads in every way; some larger than a read.
  await client.query(
    `insert into kept select i, repeat(chr(65 + i % 26), i * 37 % 5000), case when i % 100 = 0 then repeat(i::text, 50000) end from generate_series(1, 5000) i`,
  );
  await stream.until('the commit', () => commits === 1);
  expect(tuples).toHaveLength(5_000);
  expect(tuples.findIndex((tuple, i) => !tuple.equals(copies[i]!))).toBe(-1);
  tuples.forEach((tuple, i) => {
    const row = fields.read(tuple);
    expect(row.bytes(0).readBigInt64BE()).toBe(BigInt(i + 1));
    const a = row.bytes(1);
    expect(a.length === ((i + 1) * 37) % 5000 && a.every((byte) => byte === 65 + ((i + 1) % 26))).toBe(true);
  });
});
