import { randomBytes } from 'node:crypto';
import { Subscription } from 'rxjs';
import { formatLsn, parseLsn, type Lsn } from '../../src/domain/lsn.ts';
import type { WalMessage } from '../../src/domain/pgoutput.ts';
import type { Client } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';
import type { WalReceiverOptions } from '../../src/pg/replication.ts';
import { openReplication, type Replication, type ReplicationEvent } from '../../src/streams/replication.ts';
import type { TestDatabase } from '../support/database.ts';

export type Kind = WalMessage['kind'];
export type MessageOf<K extends Kind> = Extract<WalMessage, { kind: K }>;

const WAIT_MS = 30_000;

/** A slot and a publication of some tables, ready to be read. */
export interface Slot {
  readonly slotName: string;
  readonly publicationName: string;
}

/** A session as an application has it, that finds its tables. */
export async function openClient(database: TestDatabase): Promise<Client> {
  const client = await database.client();
  await client.query('set search_path to public');
  return client;
}

/** @param parameters of the publication. */
export async function createSlot(client: Client, tables: string, parameters?: string): Promise<Slot> {
  const slotName = `test_${randomBytes(6).toString('hex')}`;
  const publicationName = `Pub "${slotName}"`;
  await client.query(
    `create publication "Pub ""${slotName}""" for table ${tables}${parameters === undefined ? '' : ` with (${parameters})`}`,
  );
  await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slotName]);
  return { slotName, publicationName };
}

export interface OpenStream extends AsyncDisposable {
  readonly replication: Replication;
  /** Everything that came, in order. */
  readonly events: readonly ReplicationEvent[];
  readonly arrays: readonly number[];
  messages<K extends Kind>(kind: K): MessageOf<K>[];
  /** Resolves when the condition holds, checked at each arrival; rejects when the stream fails or nothing comes. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Resolves when a transaction (or keepalive) at or past the LSN has come. */
  untilLsn(lsn: Lsn): Promise<void>;
  /** Resolves with the error that ends the stream, or with null when it completes. */
  readonly ended: Promise<unknown>;
  unsubscribe(): void;
}

/** Opens the stream and records it. Credit is given back at once unless `hold`. */
export function openStream(
  database: { readonly settings: ConnectionSettings },
  slot: Slot,
  options: Partial<WalReceiverOptions> & { hold?: boolean; onEvents?: (events: ReplicationEvent[]) => void } = {},
): OpenStream {
  const { hold = false, onEvents, ...rest } = options;
  const replication = openReplication({
    settings: database.settings,
    ...slot,
    binary: true,
    startLsn: 0n,
    credit: { messages: 10_000, bytes: 4 << 20 },
    clientEncoding: 'UTF8',
    log: { info: () => undefined, warn: () => undefined },
    ...rest,
  });
  const events: ReplicationEvent[] = [];
  const arrays: number[] = [];
  const subscription = new Subscription();
  const waiters = new Set<() => void>();
  let end: { error: unknown } | null = null;
  let passed = 0n;
  const wake = (): void => {
    for (const waiter of waiters) waiter();
  };
  const ended = new Promise<unknown>((resolve) => {
    const finish = (error: unknown): void => {
      end = { error };
      wake();
      resolve(error);
    };
    subscription.add(
      replication.events$.subscribe({
        next: (arrived) => {
          arrays.push(arrived.length);
          if (onEvents) onEvents(arrived);
          else for (const event of arrived) events.push(event);
          let messages = 0;
          let bytes = 0;
          for (const event of arrived) {
            if (event.kind === 'keepalive') passed = event.walEnd;
            else {
              messages++;
              bytes += event.bytes;
              if (event.message.kind === 'commit') passed = event.message.endLsn;
            }
          }
          if (!hold) replication.release(messages, bytes);
          wake();
        },
        error: finish,
        complete: () => {
          finish(null);
        },
      }),
    );
  });
  const until = (what: string, condition: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        waiters.delete(check);
        act();
      };
      const check = (): void => {
        if (condition()) settle(resolve);
        else if (end) settle(() => reject(end?.error instanceof Error ? end.error : new Error(`the stream has ended before: ${what}`)));
      };
      const timer = setTimeout(() => settle(() => reject(new Error(`nothing came for ${WAIT_MS} ms: ${what}`))), WAIT_MS);
      waiters.add(check);
      check();
    });
  return {
    replication,
    events,
    arrays,
    ended,
    unsubscribe: () => {
      subscription.unsubscribe();
    },
    until,
    messages: (kind) => events.flatMap((event) => (event.kind === 'wal' && event.message.kind === kind ? [event.message as never] : [])),
    untilLsn: (lsn) => until(`position ${formatLsn(lsn)}`, () => passed >= lsn),
    [Symbol.asyncDispose]: () => replication.stop(),
  };
}

/** Where the server has flushed to: all that committed before lies before it, and a walsender gets there without further WAL. */
export async function currentLsn(client: Client): Promise<Lsn> {
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(rows[0]!.lsn);
}

/** What the server has been told. */
export async function confirmedLsn(client: Client, { slotName }: Slot): Promise<Lsn> {
  const { rows } = await client.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [slotName],
  );
  return parseLsn(rows[0]!.lsn);
}

/** Polls a boolean of the server. */
export async function untilTrue(client: Client, sql: string, values: unknown[] = []): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const { rows } = await client.query<{ holds: boolean | null }>(`select (${sql}) as holds`, values);
    if (rows[0]!.holds === true) return;
    if (performance.now() > deadline) throw new Error(`not true after ${WAIT_MS} ms: ${sql}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const WALSENDER = `(select w from pg_stat_replication w where application_name = 'partitioner walsender' and pid = (select active_pid from pg_replication_slots where slot_name = $1))`;
