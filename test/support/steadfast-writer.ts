import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, sqlState, type Client } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';

interface Row {
  readonly at: string;
  readonly kind: number;
  readonly v: string | null;
  /** md5 of the TOASTed value. */
  readonly doc: string | null;
}

/** A writer of `app.events` that nobody else writes to: it knows every row. It outlives its server: of a commit that was not answered it asks what became. */
export interface SteadfastWriter {
  /** Resolves when no transaction of it is under way; it goes on with `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Resolves with the number of its transactions. */
  stop(): Promise<number>;
  /** What the table has to hold that is not there or is otherwise, and what it holds too much; with the writer at rest. */
  differing(): Promise<string[]>;
}

const READ = `id::text, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at, kind, v, md5(doc) as doc`;
/** Classes of what a server says that is going down or not yet up: 57P01 to 57P03. */
const GOING = /^(57P0[123]|08)/;

type Change = (rows: Map<string, Row>) => void;

export async function startSteadfastWriter(settings: ConnectionSettings, pauseMs = 2): Promise<SteadfastWriter> {
  let client = await session(settings);
  await client.query('create table app.written (token uuid primary key)');
  const rows = new Map<string, Row>();
  for (const row of (await client.query<Row & { id: string }>(`select ${READ} from app.events`)).rows) rows.set(row.id, rowOf(row));
  let state: 'runs' | 'pausing' | 'paused' | 'ended' = 'runs';
  let transactions = 0;
  let wake = (): void => undefined;
  let isIdle = (): void => undefined;

  const transaction = async (): Promise<void> => {
    const changes: Change[] = [];
    let xid: string | null = null;
    const token = randomUUID();
    try {
      await client.query('begin');
      for (let left = Math.random() < 0.7 ? 1 : 5; left > 0; left--) await change(client, rows, changes);
      await client.query('insert into app.written values ($1)', [token]);
      xid = (await client.query<{ xid: string | null }>('select pg_current_xact_id_if_assigned()::text as xid')).rows[0]!.xid;
      if (Math.random() < 0.05) {
        await client.query('rollback');
        return;
      }
      await client.query('commit');
    } catch (error) {
      const code = sqlState(error);
      if (code !== undefined && !GOING.test(code)) throw error;
      client = await session(settings);
      if (xid === null || !(await isCommitted(client, token, xid))) return;
    }
    for (const apply of changes) apply(rows);
    transactions++;
  };
  const loop = async (): Promise<void> => {
    while (state !== 'ended') {
      if (state === 'pausing') {
        state = 'paused';
        isIdle();
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      await transaction();
      await sleep(pauseMs);
    }
  };
  const running = loop();
  running.catch(() => undefined);
  return {
    pause: async () => {
      if (state !== 'runs') return;
      state = 'pausing';
      await Promise.race([new Promise<void>((resolve) => (isIdle = resolve)), running]);
    },
    resume: () => {
      if (state !== 'ended') state = 'runs';
      wake();
    },
    stop: async () => {
      state = 'ended';
      wake();
      await running;
      await client.end().catch(() => undefined);
      return transactions;
    },
    differing: async () => {
      const reader = await session(settings);
      try {
        const found = (await reader.query<Row & { id: string }>(`select ${READ} from app.events`)).rows;
        const left = new Map(rows);
        const differing: string[] = [];
        for (const row of found) {
          const known = left.get(row.id);
          left.delete(row.id);
          if (JSON.stringify(known) !== JSON.stringify(rowOf(row)))
            differing.push(`row ${row.id} is ${JSON.stringify(rowOf(row))}, and was written as ${JSON.stringify(known)}`);
        }
        for (const [id, row] of left) differing.push(`row ${id} is missing: ${JSON.stringify(row)}`);
        return differing;
      } finally {
        await reader.end();
      }
    },
  };
}

async function change(client: Client, rows: ReadonlyMap<string, Row>, changes: Change[]): Promise<void> {
  const any = (): string => [...rows.keys()][Math.floor(Math.random() * rows.size)] ?? '0';
  const days = `${String(Math.floor(Math.random() * 200))} days`;
  const run = async (text: string, values: unknown[], before?: string): Promise<void> => {
    const [row] = (await client.query<Row & { id: string }>(`${text} returning ${READ}`, values)).rows;
    if (!row) return;
    changes.push((known) => {
      if (before !== undefined) known.delete(before);
      known.set(row.id, rowOf(row));
    });
  };
  const id = any();
  switch (Math.floor(Math.random() * 7)) {
    case 0:
    case 1:
      return run(`insert into app.events (at, kind, v, doc) values (timestamptz '2026-01-01 00:00:00+00' + $1::interval, 1, 'new', $2)`, [
        days,
        Math.random() < 0.2 ? 'd'.repeat(4_000) : null,
      ]);
    case 2:
      return run(`update app.events set kind = kind + 1 where id = $1`, [id], id);
    case 3:
      return run(`update app.events set doc = case when kind % 2 = 0 then repeat('t', 3000) end where id = $1`, [id], id);
    case 4:
      return run(
        `update app.events set at = timestamptz '2026-01-01 00:00:00+00' + $1::interval, v = 'moved' where id = $2`,
        [days, id],
        id,
      );
    case 5:
      return run(`update app.events set v = v || '.' where id = $1`, [id], id);
    default: {
      const gone = await client.query('delete from app.events where id = $1', [id]);
      if (gone.rowCount === 1) changes.push((known) => known.delete(id));
    }
  }
}

function rowOf({ at, kind, v, doc }: Row): Row {
  return { at, kind, v, doc };
}

/** A server that starts again takes a moment. */
async function session(settings: ConnectionSettings): Promise<Client> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await connect(settings, { applicationName: 'application' });
    } catch (error) {
      if (attempt === 300) throw error;
      await sleep(100);
    }
  }
}

/**
 * A crashed server may not know the transaction, or hand out its id again: what it has written down tells. Who asks is in the same place as the
 * application's own transactions, so that none of the two can be there without the other.
 */
async function isCommitted(client: Client, token: string, xid: string): Promise<boolean> {
  for (;;) {
    const { rows } = await client.query<{ status: string }>('select pg_xact_status($1::xid8) as status', [xid]).catch((error: unknown) => {
      if (sqlState(error) === '22023') return { rows: [{ status: 'aborted' }] };
      throw error;
    });
    if (rows[0]!.status !== 'in progress') break;
    await sleep(20);
  }
  return (await client.query('select from app.written where token = $1', [token])).rowCount === 1;
}
