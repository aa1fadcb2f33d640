import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/demo/embedded-server.ts';
import type { Client } from '../../src/pg/client.ts';
import { withClient } from '../../src/pg/client.ts';
import { catalogDigest } from '../support/catalog-snapshot.ts';
import { openCommandLine, type CommandLine } from '../support/cli.ts';
import { startDaemon, untilPhase } from '../support/daemon.ts';
import { testDatabase } from '../support/database.ts';
import { partitioner, startPartitioner } from '../support/partitioner.ts';
import { startPooler, type Pooler } from '../support/pooler.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';
import { CATALOG } from './bad-input/catalog.ts';
import { CONFIGURATION } from './bad-input/configuration.ts';
import { ENVIRONMENT } from './bad-input/environment.ts';
import { FLAGS } from './bad-input/flags.ts';
import { PHASES_AND_VERBS } from './bad-input/phases.ts';
import { fill, type BadInput } from './bad-input/row.ts';
import { SERVER } from './bad-input/server.ts';

/** No server listens there. */
const NOWHERE = { PGHOST: '127.0.0.1', PGPORT: '1', PGCONNECT_TIMEOUT: '2' };
const ROWS: readonly BadInput[] = [...FLAGS, ...CONFIGURATION, ...ENVIRONMENT, ...CATALOG, ...PHASES_AND_VERBS, ...SERVER];

/** What a verb that is refused might have begun. */
const MIGRATIONS = ['partitioner.migration', 'partitioner.command', 'partitioner.history', 'partitioner.unit', 'partitioner.leaf'];

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly message: string;
  readonly fix?: string;
}

const database = testDatabase();
const empty = testDatabase();
const places: Record<string, string> = {};
let folder: string;
let cli: CommandLine;
let client: Client;
let before: Record<string, string>;
let plain: EmbeddedServer;
let pooler: Pooler;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'partitioner-cli-'));
  cli = openCommandLine();
  client = await database.get().client();
  await client.query(`
    create schema app; create table app.events (id bigint primary key, at timestamptz not null); create table app.other (id bigint primary key, at timestamptz not null);
    insert into app.events select n, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour' from generate_series(1, 100) n`);
  for (const { sql } of ROWS) if (sql !== undefined) await client.query(sql);
  await client.query('reset search_path');
  const daemon = startDaemon(database.settings(), 'app.events', { every: 'month' });
  await untilPhase(client, 'ready');
  await daemon.stop();
  await createPlaces();
  before = await catalogDigest(client, MIGRATIONS);
});

afterAll(async () => {
  await cli[Symbol.asyncDispose]();
  await pooler[Symbol.asyncDispose]();
  await plain.stop('immediate');
  rmSync(folder, { recursive: true });
});

/** Where the rows point to. */
async function createPlaces(): Promise<void> {
  const { name, url } = database.get();
  const as = (user: string, password: string, to = url): string => {
    const place = new URL(to);
    place.username = user;
    place.password = password;
    return place.href;
  };
  const at = (path: string): string => {
    const place = new URL(url);
    place.pathname = `/${path}`;
    return place.href;
  };
  const role = `nothing_${name}`;
  await client.query(`create role ${role} login password 'secret'; create role no${role} login; create role un${role} nologin`);
  database.get().onDropped(async (server) => {
    await server.query(`drop role ${role}, no${role}, un${role}`);
  });
  await client.query(`revoke all on database ${name} from public; grant connect on database ${name} to ${role}, un${role}`);

  plain = await startEmbeddedServer({
    major: DEFAULT_MAJOR,
    settings: { wal_level: 'replica', max_wal_senders: 0, max_replication_slots: 0, password_encryption: 'scram-sha-256' },
  });
  await withClient(plain.settings, { applicationName: 'test' }, async (admin) => {
    await admin.query(`create schema app; create table app.events (id bigint primary key, at timestamptz not null)`);
    await admin.query(`create role guarded login password 'right'`);
  });
  const rules = join(plain.dataDirectory, 'pg_hba.conf');
  writeFileSync(rules, `host all guarded 127.0.0.1/32 scram-sha-256\n${readFileSync(rules, 'utf8')}`);
  await withClient(plain.settings, { applicationName: 'test' }, (admin) => admin.query('select pg_reload_conf()'));
  pooler = await startPooler(empty.settings());
  await withClient(empty.settings(), { applicationName: 'test' }, (admin) =>
    admin.query(`create schema app; create table app.events (id bigint primary key, at timestamptz not null)`),
  );
  const { port } = pooler.settings.clientConfig;
  const pooled = new URL(empty.get().url);
  pooled.port = String(port);
  Object.assign(places, {
    dir: folder,
    url,
    empty: empty.get().url,
    nodatabase: at('no such'),
    norole: as('nobody at all', 'x'),
    replica: plain.url,
    pooler: pooled.href,
    wrongpassword: as('guarded', 'secret', plain.url),
    nopassword: as('guarded', '', plain.url),
    nothing: as(role, 'secret'),
    noconnect: as(`no${role}`, ''),
    nologin: as(`un${role}`, ''),
  });
}

const filled = (record: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, fill(value, places)]));

function makeFiles(files: Readonly<Record<string, string>> = {}): void {
  for (const [given, text] of Object.entries(files)) {
    const [name = '', mode = '0600'] = given.split(':');
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), fill(text, places));
    chmodSync(join(folder, name), parseInt(mode, 8));
  }
}

it('there are at least sixty of them, each with a name of its own', () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(60);
  expect(new Set(ROWS.map(({ name }) => name)).size).toBe(ROWS.length);
});

describe('bad input gets one clear error, and leaves nothing half-done', () => {
  it.each(ROWS.filter(({ since = 0 }) => since <= DEFAULT_MAJOR))('$name: $args', async (row) => {
    const args = (typeof row.args === 'string' ? row.args.split(' ') : row.args).map((arg) => fill(arg, places));
    const env = filled(row.env ?? { DATABASE_URL: '{url}' });
    const [error, message, hint] = [row.error, fill(row.message, places), row.hint === null ? null : fill(row.hint, places)];
    makeFiles(row.files);
    if (row.before !== undefined) await client.query(row.before);
    const text = await cli.run(args, env);
    const json = await cli.run([...args, '--json'], env);
    if (row.after !== undefined) await client.query(row.after);

    expect([text.code, json.code], text.stdout + text.stderr + json.stdout).toEqual([row.code, row.code]);
    const document = JSON.parse(json.stdout) as { error?: { code: string; message: string; hint?: string }; findings?: Finding[] };
    expect(json.stderr).toBe('');
    for (const output of [text.stdout, text.stderr, json.stdout]) {
      expect(output).not.toContain('secret');
      expect(output).not.toMatch(/\n\s+at |undefined|\[object/);
    }
    if (row.code === 2) {
      const blockers = (document.findings ?? []).filter(({ severity }) => severity === 'blocker');
      const found = blockers.find((finding) => finding.id === error);
      expect(found, JSON.stringify(blockers)).toBeDefined();
      expect(found!.message).toContain(message);
      expect(found!.fix).toContain(hint ?? '');
      // Whatever else is found says what mends it, too.
      for (const { id, fix } of blockers) expect(fix, id).toMatch(/\S/);
      expect(text.stdout).toContain(found!.message);
      expect(text.stderr).toBe('');
    } else {
      expect(document.error).toMatchObject({ code: error });
      expect(document.error!.message).toContain(message);
      if (hint !== null) expect(document.error!.hint).toContain(hint);
      expect(text.stdout).toBe('');
      expect(text.stderr).toContain(`error: ${document.error!.message}`);
      if (hint !== null) expect(text.stderr).toContain(`hint: ${document.error!.hint!}`);
    }
    expect(await catalogDigest(client, MIGRATIONS)).toEqual(before);
  });
});

/** The same server, once more as a standby: last, because nothing can be made on it any more. */
describe('a standby', () => {
  it('is refused', async () => {
    const signal = join(plain.dataDirectory, 'standby.signal');
    writeFileSync(signal, '');
    chmodSync(signal, 0o666);
    await plain.restart({ wal_level: 'replica' }, 'fast');
    const refused = await cli.run(['check', 'app.events', '--range', 'at', '--json'], { DATABASE_URL: plain.url });
    expect(refused.code).toBe(2);
    const { findings } = JSON.parse(refused.stdout) as { findings: Finding[] };
    expect(findings.find(({ id }) => id === 'server-primary')).toMatchObject({
      severity: 'blocker',
      message: expect.stringContaining('standby') as string,
      fix: expect.stringContaining('primary') as string,
    });
  });
});

describe('as a process of its own', () => {
  it('it ends with the same code, and the same words', async () => {
    const args = ['status', '--json', '--database-url', 'postgres://u:secret@127.0.0.1:1/d'];
    const [alone, hosted] = await Promise.all([partitioner(args, NOWHERE), cli.run(args, NOWHERE)]);
    expect(alone).toEqual(hosted);
    expect(alone.code).toBe(4);
    expect(alone.stdout).not.toContain('secret');
  });

  it.runIf(process.platform === 'linux')('a password does not stay in its title', async () => {
    // The address is of a network that answers nobody, so that the process lives while we look.
    const running = startPartitioner(['status', '--database-url', 'postgres://u:secret@192.0.2.1/d'], NOWHERE);
    try {
      await expect
        .poll(() => readFileSync(`/proc/${running.pid}/cmdline`, 'utf8').replaceAll('\0', ''), { timeout: 10_000 })
        .toBe('partitioner status');
    } finally {
      running.signal('SIGKILL');
      await running.ended;
    }
  });
});

describe('help', () => {
  it('is data, and tells a newcomer the steps and the exit codes', async () => {
    const ended = await cli.run(['--help']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const word of ['Five steps:', 'Examples:', 'Exit codes:', 'partitioner cutover']) expect(ended.stdout).toContain(word);
    for (const later of ['maintain', 'archive', '--hash']) expect(ended.stdout).not.toContain(later);
  });

  it('is what no arguments lead to', async () => {
    const ended = await cli.run([]);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain('Five steps:');
  });
});
