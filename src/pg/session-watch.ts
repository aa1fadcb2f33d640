import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import pg from 'pg';
import { loadSql } from '../sql/load.ts';
import type { ConnectionSettings } from './connection.ts';

/** A session that has sent and received nothing for so long, although a statement is under way, is asked after. */
export const DEFAULT_SILENCE_MS = 30_000;
/** Looks in a silence. */
const LOOKS = 4;
/** When the server cannot be reached for so many silences, nothing that is under way will be answered. */
const MOST_UNREACHABLE = 2;
const ASK_MS = 10_000;

/** What the driver's types hide. */
type Inside = pg.Client & {
  readonly readyForQuery: boolean;
  readonly processID: number | null;
  readonly connection: { readonly stream: Socket };
  _getActiveQuery(): unknown;
};

interface Watched {
  readonly client: Inside;
  readonly name: string;
  bytes: number;
  since: number;
  /** The server has said once that it waits for us. */
  isSuspected: boolean;
}

/** What the server knows of a backend. */
export interface BackendState {
  readonly pid: number;
  readonly state: string | null;
  readonly waitEvent: string | null;
}

/**
 * Notices a connection whose other end is gone without a word: no FIN came, and a statement that was sent is never answered. TCP does not tell for
 * a quarter of an hour, or never behind a relay; a time limit on statements cannot, for an index may take a day. So of a session that is silent while a
 * statement is under way the server is asked on another connection: when it has no such backend, or that one waits for us while we wait for it, the socket
 * is cut, and the statement fails like any other on a lost connection.
 */
class SessionWatch {
  readonly #settings: ConnectionSettings;
  readonly #silenceMs: number;
  readonly #sessions = new Set<Watched>();
  #timer: NodeJS.Timeout | null = null;
  #isAsking = false;
  #unreachableSince: number | null = null;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.#silenceMs = settings.silenceMs ?? DEFAULT_SILENCE_MS;
  }

  add(client: pg.Client, name: string): void {
    const session: Watched = { client: client as Inside, name, bytes: 0, since: performance.now(), isSuspected: false };
    this.#sessions.add(session);
    client.once('end', () => {
      this.#sessions.delete(session);
      if (this.#sessions.size > 0 || !this.#timer) return;
      clearInterval(this.#timer);
      this.#timer = null;
    });
    this.#timer ??= setInterval(() => void this.#look(), this.#silenceMs / LOOKS).unref();
  }

  async #look(): Promise<void> {
    const now = performance.now();
    const silent = [...this.#sessions].filter((session) => this.#isSilent(session, now));
    if (silent.length === 0) this.#unreachableSince = null;
    if (silent.length === 0 || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const states = await askAfter(
        this.#settings,
        silent.map(({ client }) => client.processID ?? 0),
      );
      this.#unreachableSince = null;
      const lost = silent.filter((session) => !this.#goesOn(session, states));
      if (lost.length > 0) await this.#cut(lost);
    } catch (error) {
      // An answer that refuses us is an answer: the network is there, and who is silent may be at work.
      if (error instanceof pg.DatabaseError) return;
      this.#unreachableSince ??= now;
      if (now - this.#unreachableSince < MOST_UNREACHABLE * this.#silenceMs) return;
      for (const { client } of silent) client.connection.stream.destroy();
    } finally {
      this.#isAsking = false;
    }
  }

  #isSilent(session: Watched, now: number): boolean {
    const { client } = session;
    const { bytesRead, bytesWritten, readableLength } = client.connection.stream;
    const bytes = bytesRead + bytesWritten;
    // What has come and is not read yet: it is we who are slow.
    if (client.readyForQuery || bytes !== session.bytes || readableLength > 0) {
      session.bytes = bytes;
      session.since = now;
      session.isSuspected = false;
    }
    return now - session.since >= this.#silenceMs;
  }

  /** Whether it is at work, as far as the server knows. What looks lost may be an answer on its way: it is believed when it is seen twice. */
  #goesOn(session: Watched, states: readonly BackendState[]): boolean {
    const { client } = session;
    const { stream } = client.connection;
    if (client.readyForQuery || stream.bytesRead + stream.bytesWritten !== session.bytes) return true;
    const state = states.find(({ pid }) => pid === client.processID);
    if (!state || !isWaitingForUs(state, client)) {
      if (state) session.since = performance.now(); // it is asked after again in a while
      session.isSuspected = session.isSuspected || !state;
      return state !== undefined;
    }
    if (session.isSuspected) return false;
    session.isSuspected = true;
    return true;
  }

  /** The server's side is ended too: what it holds would be free only when the server notices. */
  async #cut(lost: readonly Watched[]): Promise<void> {
    for (const { client } of lost) client.connection.stream.destroy();
    const pids = lost.map(({ client }) => client.processID);
    const names = lost.map(({ name }) => name);
    await ask(this.#settings, loadSql('session/end-lost'), [pids, names]).catch(() => undefined);
  }
}

function isWaitingForUs({ state, waitEvent }: BackendState, client: Inside): boolean {
  const { stream } = client.connection;
  if (state?.startsWith('idle') === true) return true;
  // In a COPY to the server: it waits for rows, and there are none as long as they have not come from elsewhere.
  if (waitEvent === 'ClientRead') return !(isCopyIn(client._getActiveQuery()) && stream.writableLength === 0);
  // It sends and we hear nothing, though we listen.
  return waitEvent === 'ClientWrite';
}

/** A COPY … FROM STDIN to which rows may come yet. One that was given up has said so: an answer is due. */
function isCopyIn(query: unknown): boolean {
  const stream = query as Partial<Writable> | null;
  return stream?.writableEnded === false && stream.destroyed !== true;
}

/** What a walsender waits in that has nothing to do; any other one is at work, and answers when it is done. */
const IDLE_WALSENDER: ReadonlySet<string | null> = new Set([
  'WalSenderMain',
  'WalSenderWaitForWal',
  'WalSenderWaitForWAL',
  'WalSenderWriteData',
]);

/** Whether a walsender that was asked for an answer and gave none is gone, or waits for us while we wait for it. */
export function isWalsenderIdle(state: BackendState | undefined): boolean {
  return state === undefined || IDLE_WALSENDER.has(state.waitEvent);
}

const watches = new WeakMap<object, SessionWatch>();

/** Watches a session from now to its end. */
export function watchSession(settings: ConnectionSettings, client: pg.Client, name: string): void {
  let watch = watches.get(settings.clientConfig);
  if (!watch) watches.set(settings.clientConfig, (watch = new SessionWatch(settings)));
  watch.add(client, name);
}

/** What the server says of these backends; those that are gone are not among them. Fails soon when it is not to be reached. */
export async function askAfter(settings: ConnectionSettings, pids: readonly number[]): Promise<BackendState[]> {
  const rows = await ask(settings, loadSql('session/backend-states'), [pids]);
  return rows.map((row) => ({ pid: row.pid as number, state: row.state as string | null, waitEvent: row.wait_event as string | null }));
}

async function ask({ clientConfig }: ConnectionSettings, text: string, values: unknown[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    ...clientConfig,
    connectionTimeoutMillis: Math.min(ASK_MS, clientConfig.connectionTimeoutMillis ?? ASK_MS),
    query_timeout: ASK_MS,
    application_name: 'partitioner watch',
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>({ text, values })).rows;
  } finally {
    (client as Inside).connection.stream.destroy();
  }
}
