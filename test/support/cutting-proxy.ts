import net from 'node:net';
import { connect } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';

/**
 * How a session is cut: its connection before the statement reaches the server, or after the server has done it and before the answer is known; or by
 * the server, as pg_terminate_backend does it.
 */
export type Cut = 'before' | 'after' | 'terminated';

/** A relay in front of a real server that cuts one session at a chosen statement. */
export interface CuttingProxy extends AsyncDisposable {
  readonly settings: ConnectionSettings;
  /** From now on: cut the first session of this name that comes to this statement. */
  readonly cutAt: (applicationName: string, statement: string | null, how: Cut) => void;
  /** Whether it was cut since. */
  readonly isCut: () => boolean;
  /** The statements of the sessions of that name since. */
  readonly seen: () => readonly string[];
}

const SSL_REQUEST = 80877103;
const CANCEL_REQUEST = 80877102;
const QUERY = 0x51;
const SYNC = 0x53;
const PARSE = 0x50;
const READY_FOR_QUERY = 0x5a;
const BACKEND_KEY_DATA = 0x4b;

export async function startCuttingProxy({ clientConfig }: ConnectionSettings, server: ConnectionSettings): Promise<CuttingProxy> {
  let order: { name: string; statement: string | null; how: Cut } = { name: '', statement: null, how: 'before' };
  let done = false;
  let seen: string[] = [];
  const sockets = new Set<net.Socket>();
  const listening = net.createServer((client) => {
    const backend = net.connect({ host: clientConfig.host ?? '127.0.0.1', port: clientConfig.port ?? 5432 });
    for (const socket of [client, backend]) {
      sockets.add(socket);
      socket.setNoDelay(); // messages are handed on one by one: with Nagle's algorithm each statement would take 40 ms
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        backend.destroy();
      });
    }
    let name: string | null = null;
    let pid = 0;
    let text = '';
    let swallowing = false;
    const fromClient = framed((type, message) => {
      if (name === null) {
        const code = message.readInt32BE(4);
        if (code !== SSL_REQUEST && code !== CANCEL_REQUEST)
          name = /application_name\0([^\0]*)\0/.exec(message.toString('latin1'))?.[1] ?? '';
        backend.write(message);
        return code !== SSL_REQUEST;
      }
      if (type === QUERY || type === PARSE) text = message.toString('utf8', 5).replaceAll('\0', ' ').trim();
      const isStatement = (type === QUERY || type === SYNC) && name === order.name;
      if (isStatement) seen.push(text);
      const isCut = isStatement && !done && text === order.statement;
      if (!isCut) {
        backend.write(message);
        return true;
      }
      done = true;
      if (order.how === 'before') {
        client.destroy();
        backend.destroy();
      } else if (order.how === 'after') {
        swallowing = true;
        backend.write(message);
      } else void terminate(server, pid).then(() => backend.write(message));
      return true;
    });
    const fromBackend = framed((type, message) => {
      if (type === BACKEND_KEY_DATA) pid = message.readInt32BE(5);
      if (!swallowing) client.write(message);
      else if (type === READY_FOR_QUERY) {
        client.destroy();
        backend.destroy();
      }
      return true;
    }, true);
    client.on('data', fromClient);
    backend.on('data', fromBackend);
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as net.AddressInfo;
  return {
    settings: { clientConfig: { ...clientConfig, host: '127.0.0.1', port } },
    cutAt: (applicationName, statement, how) => {
      order = { name: applicationName, statement, how };
      done = false;
      seen = [];
    },
    isCut: () => done,
    seen: () => [...seen],
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listening.close(resolve));
    },
  };
}

async function terminate(server: ConnectionSettings, pid: number): Promise<void> {
  const admin = await connect(server, { applicationName: 'test' });
  await admin.query('select pg_terminate_backend($1)', [pid]);
  for (;;) {
    const { rows } = await admin.query<{ there: boolean }>('select exists (select from pg_stat_activity where pid = $1) as there', [pid]);
    if (!rows[0]!.there) break;
  }
  await admin.end();
}

/** Hands on whole messages. The first ones of a client have no type; `take` says whether types begin. */
function framed(take: (type: number, message: Buffer) => boolean, typed = false): (data: Buffer) => void {
  let rest = Buffer.alloc(0);
  let hasType = typed;
  return (data) => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const head = hasType ? 1 : 0;
      if (rest.length < head + 4) return;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      const type = hasType ? message[0]! : 0;
      const next = take(type, message);
      hasType = hasType || next;
    }
  };
}
