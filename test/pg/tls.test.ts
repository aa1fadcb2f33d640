import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/demo/embedded-server.ts';
import { withClient, type Client } from '../../src/pg/client.ts';
import { resolveConnection } from '../../src/pg/connection.ts';
import { makeCertificate, type Certificate } from '../support/certificates.ts';
import { openCommandLine, type CommandLine } from '../support/cli.ts';
import { command, startDaemon, untilPhase } from '../support/daemon.ts';
import { differences } from '../support/oracle.ts';
import { DEFAULT_MAJOR, serverUrl } from '../support/server.ts';

const SESSION = { applicationName: 'test' };
const authority = makeCertificate({ name: 'our authority', authority: null });
const stranger = makeCertificate({ name: 'another authority', authority: null });
const good = makeCertificate({ name: 'the server', hosts: ['localhost'], authority });
const expired = makeCertificate({ name: 'the server', hosts: ['localhost'], authority, until: new Date(Date.now() - 1000) });
const client = makeCertificate({ name: 'by_certificate', authority });
const other = makeCertificate({ name: 'somebody_else', authority });

let server: EmbeddedServer;
let folder: string;
let cli: CommandLine;
const files: Record<string, string> = {};

/** A key is taken only from its owner, and with mode 0600. */
function give(server: EmbeddedServer, name: string, text: string): void {
  const path = join(server.dataDirectory, name);
  writeFileSync(path, text);
  const { uid, gid } = statSync(server.dataDirectory);
  chownSync(path, uid, gid);
  chmodSync(path, 0o600);
}

function giveServer({ cert, key }: Certificate): void {
  give(server, 'server.crt', cert);
  give(server, 'server.key', key);
}

const admin = <T>(use: (client: Client) => Promise<T>): Promise<T> => withClient(server.settings, SESSION, use);

beforeAll(async () => {
  cli = openCommandLine();
  folder = mkdtempSync(join(tmpdir(), 'partitioner-tls-'));
  for (const [name, text] of Object.entries({
    ca: authority.cert,
    stranger: stranger.cert,
    cert: client.cert,
    key: client.key,
    othercert: other.cert,
    otherkey: other.key,
  }))
    writeFileSync((files[name] = join(folder, name)), text);
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: { password_encryption: 'scram-sha-256' } });
  await admin(async (session) => {
    await session.query(
      `create role encrypted login replication password 'secret'; create role by_certificate login; create role plain login; create role trusted login; grant create on database postgres to encrypted`,
    );
    await session.query(`set password_encryption = 'md5'; create role old login password 'secret'`);
  });
  giveServer(good);
  give(server, 'root.crt', authority.cert);
  const rules = readFileSync(join(server.dataDirectory, 'pg_hba.conf'), 'utf8');
  const own = [
    'hostssl all encrypted 127.0.0.1/32 scram-sha-256',
    'host all encrypted 127.0.0.1/32 reject',
    'hostssl all by_certificate 127.0.0.1/32 cert',
    'hostnossl all plain 127.0.0.1/32 trust',
    'host all plain 127.0.0.1/32 reject',
    'hostssl all old 127.0.0.1/32 md5',
  ];
  give(server, 'pg_hba.conf', `${own.join('\n')}\n${rules}`);
  await server.restart({ ssl: 'on', ssl_ca_file: 'root.crt' });
});

afterAll(async () => {
  await cli[Symbol.asyncDispose]();
  await server.stop('immediate');
  rmSync(folder, { recursive: true });
});

const url = (user: string, query: string, host = 'localhost'): string =>
  `postgres://${user}:secret@${host}:${String(server.port)}/postgres?${query.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(files[name] ?? name))}`;

describe('sslmode', () => {
  it.each([
    ['allow', ''],
    ['prefer', ''],
    ['require', ''],
    ['require', '&sslrootcert={ca}'],
    ['verify-ca', '&sslrootcert={ca}'],
    ['verify-full', '&sslrootcert={ca}'],
    ['verify-full', '&sslrootcert={ca}&channel_binding=require'],
    ['verify-full', '&sslrootcert={ca}&channel_binding=prefer&require_auth=scram-sha-256'],
    ['require', '&ssl_min_protocol_version=TLSv1.3'],
    ['require', '&channel_binding=disable'],
  ])('%s%s is encrypted', async (mode, more) => {
    const settings = resolveConnection({ databaseUrl: url('encrypted', `sslmode=${mode}${more}`) }, { HOME: folder });
    const seen = await withClient(settings, SESSION, async (session) => {
      const { rows } = await session.query<{ ssl: boolean; version: string }>(
        'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()',
      );
      return rows[0]!;
    });
    expect(seen).toMatchObject({ ssl: true });
    if (more.includes('TLSv1.3')) expect(seen.version).toBe('TLSv1.3');
  });

  it('verify-ca does not look at the name', async () => {
    const settings = resolveConnection(
      { databaseUrl: url('encrypted', 'sslmode=verify-ca&sslrootcert={ca}', '127.0.0.1') },
      { HOME: folder },
    );
    await withClient(settings, SESSION, (session) => session.query('select 1'));
  });

  it('prefer and allow go on without TLS where the server wants none, and require does not', async () => {
    for (const mode of ['prefer', 'allow', 'disable']) {
      const settings = resolveConnection({ databaseUrl: url('plain', `sslmode=${mode}`) }, { HOME: folder });
      await withClient(settings, SESSION, (session) => session.query('select 1'));
    }
    expect((await cli.run(['status', '--database-url', url('plain', 'sslmode=require')])).code).toBe(4);
  });

  it('a certificate of the client lets it in', async () => {
    const settings = resolveConnection(
      { databaseUrl: url('by_certificate', 'sslmode=verify-full&sslrootcert={ca}&sslcert={cert}&sslkey={key}') },
      { HOME: folder },
    );
    await withClient(settings, SESSION, (session) => session.query('select 1'));
  });
});

describe('what is not to be trusted is refused, with one clear error', () => {
  it.each([
    ['no TLS where it is wanted', 'encrypted', 'sslmode=disable', 'pg_hba.conf rejects connection', 'not without TLS (sslmode)'],
    [
      'a wrong host',
      'encrypted',
      'sslmode=verify-full&sslrootcert={ca}',
      "Hostname/IP does not match certificate's altnames",
      'the certificate is of another host',
      '127.0.0.1',
    ],
    [
      'another authority',
      'encrypted',
      'sslmode=verify-ca&sslrootcert={stranger}',
      'connecting to localhost',
      'give its certificate as sslrootcert',
    ],
    [
      'another authority, of require',
      'encrypted',
      'sslmode=require&sslrootcert={stranger}',
      'connecting to localhost',
      'give its certificate as sslrootcert',
    ],
    [
      'an authority that nobody knows',
      'encrypted',
      'sslmode=verify-full',
      'connecting to localhost',
      'give its certificate as sslrootcert',
    ],
    [
      'no certificate of the client',
      'by_certificate',
      'sslmode=require',
      'connection requires a valid client certificate',
      'sslcert and sslkey',
    ],
    [
      'the certificate of another client',
      'by_certificate',
      'sslmode=require&sslcert={othercert}&sslkey={otherkey}',
      'certificate authentication failed',
      'sslcert and sslkey',
    ],
    [
      'a key of another certificate',
      'by_certificate',
      'sslmode=require&sslcert={cert}&sslkey={otherkey}',
      'connecting to localhost',
      'could not agree on TLS',
    ],
    [
      'a channel that is not bound',
      'old',
      'sslmode=require&channel_binding=require',
      'the server authenticates by "md5" without it',
      'scram-sha-256 over TLS',
    ],
    [
      'nobody who asks',
      'trusted',
      'sslmode=require&channel_binding=require',
      'the server authenticates by "none" without it',
      'scram-sha-256 over TLS',
    ],
    [
      'a method that is not wanted',
      'old',
      'sslmode=require&require_auth=scram-sha-256',
      'the server authenticates by "md5"',
      'require_auth',
    ],
    [
      'a method that is forbidden',
      'encrypted',
      'sslmode=require&require_auth=!scram-sha-256',
      'the server authenticates by "scram-sha-256"',
      'require_auth',
    ],
    [
      'a version that is too old',
      'encrypted',
      'sslmode=require&ssl_max_protocol_version=TLSv1.1&ssl_min_protocol_version=TLSv1.1',
      'connecting to localhost',
      'could not agree on TLS',
    ],
  ])('%s', async (_case, user, query, message, hint, host = 'localhost') => {
    const refused = await cli.run(['status', '--json', '--database-url', url(user, query, host)], { HOME: folder });
    expect(refused.stdout).not.toContain('secret');
    expect(refused).toMatchObject({ code: 4, stderr: '' });
    const { error } = JSON.parse(refused.stdout) as { error: { code: string; message: string; hint: string } };
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  it('a certificate that has expired', async () => {
    giveServer(expired);
    await admin((session) => session.query('select pg_reload_conf()'));
    try {
      const run = (): ReturnType<CommandLine['run']> =>
        cli.run(['status', '--database-url', url('encrypted', 'sslmode=verify-full&sslrootcert={ca}')], { HOME: folder });
      await expect.poll(async () => (await run()).stderr, { timeout: 30_000 }).toContain("hint: the server's certificate has expired");
    } finally {
      giveServer(good);
      await admin((session) => session.query('select pg_reload_conf()'));
    }
  });

  it('a server without TLS', async () => {
    const refused = await cli.run(['status', '--database-url', (await serverUrl()).replace('sslmode=disable', 'sslmode=require')]);
    expect(refused).toMatchObject({ code: 4, stdout: '' });
    expect(refused.stderr).toContain('hint: the server has no TLS (ssl = off)');
  });
});

it('a whole migration runs over TLS: no session and no stream of it is plain', async () => {
  await admin(async (session) => {
    await session.query(
      `create schema app authorization encrypted; set role encrypted; create table app.events (id bigint primary key, at timestamptz not null)`,
    );
    await session.query(
      `insert into app.events select n, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour' from generate_series(1, 2000) n`,
    );
  });
  const settings = resolveConnection(
    { databaseUrl: url('encrypted', 'sslmode=verify-full&sslrootcert={ca}&channel_binding=require') },
    { HOME: folder },
  );
  await using daemon = startDaemon(settings, 'app.events', { every: 'month' });
  await admin(async (control) => {
    const { id, retired_name: retired } = await untilPhase(control, 'ready', 120_000);
    const { rows } = await control.query<{ name: string; ssl: boolean }>(
      `select application_name as name, ssl from pg_stat_activity join pg_stat_ssl using (pid) where usename = 'encrypted'`,
    );
    expect(rows.length).toBeGreaterThan(3);
    expect(rows.filter(({ ssl }) => !ssl)).toEqual([]);
    await command(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 });
    await daemon.ended;
    expect(await differences(control, { schema: 'app', name: 'events' }, { schema: 'app', name: retired })).toBe(0);
  });
});
