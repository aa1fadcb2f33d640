import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { QualifiedName } from '../../src/domain/identifier.ts';
import { connect, type Client } from '../../src/pg/client.ts';
import { resolveConnection } from '../../src/pg/connection.ts';
import { bindIdentifiers, loadSql } from '../../src/sql/load.ts';
import { DEFAULT_MAJOR, MAJORS, serverUrl } from '../support/server.ts';

const ROOT = new URL('../../sql/', import.meta.url);

const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.replaceAll('\\', '/').slice(0, -'.sql'.length))
  .sort();
const control = files.filter((name) => name.startsWith('control/'));
const statements = files.filter((name) => !name.startsWith('control/'));

/** What an identifier stands for where the file's header says nothing; sql/README.md. */
const STAND_INS: Readonly<Record<string, string>> = { source: 'partitioner.migration', key: 'created_at', type: 'timestamptz' };

interface Header {
  readonly identifiers: Record<string, string | QualifiedName>;
  readonly before: string[];
  readonly from: number;
  readonly execute: boolean;
}

function readHeader(name: string): Header {
  const lines = [...text(name).matchAll(/^-- prepare: (.*)$/gm)].map((match) => match[1]!.trim());
  const before = lines.filter((line) => line.startsWith('with ')).map((line) => line.slice('with '.length));
  const from = lines.find((line) => line.startsWith('from '))?.slice('from '.length) ?? '0';
  const pairs = lines.filter((line) => line.includes('=') && !line.startsWith('with ')).flatMap((line) => line.split(/\s+/));
  const given = Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string]));
  const identifiers = Object.entries({ ...STAND_INS, ...given }).map(([key, value]) => {
    const [schema, table] = value.split('.');
    return [key, table === undefined ? value : { schema: schema!, name: table }] as const;
  });
  return { identifiers: Object.fromEntries(identifiers), before, from: Number(from), execute: lines.includes('execute') };
}

function text(name: string): string {
  return readFileSync(new URL(`${name}.sql`, ROOT), 'utf8');
}

function code(name: string): string {
  return text(name).replace(/--.*$/gm, '');
}

describe('every statement', () => {
  it.each(statements)('%s says what it does and describes its parameters', (name) => {
    const header = /^(?:--.*\n)+/.exec(text(name))?.[0] ?? '';
    expect(
      header.split('\n').filter((line) => /^-- (?!prepare:|\$\d)/.test(line)),
      'a first line that says what it does',
    ).not.toEqual([]);
    for (const parameter of new Set(code(name).match(/\$\d+/g) ?? [])) expect(header, 'the header').toContain(parameter);
  });
});

const majors = process.env['TEST_SERVER'] === 'testcontainers' ? [DEFAULT_MAJOR] : MAJORS;

describe.each(majors)('PostgreSQL %i', (major) => {
  let client: Client;

  beforeAll(async () => {
    client = await connect(resolveConnection({ databaseUrl: await serverUrl(major) }, {}), { applicationName: 'test' });
    await client.query('begin');
    for (const name of control) await client.query(loadSql(name));
  });
  afterAll(async () => {
    await client.query('rollback');
    await client.end();
  });

  it('creates the control schema twice over: a second start finds it', async () => {
    await client.query('savepoint s');
    for (const name of control) await client.query(loadSql(name));
    await client.query('rollback to s');
  });

  it.each(statements)('prepares %s', async (name) => {
    const header = readHeader(name);
    if (major < header.from) return;
    const sql = bindIdentifiers(loadSql(name), header.identifiers);
    await client.query('savepoint s');
    try {
      for (const statement of header.before) await client.query(statement);
      if (header.execute) {
        const count = new Set(code(name).match(/\$\d+/g)).size;
        await client.query({ text: sql, values: Array.from({ length: count }, () => null) });
      } else {
        await client.query(`prepare statement as ${sql}`);
        await client.query('deallocate statement');
      }
    } finally {
      await client.query('rollback to s');
    }
  });
});
