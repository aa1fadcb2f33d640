import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, sqlState, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { documentOf, FILLED_COLUMNS } from './columns.ts';
import { DEMO_TABLE, type DemoSpan } from './schema.ts';
import type { Truth, WrittenRow } from './truth.ts';

export interface WriterOptions {
  readonly settings: ConnectionSettings;
  readonly connections: number;
  /** Rows changed a second, over all connections. */
  readonly rate: number;
  /** Rows that the table holds at the start: ids 1 to `rows`. */
  readonly rows: number;
  readonly span: DemoSpan;
  readonly truth: Truth;
  /** Called for each write statement, and for each commit of a transaction of several. */
  readonly onLatency?: (ms: number) => void;
}

export interface WriterStats {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly failed: number;
  readonly longestMs: number;
  /** What the first failed writes failed with. */
  readonly failures: readonly string[];
}

export interface Writer {
  stats(): WriterStats;
  /** Forgets the longest write so far. */
  resetLongest(): void;
  /** Lets every connection end what it has begun. */
  stop(): Promise<WriterStats>;
}

const MAX_FAILURES = 5;
/** A connection that fell behind by more (a lock, a slow server) goes on at its rate instead of catching up in a burst. */
const MAX_BEHIND_MS = 500;

const RETURNING = 'returning e.id::text, md5(e::text) as digest';
const STATEMENTS = {
  insert: `insert into ${DEMO_TABLE} as e (${FILLED_COLUMNS.map(({ name }) => name).join(', ')})
    select ${FILLED_COLUMNS.map(({ name, fill }) => (name === 'revision' ? 'given.revision' : fill)).join(', ')}
    from (select $1::bigint as i, now() as at, $2::uuid as revision) given ${RETURNING}`,
  // The document is left alone: the stream sends "unchanged" in its place when it is stored out of line.
  update: `update ${DEMO_TABLE} as e set revision = $2::uuid, updated_at = clock_timestamp(), counter = counter + 1, status = (status + 1) % 5,
    amount = amount + 0.01, payload = payload || jsonb_build_object('counter', counter), tags = array_append(tags, left($2::uuid::text, 4))
    where id = $1 ${RETURNING}`,
  document: `update ${DEMO_TABLE} as e set revision = $2::uuid, document = ${documentOf('$2::uuid::text')} where id = $1 ${RETURNING}`,
  move: `update ${DEMO_TABLE} as e set revision = $2::uuid, created_at = $3::timestamptz where id = $1 ${RETURNING}`,
  delete: `delete from ${DEMO_TABLE} as e where id = $1 ${RETURNING}`,
} as const;
type Statement = keyof typeof STATEMENTS;

/** Shares of the statements, in percent. */
const SHARES: readonly (readonly [Statement, number])[] = [
  ['insert', 40],
  ['update', 36],
  ['document', 6],
  ['move', 8],
  ['delete', 10],
];

/** Starts writing on all connections. Each owns the rows whose id leaves its own remainder, and those that it inserts. */
export async function startWriter(options: WriterOptions): Promise<Writer> {
  const stopping = new AbortController();
  const stats = { inserted: 0, updated: 0, deleted: 0, failed: 0, longestMs: 0, failures: [] as string[] };
  const clients = await Promise.all(Array.from({ length: options.connections }, () => openSession(options.settings)));
  const running = clients.map((client, index) =>
    run({ ...options, client, index, stats, signal: stopping.signal, keys: new KeySpace(options, index) }),
  );
  return {
    stats: () => ({ ...stats, failures: [...stats.failures] }),
    resetLongest: () => {
      stats.longestMs = 0;
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
      await Promise.allSettled(clients.map((client) => client.end()));
      return stats;
    },
  };
}

/** An application waits for locks as long as they take. */
async function openSession(settings: ConnectionSettings): Promise<Client> {
  const client = await connect(settings, { applicationName: 'demo writer' });
  await client.query('set lock_timeout = 0');
  await client.query('set synchronous_commit = on');
  return client;
}

/** The rows that one connection may write to. */
class KeySpace {
  readonly #options: WriterOptions;
  readonly #index: number;
  readonly #inserted: number[] = [];

  constructor(options: WriterOptions, index: number) {
    this.#options = options;
    this.#index = index;
  }

  /**
   * A row that is there and not in `taken`, one in three of its own; null when none is found soon. Row 1 stays as it is: its
   * month has a leaf whatever happens before the migration is planned, and so has every later one.
   */
  pick(taken: ReadonlySet<number>): number | null {
    const { rows, connections, truth } = this.#options;
    for (let attempt = 0; attempt < 20; attempt++) {
      const own = this.#inserted.length > 0 && Math.random() < 1 / 3;
      const slots = Math.ceil(rows / connections);
      const id = own
        ? this.#inserted[Math.floor(Math.random() * this.#inserted.length)]!
        : 1 + this.#index + connections * Math.floor(Math.random() * slots);
      if ((own || (id > 1 && id <= rows)) && truth.get(id) !== null && !taken.has(id)) return id;
    }
    return null;
  }

  add(id: number): void {
    this.#inserted.push(id);
  }
}

interface Session extends WriterOptions {
  readonly client: Client;
  readonly index: number;
  readonly keys: KeySpace;
  readonly stats: { inserted: number; updated: number; deleted: number; failed: number; longestMs: number; failures: string[] };
  readonly signal: AbortSignal;
}

/** A write whose transaction has not committed. */
interface Pending {
  readonly statement: Statement;
  readonly id: number;
  readonly row: WrittenRow;
}

async function run(session: Session): Promise<void> {
  const { rate, connections, signal, index } = session;
  if (rate === 0) return;
  const msPerChange = (1000 * connections) / rate;
  let due = performance.now() + (index * msPerChange) / connections;
  for (;;) {
    const wait = due - performance.now();
    if (wait > 1) await sleep(wait, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    due = Math.max(due, performance.now() - MAX_BEHIND_MS);
    // Three in ten changes come in transactions of several; one of those in five is rolled back.
    const changes = Math.random() < 0.04 ? 2 + Math.floor(Math.random() * 19) : 1;
    due += changes * msPerChange;
    try {
      if (changes === 1) commit(session, [await write(session, new Set())]);
      else await transaction(session, changes, Math.random() < 0.2);
    } catch (error) {
      session.stats.failed++;
      if (session.stats.failures.length < MAX_FAILURES)
        session.stats.failures.push(`${sqlState(error) ?? ''} ${(error as Error).message}`.trim());
      // Without its connection it can only fail on.
      if (sqlState(error) === undefined && !(error instanceof UnexpectedRows)) return;
    }
  }
}

async function transaction(session: Session, changes: number, rollBack: boolean): Promise<void> {
  const { client } = session;
  const pending: Pending[] = [];
  const taken = new Set<number>();
  await client.query('begin');
  try {
    for (let i = 0; i < changes; i++) {
      const written = await write(session, taken);
      taken.add(written.id);
      pending.push(written);
    }
    await timed(session, () => client.query(rollBack ? 'rollback' : 'commit'));
  } catch (error) {
    await client.query('rollback').catch(() => undefined); // the first error tells
    throw error;
  }
  if (!rollBack) commit(session, pending);
}

/** An update or delete that did not hit exactly one row: the table has lost or doubled it. */
class UnexpectedRows extends Error {
  override readonly name = 'UnexpectedRows';
}

/** One row change by a prepared statement: these must survive the switch in every open connection. */
async function write(session: Session, taken: ReadonlySet<number>): Promise<Pending> {
  const { client, span, keys } = session;
  const drawn = draw();
  const id = drawn === 'insert' ? null : keys.pick(taken);
  const statement = id === null ? 'insert' : drawn;
  const revision = randomUUID();
  const values: unknown[] = [id ?? Math.floor(Math.random() * 1e9)];
  if (statement !== 'delete') values.push(revision);
  if (statement === 'move') values.push(randomTime(span));
  const { rows } = await timed(session, () =>
    client.query<{ id: string; digest: string }>({ name: `demo_${statement}`, text: STATEMENTS[statement], values }),
  );
  const [row] = rows;
  if (rows.length !== 1 || !row) throw new UnexpectedRows(`${statement} of id ${id ?? 'new'} hit ${rows.length} rows`);
  return { statement, id: Number(row.id), row: { revision, digest: row.digest } };
}

function draw(): Statement {
  let point = Math.random() * 100;
  for (const [statement, share] of SHARES) {
    point -= share;
    if (point < 0) return statement;
  }
  return 'update';
}

/** Not before row 1, to the microsecond: mostly another month. */
function randomTime({ begin, end }: DemoSpan): string {
  const from = new Date(begin).getTime();
  const at = new Date(from + Math.random() * (new Date(end).getTime() - from)).toISOString();
  return at.replace('Z', `${String(Math.floor(Math.random() * 1000)).padStart(3, '0')}Z`);
}

/** Puts what the server has acknowledged into the truth, and the counts. */
function commit({ truth, stats, keys }: Session, writes: readonly Pending[]): void {
  for (const { statement, id, row } of writes) {
    if (statement === 'delete') {
      truth.deleted(id);
      stats.deleted++;
      continue;
    }
    truth.written(id, row);
    if (statement === 'insert') {
      keys.add(id);
      stats.inserted++;
    } else stats.updated++;
  }
}

async function timed<T>({ stats, onLatency }: Session, use: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    return await use();
  } finally {
    const ms = performance.now() - begun;
    stats.longestMs = Math.max(stats.longestMs, ms);
    onLatency?.(ms);
  }
}
