import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withClient, type Client } from '../../src/pg/client.ts';
import { openCommandLine, type CommandLine } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';
import { until } from '../support/daemon.ts';
import { differences } from '../support/oracle.ts';
import { startPartitioner, type Run } from '../support/partitioner.ts';

/** What must be seen nowhere. The server lets everybody in, so that any password is the right one. */
const MARK = 'S3CRET';
const PASSWORD = `${MARK}-url-p%40ss`;
const TOKEN = `${MARK}-token-0123456789abcdef`;

let folder: string;
let cli: CommandLine;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'partitioner-secrets-'));
  cli = openCommandLine();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** The statements that docs/operations.md gives under "Which privileges, exactly?", for this role, owner and database. */
function documentedGrants(role: string, owner: string, database: string): string[] {
  const text = readFileSync('docs/operations.md', 'utf8');
  const block = /## Which privileges, exactly\?\s+```sql\n([^]*?)```/.exec(text)?.[1] ?? '';
  const statements = block.split('\n').flatMap((line) => /^(.*?;)/.exec(line)?.[1] ?? []);
  expect(statements.length).toBe(4);
  return statements.map((statement) =>
    statement
      .replaceAll('migrator', role)
      .replaceAll('app_owner', owner)
      .replace(/DATABASE shop/, `DATABASE ${database}`)
      .replace(/PASSWORD '…'/, `PASSWORD '${MARK}-role'`),
  );
}

it('a whole migration with exactly the documented privileges, and no secret of it anywhere', { timeout: 300_000 }, async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const [role, owner] = [`migrator_${database.name}`, `owner_${database.name}`];
  database.onDropped(async (server) => {
    await server.query(`drop role if exists ${role}, ${owner}`);
  });
  await control.query(
    `create role ${owner} nologin; revoke all on database ${database.name} from public; revoke all on schema public from public`,
  );
  await control.query(`create schema app; grant usage, create on schema app to ${owner}; set role ${owner};
    create table app.events (id bigserial primary key, at timestamptz not null, password text); reset role`);
  await control.query(
    `insert into app.events (at, password) select timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour', 'x' from generate_series(1, 2000) n`,
  );
  for (const statement of documentedGrants(role, owner, database.name)) await control.query(statement);

  const url = new URL(database.url);
  url.username = role;
  url.password = '';
  const address = url.href.replace(`${role}@`, `${role}:${PASSWORD}@`);
  expect(address).toContain(MARK);
  writeFileSync(
    join(folder, 'p.yaml'),
    `database-url: ${address}\ntables:\n  - { table: app.events, range: at, every: month, premake: 1 }\n`,
    { mode: 0o600 },
  );
  writeFileSync(join(folder, 'broken.yaml'), `database-url: ${address}\n  jobs: 2\n`);
  writeFileSync(join(folder, 'pgpass'), `*:*:*:*:${MARK}-passfile\n`, { mode: 0o600 });
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`, { mode: 0o600 });

  const seen: Record<string, string> = {};
  const run = async (env: Record<string, string>, ...args: string[]): Promise<Run> => {
    const ended = await cli.run([...args, '--log-level', 'debug'], env);
    seen[args.join(' ')] = ended.stdout + ended.stderr;
    return ended;
  };
  const byUrl = { DATABASE_URL: address };
  const bare = new URL(url.href);
  const byVariables = {
    PGHOST: bare.hostname,
    PGPORT: bare.port,
    PGUSER: role,
    PGDATABASE: database.name,
    PGSSLMODE: 'disable',
    PGPASSWORD: `${MARK}-variable`,
  };
  const config = ['--config', join(folder, 'p.yaml')];

  expect((await run({}, 'check', ...config)).code, seen[`check ${config.join(' ')}`]).toBe(0);
  expect((await run({}, 'plan', ...config, '--json')).code).toBe(0);
  for (const [code, ...args] of [
    [1, 'check', '--config', join(folder, 'broken.yaml')],
    [1, 'status', '--database-url', address.replace('postgres', 'postgre')],
    [1, 'status', '--database-url', `${address}&passwrod=${MARK}-typo`],
    [4, 'status', '--database-url', address.replace(bare.port, '1')],
    [4, 'status', '--database-url', `${address.split('?')[0]!}-not-there`],
    [1, 'start', 'app.events', '--range', 'at', '--http-token-file', join(folder, 'p.yaml')],
  ] as const)
    expect((await run({}, ...args)).code, args.join(' ')).toBe(code);

  const daemon = startPartitioner(
    ['start', '--database-url', address, 'app.events', '--range', 'at', '--premake', '1', '--http', '127.0.0.1:0', '--log-level', 'debug'],
    { PARTITIONER_HTTP_TOKEN: TOKEN },
  );
  try {
    const http = await until(control, 'the HTTP server', () => Promise.resolve(/"url":"(http:[^"]+)"/.exec(daemon.output().stderr)?.[1]));
    await untilReady(control);
    seen['process title'] = process.platform === 'linux' ? readFileSync(`/proc/${String(daemon.pid)}/cmdline`, 'utf8') : '';
    for (const path of ['/', '/metrics', '/api/status', '/healthz', '/readyz']) seen[path] = await (await fetch(http + path)).text();
    const post = (verb: string, token: string): Promise<Response> =>
      fetch(`${http}/api/${verb}`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    const refused = await post('pause', 'wrong');
    seen['refused'] = await refused.text();
    expect(refused.status).toBe(401);
    for (const [verb, paused] of [
      ['pause', true],
      ['resume', false],
    ] as const) {
      const done = await post(verb, TOKEN);
      expect([done.status, await isPaused(control)]).toEqual([200, paused]);
      seen[verb] = await done.text();
    }
    seen['sessions'] = await dump(control, `select * from pg_stat_activity where datname = current_database()`);
    expect(await run(byVariables, 'status', '--json')).toMatchObject({ code: 0 });
    expect(await run({ ...byVariables, PGPASSWORD: '', PGPASSFILE: join(folder, 'pgpass') }, 'verify', 'app.events')).toMatchObject({
      code: 0,
    });
    expect(await run(byUrl, 'cutover', 'app.events', '--when-ready', '--max-lock-hold', '10s')).toMatchObject({ code: 0 });
    expect(await run(byUrl, 'rollback', 'app.events', '--max-lock-hold', '10s')).toMatchObject({ code: 0 });
    await untilReady(control);
    expect(await run(byUrl, 'cutover', 'app.events', '--when-ready', '--no-way-back', '--max-lock-hold', '10s', '--json')).toMatchObject({
      code: 0,
    });
    const { rows } = await control.query<{ name: string }>(
      'select retired_name as name from partitioner.migration where reverse_of is null',
    );
    expect(await differences(control, { schema: 'app', name: 'events' }, { schema: 'app', name: rows[0]!.name })).toBe(0);
  } finally {
    daemon.signal('SIGTERM');
    const ended = await daemon.ended;
    seen['the daemon'] = ended.stdout + ended.stderr;
  }
  const { rows: tables } = await control.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'partitioner'`,
  );
  for (const { name } of tables) seen[name] = await dump(control, `select * from ${name}`);
  expect(await run(byUrl, 'finish', 'app.events', '--drop-retired')).toMatchObject({ code: 0 });

  expect(Object.keys(seen).length).toBeGreaterThan(25);
  for (const [what, text] of Object.entries(seen)) expect(text, what).not.toContain(MARK);
  // The documented way back out of the grants works, too.
  await control.query(`revoke all on schema app from ${role}; revoke ${owner} from ${role}`);
  await withClient(database.server, { applicationName: 'test' }, (server) =>
    server.query(`revoke all on database ${database.name} from ${role}`),
  );
  await control.query(`drop role ${role}`);
});

async function dump(client: Client, query: string): Promise<string> {
  const { rows } = await client.query<{ line: string }>(`select to_jsonb(q)::text as line from (${query}) q`);
  return rows.map(({ line }) => line).join('\n');
}

const isPaused = async (client: Client): Promise<boolean> =>
  (await client.query<{ paused: boolean }>('select paused from partitioner.migration where reverse_of is null')).rows[0]!.paused;

async function untilReady(control: Client): Promise<void> {
  await until(
    control,
    'phase ready',
    async () =>
      (await control.query(`select from partitioner.migration where reverse_of is null and phase = 'ready'`).catch(() => null))
        ?.rowCount === 1,
    120_000,
  );
}
