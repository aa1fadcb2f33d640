import { setTimeout as sleep } from 'node:timers/promises';
import type { TestDatabase } from './database.ts';

interface Known {
  at: string;
  kind: number;
  v: string;
  /** md5 of the TOASTed value. */
  doc: string | null;
}

/** A writer of `app.events` that knows what it has written: the rows are its own, nobody else changes them. */
export interface KnownWriter {
  /** Resolves when no statement of it is under way; it goes on with `resume`. */
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
  readonly rows: ReadonlyMap<string, Known>;
  /** Every key that it was handed out, in order. */
  readonly keys: readonly { readonly id: string; readonly number: number }[];
  readonly writes: number;
}

/** Node 20 has no Promise.withResolvers. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((fulfil) => (resolve = fulfil));
  return { promise, resolve };
}

/** Inserts, changes (also the key and the TOASTed value), moves to other leaves, deletes; every fifth time several at once in one transaction. */
export async function startKnownWriter(database: TestDatabase, name: string): Promise<KnownWriter> {
  const client = await database.client('application');
  const rows = new Map<string, Known>();
  const keys: { id: string; number: number }[] = [];
  let writes = 0;
  let running = true;
  let paused: { readonly idle: () => void; readonly until: Promise<void>; readonly resume: () => void } | null = null;
  const any = (): string => [...rows.keys()][Math.floor(Math.random() * rows.size)] ?? '0';
  const moment = (): string => `2026-0${String(1 + Math.floor(Math.random() * 8))}-1${String(Math.floor(Math.random() * 10))} 12:00:00+00`;
  const read = `id::text, number, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at, kind, v, md5(doc) as doc`;
  type Row = Known & { id: string; number: number };
  const run = async (text: string, values: unknown[]): Promise<Row | undefined> => (await client.query<Row>(text, values)).rows[0];
  const keep = (row: Row | undefined, before: string): void => {
    if (!row) return;
    const { id, at, kind, v, doc } = row;
    pending.push(() => {
      rows.delete(before);
      rows.set(id, { at, kind, v, doc });
    });
  };
  let pending: (() => void)[] = [];
  const steps: (() => Promise<unknown>)[] = [
    async () => {
      const row = await run(`insert into app.events (at, kind, v, doc) values ($1, 1, $2, repeat($2, 500)) returning ${read}`, [
        moment(),
        name,
      ]);
      keys.push({ id: row!.id, number: row!.number });
      keep(row, row!.id);
    },
    async () => {
      const id = any();
      keep(await run(`update app.events set kind = kind + 1 where id = $1 returning ${read}`, [id]), id);
    },
    async () => {
      const id = any();
      keep(await run(`update app.events set at = $2, v = v || '.' where id = $1 returning ${read}`, [id, moment()]), id);
    },
    async () => {
      const id = any();
      keep(
        await run(`update app.events set doc = case when kind % 2 = 0 then null else repeat(v, 300) end where id = $1 returning ${read}`, [
          id,
        ]),
        id,
      );
    },
    async () => {
      if (rows.size < 50) return;
      const id = any();
      await client.query('delete from app.events where id = $1', [id]);
      pending.push(() => rows.delete(id));
    },
  ];
  const one = async (): Promise<void> => {
    pending = [];
    await steps[Math.floor(Math.random() * steps.length)]!();
    for (const apply of pending) apply();
  };
  const loop = async (): Promise<void> => {
    for (; running; writes++) {
      if (paused) {
        paused.idle();
        await paused.until;
        continue;
      }
      if (writes % 5 === 4) {
        await client.query('begin');
        for (let i = 0; i < 4; i++) await one();
        await client.query('commit');
      } else await one();
      await sleep(2);
    }
  };
  const done = loop();
  done.catch(() => undefined);
  return {
    pause: async () => {
      const idle = deferred();
      const until = deferred();
      paused = {
        idle: () => {
          idle.resolve();
        },
        until: until.promise,
        resume: () => {
          until.resolve();
        },
      };
      await Promise.race([idle.promise, done]);
    },
    resume: () => {
      const was = paused;
      paused = null;
      was?.resume();
    },
    stop: async () => {
      running = false;
      const was = paused;
      paused = null;
      was?.resume();
      await done;
      await client.end();
    },
    rows,
    keys,
    get writes() {
      return writes;
    },
  };
}
