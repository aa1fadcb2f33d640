import type { AddressInfo } from 'node:net';
import { fastify, type FastifyReply } from 'fastify';
import { catchError, exhaustMap, from, of, share, Subject, takeUntil, timer, type Observable } from 'rxjs';
import type { Status } from '../actions/status.ts';
import { MigratorError } from '../errors.ts';
import type { Phase } from '../migration/phase.ts';
import { addControl, type HttpControl } from './control.ts';
import { DASHBOARD } from './dashboard.ts';
import type { Metrics } from './metrics.ts';

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  /** A fresh status; called at most once a second and one at a time. */
  readonly status: () => Promise<Status>;
  readonly metrics: Metrics;
  /** Without it nothing can be changed. */
  readonly control?: HttpControl;
  readonly limits?: Partial<HttpLimits>;
}

/** What a client may take of the server, so that one that is slow or large, or many of them, cost the migration nothing. */
export interface HttpLimits {
  /** A request has to be there, headers and all, within this time. */
  readonly requestMs: number;
  readonly headerBytes: number;
  readonly bodyBytes: number;
  readonly connections: number;
  /** Listeners of `/api/events`, which stay connected. */
  readonly listeners: number;
}

const LIMITS: HttpLimits = { requestMs: 10_000, headerBytes: 16_384, bodyBytes: 4_096, connections: 200, listeners: 50 };

export interface HttpServer {
  /** `http://127.0.0.1:9187`: with the real port, also when 0 was asked for. */
  readonly url: string;
  close(): Promise<void>;
}

/** Phases in which a cutover may be issued, or has been. */
const READY: ReadonlySet<Phase> = new Set<Phase>(['ready', 'cutover', 'switched', 'done']);
const STATUS_AGE_MS = 1000;

/** Starts the HTTP server of the daemon: dashboard, metrics, health, status, and with a token pause and resume. */
export async function startHttp({ host, port, status, metrics, control, limits: given = {} }: HttpOptions): Promise<HttpServer> {
  const recent = cachedFor(STATUS_AGE_MS, status);
  const closed$ = new Subject<void>();
  // One sampling for all listeners, none without any. A status that fails (a broken connection) ends no stream.
  const samples$: Observable<Status | MigratorError> = timer(0, STATUS_AGE_MS).pipe(
    exhaustMap(() => from(recent()).pipe(catchError((error: unknown) => of(asProblem(error))))),
    share({ resetOnRefCountZero: true }),
    takeUntil(closed$),
  );

  const limits = { ...LIMITS, ...given };
  const server = fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    http: {
      headersTimeout: limits.requestMs,
      maxHeaderSize: limits.headerBytes,
      // Node looks for late requests this often.
      connectionsCheckingInterval: Math.ceil(limits.requestMs / 4),
    },
  });
  server.server.maxConnections = limits.connections;
  let listeners = 0;
  server.addHook('onSend', async (_request, reply) => {
    void reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  server.get('/', (_request, reply) => {
    void reply
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'")
      .type('text/html; charset=utf-8')
      .send(DASHBOARD);
  });
  server.get('/healthz', () => ({ alive: true }));
  server.get('/readyz', async (_request, reply) => {
    const { phase } = await recent();
    return reply.code(READY.has(phase) ? 200 : 503).send({ ready: READY.has(phase), phase });
  });
  server.get('/api/status', () => recent());
  if (control) addControl(server, control);
  server.get('/api/events', (request, reply) => {
    if (listeners >= limits.listeners) {
      void problem(reply, new MigratorError('POSTGRES', `${String(limits.listeners)} listeners are connected already`));
      return;
    }
    listeners++;
    request.raw.once('close', () => listeners--);
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    const subscription = samples$.subscribe({
      next: (sample) => {
        const problem = sample instanceof MigratorError;
        // A listener that does not read would make us keep its events: it is dropped and reconnects.
        if (raw.writableLength > 1_000_000) raw.destroy();
        else raw.write(`event: ${problem ? 'problem' : 'status'}\ndata: ${JSON.stringify(sample)}\n\n`);
      },
      complete: () => raw.end(),
    });
    request.raw.on('close', () => subscription.unsubscribe());
  });
  server.get('/metrics', async (_request, reply) => {
    // Without a database the counters are still worth having; the gauges keep their last values.
    await recent().then(
      (current) => metrics.setStatus(current),
      () => undefined,
    );
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: { code: 'USAGE', message: 'there is no such page' } }));
  server.setErrorHandler((error, _request, reply) => {
    // What the client did wrong (a body too large, JSON that is none) keeps its own status.
    const status = (error as { statusCode?: unknown }).statusCode;
    if (typeof status === 'number' && status >= 400 && status < 500)
      return reply.code(status).send({ error: { code: 'USAGE', message: 'the request is not taken' } });
    return problem(reply, error);
  });

  try {
    await server.listen({ host, port });
  } catch (error) {
    await server.close();
    throw listenError(error, host, port);
  }
  const { address, port: bound } = server.server.address() as AddressInfo;
  return {
    url: `http://${formatAddress(address, bound)}`,
    close: async () => {
      closed$.next();
      await server.close();
    },
  };
}

/** The same answer for calls within `ageMs`, and never two calls at a time, however long one takes. A failure is not kept. */
function cachedFor<T>(ageMs: number, fetch: () => Promise<T>): () => Promise<T> {
  let current: { readonly at: number; isPending: boolean; readonly value: Promise<T> } | null = null;
  return () => {
    const now = performance.now();
    if (current && (current.isPending || now - current.at < ageMs)) return current.value;
    const entry = { at: now, isPending: true, value: fetch() };
    current = entry;
    entry.value.then(
      () => (entry.isPending = false),
      () => (current = null),
    );
    return entry.value;
  };
}

function problem(reply: FastifyReply, error: unknown): FastifyReply {
  return reply.code(503).send({ error: asProblem(error) });
}

/** What is passed on of a failure: a defect's message could hold anything, so it stays in the log. */
function asProblem(error: unknown): MigratorError {
  return error instanceof MigratorError ? error : new MigratorError('POSTGRES', 'the status cannot be read at the moment');
}

/** Somebody else listens there. */
export class PortInUse extends MigratorError {}

function listenError(error: unknown, host: string, port: number): MigratorError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  const message = `cannot listen on ${formatAddress(host, port)} (${code})`;
  if (code !== 'EADDRINUSE') return new MigratorError('USAGE', message, { hint: '--http HOST:PORT, or --http off', cause: error });
  return new PortInUse('USAGE', message, {
    detail: 'Another process listens there, perhaps another daemon.',
    hint: `--http ${formatAddress(host, port < 65_535 ? port + 1 : port - 1)}, or --http off`,
    cause: error,
  });
}

/** As it is written in an address bar and after --http: IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
