import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer, type Major } from '../../src/demo/embedded-server.ts';
import { withClient } from '../../src/pg/client.ts';
import { resolveConnection } from '../../src/pg/connection.ts';

const SETTINGS = { fsync: false, timezone: 'Asia/Kathmandu' };

function ask(server: EmbeddedServer, sql: string): Promise<unknown> {
  return withClient(
    server.settings,
    { applicationName: 'test' },
    async (client) => (await client.query<{ answer: unknown }>(`select ${sql} as answer`)).rows[0]!.answer,
  );
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await holds()) return;
    await sleep(100);
  }
  expect.unreachable('did not become true within ten seconds');
}

async function answers(url: string): Promise<boolean> {
  return withClient(resolveConnection({ databaseUrl: url }, {}), { applicationName: 'test' }, () => Promise.resolve(true)).catch(
    () => false,
  );
}

describe.each([14, 18] as const)('an embedded PostgreSQL %i', (major: Major) => {
  it('starts with its settings, keeps data over a restart and a kill, and leaves nothing', async () => {
    const server = await startEmbeddedServer({ major, settings: SETTINGS });
    try {
      expect(await ask(server, `current_setting('server_version_num')::int / 10000`)).toBe(major);
      expect(await ask(server, `(select reset_val from pg_settings where name = 'TimeZone')`)).toBe('Asia/Kathmandu');
      expect(await ask(server, `current_setting('wal_level') || current_setting('unix_socket_directories')`)).toBe('logical');
      expect(await ask(server, `(select rolsuper from pg_roles where rolname = 'postgres')`)).toBe(true);
      await withClient(server.settings, { applicationName: 'test' }, async (client) => {
        await client.query('create table public.kept (id int)');
        await client.query('insert into public.kept select generate_series(1, 10)');
      });

      await server.restart({ work_mem: '7MB' });
      expect(await ask(server, `current_setting('work_mem')`)).toBe('7MB');

      await server.kill();
      expect(await answers(server.url)).toBe(false);
      await server.kill(); // is dead already
      await server.restart();
      expect(await ask(server, '(select count(*)::int from public.kept)')).toBe(10);
      expect(await ask(server, `current_setting('work_mem')`)).toBe('7MB');
    } finally {
      await server.stop('immediate');
    }
    expect(existsSync(dirname(server.dataDirectory))).toBe(false);
    expect(await answers(server.url)).toBe(false);
    await server.stop(); // twice is once
  });
});

it('several start at once on ports of their own', async () => {
  const servers = await Promise.all([14, 14, 18].map((major) => startEmbeddedServer({ major: major as Major, settings: SETTINGS })));
  expect(new Set(servers.map(({ port }) => port)).size).toBe(3);
  await Promise.all(servers.map((server) => server.stop('immediate')));
});

it('refuses a setting that the server does not know, with the server’s own words, and leaves nothing', async () => {
  await expect(startEmbeddedServer({ major: 18, settings: { no_such_setting: 1 } })).rejects.toMatchObject({
    code: 'POSTGRES',
    detail: expect.stringContaining('no_such_setting') as string,
  });
});

it('ends with its parent, even one that is killed', async () => {
  const program = `
    import { startEmbeddedServer } from './src/demo/embedded-server.ts';
    const server = await startEmbeddedServer({ major: 18, settings: { fsync: false } });
    process.stdout.write(JSON.stringify({ url: server.url, dataDirectory: server.dataDirectory }) + '\\n');
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const { url, dataDirectory } = JSON.parse(line.toString()) as { url: string; dataDirectory: string };
  expect(await answers(url)).toBe(true);
  parent.kill('SIGKILL');
  await eventually(async () => !(await answers(url)));
  await eventually(() => !existsSync(dataDirectory));
});
