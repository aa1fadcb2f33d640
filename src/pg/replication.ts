import { Socket } from 'node:net';
import type pg from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import { quoteIdent, quoteLiteral } from '../domain/identifier.ts';
import { formatLsn, laterLsn, parseLsn, type Lsn } from '../domain/lsn.ts';
import { decodePgoutput, type DecodeText, type WalMessage } from '../domain/pgoutput.ts';
import { encodeStandbyStatus } from '../domain/standby-status.ts';
import { MigratorError } from '../errors.ts';
import { WALSENDER_NAME } from '../plan/preflight/standbys.ts';
import { driverConfig, type ConnectionSettings } from './connection.ts';
import { textDecoderFor } from './encoding.ts';
import { listenFromTheBeginning, Pgoutput } from './replication-client.ts';
import { sqlState } from './client.ts';
import { explainStreamError, loadSimpleSql, startWhenFree } from './replication-slot.ts';
import { Slab } from './slab.ts';
import { askAfter, DEFAULT_SILENCE_MS, isWalsenderIdle, watchSession } from './session-watch.ts';

/** One thing that the walsender sent. */
export type ReplicationEvent =
  /** `bytes` is what the message holds of the credit: its size and that of the objects around it. */
  | { readonly kind: 'wal'; readonly message: WalMessage; readonly bytes: number }
  /** Everything that committed before `walEnd` has been sent. Outside of a transaction it may be confirmed, or the slot keeps WAL that only others wrote. */
  | { readonly kind: 'keepalive'; readonly walEnd: Lsn };

export interface WalReceiverOptions {
  readonly settings: ConnectionSettings;
  readonly slotName: string;
  readonly publicationName: string;
  /** Values in binary where their type has a send function. */
  readonly binary: boolean;
  /** Where the target stands: transactions that committed before are not sent again. 0 means where the slot stands. */
  readonly startLsn: Lsn;
  /** How much may be out and not released before the socket is paused. One read of the socket may go beyond it. */
  readonly credit: { readonly messages: number; readonly bytes: number };
  /** The server's encoding: then text passes unconverted. */
  readonly clientEncoding: string;
  /**
   * none: skip what was written under any replication origin (PostgreSQL 16 and newer, ignored before). Only for a
   * source that is not itself fed by a subscription: its changes carry an origin too.
   */
  readonly origin?: 'any' | 'none';
  /** How long to wait for a slot that is still active after its last reader stopped. */
  readonly slotWaitMs?: number;
  readonly log: ReplicationLog;
}

export interface ReplicationLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface WalSink {
  /** All events of one read of the socket. Must not throw. */
  events(events: ReplicationEvent[]): void;
  /** At most once, nothing follows. */
  failed(error: MigratorError): void;
}

/**
 * Heap of an event, its message and the tuple's view (measured: 200). Counted, so that a transaction of tiny messages reaches a consumer's
 * limit in bytes before the credit in messages is used up.
 */
const EVENT_BYTES = 256;
const MAX_FEEDBACK_MS = 10_000;
const MIN_FEEDBACK_MS = 100;
const SLOT_WAIT_MS = 10_000;
const CLOSE_MS = 1_000;

/** The driver's own, which its types hide. */
interface WireConnection {
  readonly stream: Socket;
  end(): void;
  removeAllListeners(event: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

type Walsender = pg.Client & { readonly connection: WireConnection; readonly processID: number };

/**
 * Receives a slot's change stream over one connection; the only place that knows pg-logical-replication. What it makes up for:
 * - the service confirms what it received, on a timer, or what it is told plus one, with a clock that is a week ahead: its timer is off,
 *   and the position is told from here;
 * - it answers no keepalive while the socket is paused: an own timer repeats the confirmed position;
 * - the bytes it hands out are overwritten by later reads: each message is copied;
 * - it neither waits for a slot that is still active nor bounds what it emits.
 */
export class WalReceiver {
  readonly #options: WalReceiverOptions;
  readonly #sink: WalSink;
  readonly #service: LogicalReplicationService;
  readonly #text: DecodeText;
  /** Below TLS. Ours, because the driver's connect() never settles when it is ended meanwhile. */
  #socket: Socket | null = null;
  #connection: WireConnection | null = null;
  #subscription: Promise<unknown> = Promise.resolve();
  #feedback: NodeJS.Timeout | null = null;
  #feedbackMs = MAX_FEEDBACK_MS;
  /** What was confirmed, or applied before: never more than the caller said, never behind what the slot was told before. */
  #confirmed: Lsn;
  #streaming = false;
  #stopped = false;
  #closed: Promise<void> | null = null;
  readonly #slab = new Slab();
  #events: ReplicationEvent[] = [];
  #heldMessages = 0;
  #heldBytes = 0;
  #paused = false;
  /** When something was received last. */
  #heardAt = performance.now();
  #isAsking = false;
  /** Of the walsender. */
  #pid = 0;

  constructor(options: WalReceiverOptions, sink: WalSink) {
    this.#options = options;
    this.#sink = sink;
    this.#text = textDecoderFor(options.clientEncoding);
    this.#confirmed = options.startLsn;
    const config = {
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
      ...driverConfig(options.settings),
      application_name: WALSENDER_NAME,
      stream: () => this.#openSocket(),
    };
    this.#service = new LogicalReplicationService(config, { acknowledge: { auto: false, timeoutSeconds: 0 } });
  }

  /** Connects and streams; what fails is told to the sink. */
  start(): void {
    const service = this.#service;
    listenFromTheBeginning(service, this.#options.settings.authentication);
    service.on('start', () => {
      this.#streaming = true;
      this.#heardAt = performance.now();
      this.#sendFeedback();
      this.#feedback = setInterval(() => void this.#keepUp(), this.#feedbackMs);
    });
    service.on('heartbeat', (lsn, _timestamp, wantsReply) => {
      if (wantsReply) this.#sendFeedback();
      this.#keepalive(parseLsn(lsn));
    });
    service.on('error', (error) => {
      this.#fail(error);
    });
    const plugin = new Pgoutput({
      start: (client) => this.#stream(client as Walsender),
      parse: (chunk) => {
        this.#receive(chunk);
      },
    });
    this.#subscription = service.subscribe(plugin, this.#options.slotName, formatLsn(this.#options.startLsn)).then(
      () => {
        this.#fail(new MigratorError('POSTGRES', `the server ended the change stream of slot "${this.#options.slotName}"`));
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  release(messages: number, bytes: number): void {
    this.#heldMessages -= messages;
    this.#heldBytes -= bytes;
    const { credit } = this.#options;
    if (!this.#paused || this.#heldMessages >= credit.messages || this.#heldBytes >= credit.bytes) return;
    this.#paused = false;
    if (!this.#stopped) this.#connection?.stream.resume();
  }

  confirm(lsn: Lsn): void {
    if (lsn <= this.#confirmed) return;
    this.#confirmed = lsn;
    this.#sendFeedback();
  }

  /** Closes the connection. Nothing is emitted from now on. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    void this.stop();
    this.#sink.failed(explainStreamError(error, this.#options.slotName));
  }

  async #close(): Promise<void> {
    if (this.#feedback) clearInterval(this.#feedback);
    this.#events = [];
    const connection = this.#connection;
    if (connection && this.#streaming) {
      // Terminate, not the driver's end(): that resets a connection on which a query runs, and the last confirmation with it. The socket is read
      // on, else the server's close would not be seen; in the midst of a large transaction the server does not listen, hence the limit.
      await new Promise<void>((resolve) => {
        const { stream } = connection;
        if (stream.destroyed) return resolve();
        const timer = setTimeout(resolve, CLOSE_MS);
        stream.once('close', () => {
          clearTimeout(timer);
          resolve();
        });
        connection.removeAllListeners('copyData');
        connection.end();
        stream.resume();
      });
    }
    this.#socket?.destroy();
    await this.#subscription;
    await this.#service.destroy().catch(() => undefined);
  }

  #openSocket(): Socket {
    if (this.#stopped) throw new Error('the stream was stopped before it connected');
    this.#socket = new Socket();
    return this.#socket;
  }

  async #stream(client: Walsender): Promise<void> {
    const { slotName, publicationName, binary, startLsn, clientEncoding, origin = 'any' } = this.#options;
    this.#connection = client.connection;
    this.#pid = client.processID;
    watchSession(this.#options.settings, client, WALSENDER_NAME); // until it streams; from then on it is asked for an answer
    await client.query(loadSimpleSql('replication/pin'));
    await client.query(`set client_encoding to ${quoteLiteral(clientEncoding)}`);
    const { rows } = await client.query<{ timeout_ms: number; version: number }>(loadSimpleSql('replication/sender-settings'));
    const { timeout_ms: timeoutMs, version } = rows[0]!;
    const feedbackMs = Math.min(
      timeoutMs > 0 ? timeoutMs * 0.6 : Infinity,
      (this.#options.settings.silenceMs ?? Infinity) / 2,
      MAX_FEEDBACK_MS,
    );
    this.#feedbackMs = Math.max(MIN_FEEDBACK_MS, Math.floor(feedbackMs));
    const parameters = [
      `proto_version '1'`,
      `publication_names ${quoteLiteral(quoteIdent(publicationName))}`,
      `binary '${binary}'`,
      `messages 'true'`,
      ...(origin === 'none' && version >= 160_000 ? [`origin 'none'`] : []),
    ];
    const command = `START_REPLICATION SLOT ${quoteIdent(slotName)} LOGICAL ${formatLsn(startLsn)} (${parameters.join(', ')})`;
    // The driver's parser was there first, so this listener sees that a read is over.
    client.connection.stream.on('data', () => {
      this.#heardAt = performance.now();
      this.#flush();
    });
    await startWhenFree(client, {
      slotName,
      startLsn,
      waitMs: this.#options.slotWaitMs ?? SLOT_WAIT_MS,
      isStopped: () => this.#stopped,
      onWait: (pid) => {
        this.#options.log.info({ slot: slotName, pid }, 'waiting for the slot: it is still active');
      },
      start: (confirmedLsn) => {
        this.#confirmed = laterLsn(this.#confirmed, confirmedLsn);
        return client.query(command);
      },
    });
  }

  #sendFeedback(wantsReply = false): void {
    if (this.#streaming && !this.#stopped)
      this.#connection?.sendCopyFromChunk(encodeStandbyStatus(this.#confirmed, Date.now(), wantsReply));
  }

  /**
   * Says where we are, and notices a walsender that is gone without a word, as a standby's walreceiver does: what has been silent for half of the time is
   * asked for an answer. One that decodes a large transaction for others gives none, so another session is asked what it does.
   */
  async #keepUp(): Promise<void> {
    const { settings } = this.#options;
    const silenceMs = settings.silenceMs ?? DEFAULT_SILENCE_MS;
    if (this.#paused) this.#heardAt = performance.now(); // it is we who do not listen
    const silentMs = performance.now() - this.#heardAt;
    this.#sendFeedback(silentMs >= silenceMs / 2);
    if (silentMs < silenceMs || this.#isAsking) return;
    const heardAt = this.#heardAt;
    this.#isAsking = true;
    try {
      const [state] = await askAfter(settings, [this.#pid]);
      if (this.#heardAt === heardAt && isWalsenderIdle(state)) this.#fail(lost(silentMs));
    } catch (error) {
      if (this.#heardAt === heardAt && !sqlState(error) && silentMs > 2 * silenceMs) this.#fail(lost(silentMs));
    } finally {
      this.#isAsking = false;
    }
  }

  #keepalive(walEnd: Lsn): void {
    const last = this.#events.length - 1;
    if (this.#events[last]?.kind === 'keepalive') this.#events[last] = { kind: 'keepalive', walEnd };
    else this.#events.push({ kind: 'keepalive', walEnd });
  }

  /** Runs inside the socket's data event: nothing may be thrown from here. */
  #receive(chunk: Buffer): void {
    if (this.#stopped) return;
    const { length } = chunk;
    try {
      const { data, start } = this.#slab.keep(chunk);
      const bytes = length + EVENT_BYTES;
      this.#events.push({ kind: 'wal', message: decodePgoutput(data, start, start + length, this.#text), bytes });
      this.#heldMessages++;
      this.#heldBytes += bytes;
    } catch (error) {
      this.#fail(error);
    }
  }

  #flush(): void {
    const { credit } = this.#options;
    if (this.#stopped || this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    if (this.#heldMessages >= credit.messages || this.#heldBytes >= credit.bytes) {
      this.#paused = true;
      this.#connection?.stream.pause();
    }
    this.#sink.events(events);
  }
}

function lost(silentMs: number): Error {
  return new Error(`nothing has been heard of the walsender for ${Math.round(silentMs / 1000)} s, and it waits for us`);
}
