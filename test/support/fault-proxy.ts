import net from 'node:net';
import { readClient, readServer } from './wire.ts';

/**
 * When a fault strikes at a statement: before it reaches the server; while the server is at it (at the first rows of a COPY); or when
 * the server has answered, and before the answer is known.
 */
export type Moment = 'before' | 'during' | 'after';

/** A statement of a session, told by the session's application_name and the statement's text. */
export interface Point {
  readonly session: RegExp;
  readonly statement: RegExp;
  /** Which of them; the first is 1. */
  readonly occurrence: number;
  readonly moment: Moment;
}

/** What becomes of the connection at the point. */
export type Action =
  /** Something else is done (a process or a session is killed): the statement or its answer is held meanwhile, and lost with the connection if that breaks. */
  | { readonly kind: 'strike'; readonly strike: (pid: number) => Promise<void> }
  /** Reset, both ways. */
  | { readonly kind: 'cut' }
  /** Nothing passes any more and nobody is told; the server's side of it goes when a server's own keepalive would have noticed. */
  | { readonly kind: 'half-open'; readonly serverNoticesMs: number }
  /** The same for every connection that there is, and new ones are not answered until it is over. */
  | { readonly kind: 'partition'; readonly ms: number }
  /** Nothing passes on any connection for a while; then everything does. */
  | { readonly kind: 'stall'; readonly ms: number }
  /** For a while each message takes longer. */
  | { readonly kind: 'slow'; readonly ms: number; readonly forMs: number };

export interface Statement {
  readonly session: string;
  readonly text: string;
  /** Null until the server has answered. */
  answer: 'done' | 'failed' | null;
}

/** Whose connection it is, by the port that it came to. */
export type Origin = 'daemon' | 'verb';

export interface Strike {
  readonly by: Origin;
  readonly statement: string;
}

/** A relay before a server that knows which statement passes. */
export interface FaultProxy extends AsyncDisposable {
  readonly ports: Readonly<Record<Origin, number>>;
  /** From now on: act at this point, once. `onStruck` may arm the next one, whose occurrences are counted from there. */
  arm(point: Point, action: (strike: Strike) => Action, onStruck: (strike: Strike) => void): void;
  /** Every statement that came by, in order. */
  readonly seen: readonly Statement[];
  /** Cuts what is open: a killed process's connections end at once. */
  cutAll(origin: Origin): void;
}

interface Order {
  readonly point: Point;
  readonly action: (strike: Strike) => Action;
  readonly onStruck: (strike: Strike) => void;
  left: number;
}

interface Link {
  readonly origin: Origin;
  readonly client: net.Socket;
  readonly server: net.Socket;
  silent: boolean;
  /** What comes meanwhile waits for it, in order. */
  hold: Promise<void> | null;
}

/** Hands over to `host:port`. The point's session and statement are looked for in every connection. */
export async function startFaultProxy(target: { host: string; port: number }): Promise<FaultProxy> {
  const links = new Set<Link>();
  const seen: Statement[] = [];
  let order: Order | null = null;
  let stalledUntil = 0;
  let partitionedUntil = 0;
  let slowMs = 0;

  const destroy = (link: Link): void => {
    link.client.destroy();
    link.server.destroy();
  };
  const accept = (origin: Origin) => (client: net.Socket) => {
    if (Date.now() < partitionedUntil) return swallow(client);
    const server = net.connect(target);
    const link: Link = { origin, client, server, silent: false, hold: null };
    links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (link.silent) return; // nobody is told
        links.delete(link);
        destroy(link);
      });
    }
    relay(link);
  };

  function relay(link: Link): void {
    let session = '';
    let pid = 0;
    let current: Statement | null = null;
    /** The current statement is the point. */
    let isPoint = false;
    const [toServer, toClient] = [delayed(link, link.server), delayed(link, link.client)];
    const act = (held: () => void): void => {
      const { action, onStruck } = order!;
      const strike = { by: link.origin, statement: current?.text ?? '' };
      isPoint = false;
      order = null;
      onStruck(strike);
      take(action(strike), link, pid, held).catch(() => undefined);
    };
    const isMoment = (moment: Moment): boolean => isPoint && order !== null && order.point.moment === moment;
    link.client.on(
      'data',
      readClient({
        onName: (name) => (session = name),
        onOther: toServer,
        onStatement: (text, messages) => {
          seen.push((current = { session, text, answer: null }));
          isPoint = order !== null && order.point.session.test(session) && order.point.statement.test(text) && --order.left === 0;
          if (isMoment('before')) return act(() => toServer(messages));
          toServer(messages);
          if (isMoment('during') && !/^(copy|start_replication)\b/i.test(text))
            setImmediate(() => isMoment('during') && act(() => undefined));
        },
        onRows: (message) => {
          if (isMoment('during') && /^copy/i.test(current?.text ?? '')) return act(() => toServer(message));
          toServer(message);
        },
      }),
    );
    let held: Buffer[] = [];
    link.server.on(
      'data',
      readServer({
        onPid: (found) => (pid = found),
        onMessage: (message, { rows, ends, failed }) => {
          if (current && failed) current.answer = 'failed';
          if (current && ends) current.answer ??= 'done';
          if (isMoment('during') && message[0] === 0x64) return act(() => toClient(message));
          if (!isMoment('after') || rows) return toClient(message);
          held.push(Buffer.from(message));
          if (!ends) return;
          const answer = Buffer.concat(held);
          held = [];
          act(() => toClient(answer));
        },
      }),
    );
  }

  /** Writes in order, late when everything is to be late, and not at all into a silent connection. */
  function delayed(link: Link, to: net.Socket): (data: Buffer) => void {
    let last = Promise.resolve();
    let queued = 0;
    return (data) => {
      if (link.silent) return;
      if (queued === 0 && slowMs === 0 && link.hold === null && Date.now() >= stalledUntil) return void to.write(data);
      const copy = Buffer.from(data);
      queued++;
      last = last.then(async () => {
        await link.hold;
        if (slowMs > 0) await later(slowMs);
        while (Date.now() < stalledUntil) await later(stalledUntil - Date.now());
        queued--;
        if (!link.silent && !to.destroyed) to.write(copy);
      });
    };
  }

  async function take(action: Action, link: Link, pid: number, held: () => void): Promise<void> {
    switch (action.kind) {
      case 'strike':
        link.hold = action.strike(pid).finally(() => (link.hold = null));
        held();
        await link.hold;
        return;
      case 'cut':
        link.client.resetAndDestroy();
        link.server.resetAndDestroy();
        return;
      case 'half-open':
        silence(link, action.serverNoticesMs);
        return;
      case 'partition':
        partitionedUntil = Date.now() + action.ms;
        for (const each of [...links]) silence(each, action.ms);
        await later(action.ms);
        return;
      case 'stall':
        stalledUntil = Date.now() + action.ms;
        held();
        await later(action.ms);
        return;
      case 'slow':
        slowMs = action.ms;
        held();
        await later(action.forMs);
        slowMs = 0;
    }
  }

  function silence(link: Link, serverNoticesMs: number): void {
    link.silent = true;
    links.delete(link);
    orphans.add(link.client).add(link.server);
    link.client.on('close', () => orphans.delete(link.client));
    const timer = setTimeout(() => link.server.destroy(), serverNoticesMs);
    timer.unref();
  }
  /** Sockets of connections that are silent: ended with the proxy. */
  const orphans = new Set<net.Socket>();
  function swallow(client: net.Socket): void {
    orphans.add(client);
    client.on('error', () => undefined);
    client.on('data', () => undefined);
    client.on('close', () => orphans.delete(client));
  }

  const servers: net.Server[] = [];
  const listen = async (origin: Origin): Promise<number> => {
    const server = net.createServer(accept(origin));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as net.AddressInfo).port;
  };
  const ports = { daemon: await listen('daemon'), verb: await listen('verb') };
  return {
    ports,
    arm: (point, action, onStruck) => {
      order = { point, action, onStruck, left: point.occurrence };
    },
    seen,
    cutAll: (origin) => {
      for (const link of [...links]) if (link.origin === origin) destroy(link);
    },
    [Symbol.asyncDispose]: async () => {
      for (const link of [...links]) destroy(link);
      for (const socket of orphans) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
