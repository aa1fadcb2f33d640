import net from 'node:net';
import pg from 'pg';
import type { ConnectionSettings } from '../../src/pg/connection.ts';

/** A pooler in front of a real server, as PgBouncer in transaction mode is: every client is served by the same server session. */
export interface Pooler extends AsyncDisposable {
  readonly settings: ConnectionSettings;
}

const SSL_REQUEST = 80877103;
const READY_FOR_QUERY = 0x5a;
const TERMINATE = 0x58;

/**
 * Starts it with one server session. It answers the startup by itself, with a process id of its own, refuses replication as
 * poolers do, and hands the server session to whichever client sends something while no transaction is open.
 */
export async function startPooler({ clientConfig }: ConnectionSettings): Promise<Pooler> {
  const backend = new pg.Client(clientConfig);
  backend.on('error', () => undefined);
  await backend.connect();
  // The driver has done the authentication; from here on the socket speaks for the clients.
  const socket = (backend as unknown as { connection: { stream: net.Socket } }).connection.stream;
  socket.removeAllListeners('data');
  let current: net.Socket | null = null;
  socket.on('data', (data: Buffer) => {
    current?.write(data);
    // ReadyForQuery ends each answer: Z, length 5, state. Idle means that the session can be handed on.
    if (data.at(-6) === READY_FOR_QUERY && data.at(-1) === 0x49) current = null;
  });
  const clients = new Set<net.Socket>();
  const server = net.createServer((client) => {
    clients.add(client);
    client.setNoDelay();
    let started = false;
    client.on('error', () => undefined);
    client.on('close', () => clients.delete(client));
    client.on('data', (data: Buffer) => {
      if (!started && data.readInt32BE(4) === SSL_REQUEST) {
        client.write('N');
      } else if (!started) {
        started = true;
        if (data.includes('\0replication\0')) client.end(refusal());
        else client.write(greeting());
      } else if (data[0] !== TERMINATE) {
        current = client;
        socket.write(data);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    settings: { clientConfig: { ...clientConfig, host: '127.0.0.1', port } },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
      socket.destroy();
    },
  };
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** AuthenticationOk, BackendKeyData with a number that no server process has, ReadyForQuery. */
function greeting(): Buffer {
  const key = Buffer.alloc(8);
  key.writeInt32BE(2_000_000_000);
  return Buffer.concat([message('R', Buffer.alloc(4)), message('K', key), message('Z', Buffer.from('I'))]);
}

function refusal(): Buffer {
  return message('E', Buffer.from('SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: replication\0\0'));
}
