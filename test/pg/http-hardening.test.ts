import { createHash } from 'node:crypto';
import http from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../src/http/metrics.ts';
import { startHttp, type HttpServer } from '../../src/http/server.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';

const TOKEN = createHash('sha256').update('a token').digest('hex');
let server: HttpServer;
let performed: string[];

beforeEach(async () => {
  performed = [];
  server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    metrics: createMetrics(),
    status: () => Promise.reject(new Error(`a defect on ${String(DEFAULT_MAJOR)}`)),
    control: { token: TOKEN, perform: (verb) => Promise.resolve(void performed.push(verb)) },
    limits: { requestMs: 400, connections: 40, listeners: 2 },
  });
});

afterEach(async () => {
  await server.close();
  vi.restoreAllMocks();
});

const port = (): number => Number(new URL(server.url).port);

/** Sends a text on a connection of its own; resolves with all that came when the server has closed it. */
function raw(text: string): { readonly socket: Socket; readonly closed: Promise<string> } {
  const socket = connect(port(), '127.0.0.1');
  let received = '';
  socket.on('data', (data) => (received += data.toString()));
  socket.on('error', () => undefined);
  socket.write(text);
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve(received))) };
}

const isAlive = async (): Promise<boolean> => (await fetch(`${server.url}/healthz`)).status === 200;

describe('the bearer token', () => {
  const post = (path: string, authorization?: string): Promise<Response> =>
    fetch(`${server.url}${path}`, { method: 'POST', ...(authorization === undefined ? {} : { headers: { authorization } }) });

  it('lets pause and resume in, and nobody without it', async () => {
    expect((await post('/api/pause', `Bearer ${TOKEN}`)).status).toBe(200);
    expect((await post('/api/resume', `bearer ${TOKEN}`)).status).toBe(200);
    for (const wrong of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Basic ${TOKEN}`,
      TOKEN,
      `Bearer ${'x'.repeat(8_000)}`,
    ]) {
      const refused = await post('/api/pause', wrong);
      expect(refused.status, wrong).toBe(401);
      expect(await refused.text()).not.toContain(TOKEN);
    }
    expect(performed).toEqual(['pause', 'resume']);
  });

  it('is compared in constant time, whatever is sent', async () => {
    const crypto = await import('node:crypto');
    const { isToken } = await import('../../src/http/control.ts');
    const compared: number[][] = [];
    for (const sent of ['', 'x', TOKEN.slice(0, -1), TOKEN, 'y'.repeat(5_000)]) {
      isToken(`Bearer ${sent}`, TOKEN, (a, b) => {
        compared.push([a.byteLength, b.byteLength]);
        return crypto.timingSafeEqual(a, b);
      });
    }
    expect(compared).toEqual(Array.from({ length: 5 }, () => [32, 32]));
  });

  it('that nobody has set is nobody’s', async () => {
    const open = await startHttp({
      host: '127.0.0.1',
      port: 0,
      metrics: createMetrics(),
      status: () => Promise.reject(new Error('none')),
      control: { token: null, perform: () => Promise.reject(new Error('performed')) },
    });
    try {
      for (const authorization of ['Bearer null', 'Bearer ', 'Bearer undefined'])
        expect((await fetch(`${open.url}/api/pause`, { method: 'POST', headers: { authorization } })).status).toBe(401);
    } finally {
      await open.close();
    }
  });
});

describe('a client that is slow, large or many', () => {
  it('headers that never end are given up', async () => {
    const slow = raw('GET /healthz HTTP/1.1\r\nHost: x\r\n');
    const drip = setInterval(() => slow.socket.write('X-A: b\r\n'), 50);
    expect(await slow.closed).toContain('408');
    clearInterval(drip);
    expect(await isAlive()).toBe(true);
  });

  it('a body that never ends is given up', async () => {
    const slow = raw(
      `POST /api/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
    );
    const drip = setInterval(() => slow.socket.write(' '), 50);
    await slow.closed;
    clearInterval(drip);
    expect(performed).toEqual([]);
    expect(await isAlive()).toBe(true);
  });

  it('headers and bodies that are huge are refused', async () => {
    expect(await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`).closed).toContain('431');
    const long = raw(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(await long.closed).toMatch(/ 4\d\d /);
    const body = await fetch(`${server.url}/api/pause`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify('x'.repeat(1_000_000)),
    });
    expect(body.status).toBe(413);
    const json = await fetch(`${server.url}/api/pause`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: '{',
    });
    expect(json.status).toBe(400);
    expect(performed).toEqual([]);
  });

  it('what is no HTTP is refused', async () => {
    for (const text of [
      '\0\0\0\x08\x04\xd2\x16\x2f',
      'NONSENSE\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    ])
      expect(await raw(text).closed).toContain('400');
    expect(await isAlive()).toBe(true);
  });

  it('methods that are not there are refused', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'POST'])
      expect((await fetch(`${server.url}/api/status`, { method })).status, method).toBe(404);
    const trace = await new Promise<number | undefined>((resolve, reject) => {
      http
        .request(`${server.url}/api/status`, { method: 'TRACE' }, ({ statusCode }) => resolve(statusCode))
        .on('error', reject)
        .end();
    });
    expect(trace).toBe(404);
  });

  it('many connections are cut at a limit, and cost the others nothing once they are given up', async () => {
    const idle = Array.from({ length: 60 }, () => raw('GET /healthz HTTP/1.1\r\n'));
    await Promise.all(idle.map(({ closed }) => closed));
    expect(await isAlive()).toBe(true);
  });

  it('listeners are counted', async () => {
    const stop = new AbortController();
    const listen = (): Promise<Response> => fetch(`${server.url}/api/events`, { signal: stop.signal });
    expect([(await listen()).status, (await listen()).status, (await listen()).status]).toEqual([200, 200, 503]);
    stop.abort();
    await expect.poll(async () => (await fetch(`${server.url}/api/events`, { signal: AbortSignal.timeout(5_000) })).status).toBe(200);
  });
});
