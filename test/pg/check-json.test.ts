import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/actions/check.ts';
import { CHECKS } from '../../src/plan/preflight/registry.ts';
import { createDatabase } from '../support/database.ts';
import { partitioner } from '../support/partitioner.ts';

/** What scripts go by: an id that is gone or renamed breaks them. A new one is added here. */
const IDS = [
  'check-constraints', 'column-types', 'control-schema', 'decisions', 'default-privileges', 'direct-connection', 'event-triggers',
  'exclusion-constraints', 'extended-statistics', 'foreign-keys-in', 'foreign-keys-out', 'free-connections', 'freeze-age', 'functions',
  'generated-identity', 'grantors', 'index-clustered', 'indexes-valid', 'indexes-whole-row', 'large-objects', 'leaf-count', 'leaf-histogram', 'lock-table',
  'long-transactions', 'migration', 'names-encoding', 'names-free', 'other-dependents', 'partition-column', 'partition-infinity',
  'partition-nulls', 'partition-step', 'policies-elsewhere', 'prepared-transactions', 'primary-key', 'primary-key-types',
  'primary-key-widened', 'publications', 'replica-identity', 'replication-connection', 'replication-slots', 'role-create', 'role-owner',
  'role-privileges', 'role-replication', 'role-schema', 'role-tablespace', 'role-temporary', 'role-types', 'row-security', 'row-size', 'row-type',
  'rules', 'security-labels', 'server-primary', 'server-version', 'session-limits', 'shared-sequences', 'slot-idle-limit',
  'slot-wal-limit', 'space-needed', 'statements', 'subscriptions', 'synchronous-standbys', 'table-exists', 'table-extension',
  'table-inheritance', 'table-kind', 'table-persistence', 'table-storage', 'table-typed', 'triggers', 'unique-keys', 'views', 'wal-level',
  'wal-sender-timeout', 'wal-senders',
]; // prettier-ignore

interface Report {
  readonly table: string;
  readonly findings: readonly Finding[];
  readonly ok: boolean;
  /** What hangs on the table, and what becomes of it. */
  readonly dependents: readonly object[];
}

async function check(url: string, table: string): Promise<{ code: number | null; document: unknown }> {
  const { code, stdout } = await partitioner(['check', table, '--range', 'at', '--json'], { DATABASE_URL: url });
  expect(stdout.split('\n')).toHaveLength(2); // one document on one line
  return { code, document: JSON.parse(stdout) as unknown };
}

describe('check --json', () => {
  it('of a good table: every check once, all of them ok', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query('create schema app; create table app.events (id int, at date not null, primary key (id, at))');
    const { code, document } = await check(database.url, 'app.events');
    expect(code).toBe(0);
    expect(Object.keys(document as object).sort()).toEqual(['dependents', 'findings', 'ok', 'table']);
    const { table, findings, ok, dependents } = document as Report;
    expect({ table, ok }).toEqual({ table: 'app.events', ok: true });
    expect(dependents).toEqual([
      { check: 'unique-keys', fate: 'created before, swapped', how: expect.any(String) as string, kind: 'constraint', name: 'events_pkey' },
    ]);
    expect(findings.map(({ id }) => id).sort()).toEqual(IDS);
    expect(Object.keys(CHECKS).sort()).toEqual(IDS);
    for (const finding of findings) {
      expect(Object.keys(finding)).toEqual(['id', 'severity', 'object', 'message']);
      expect(Object.values(finding).map((value) => typeof value)).toEqual(['string', 'string', 'string', 'string']);
      expect(finding.severity).toBe('ok');
    }
  });

  it('of a bad one: what is found has a reason and a fix, and the exit code is 2', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query('create schema app; create unlogged table app.events (id int primary key, at date not null)');
    const { code, document } = await check(database.url, 'app.events');
    expect(code).toBe(2);
    const { findings, ok } = document as Report;
    expect(ok).toBe(false);
    const found = findings.filter(({ severity }) => severity !== 'ok');
    expect(found.map(({ id, severity, object }) => [id, severity, object])).toEqual([
      ['table-persistence', 'blocker', 'app.events'],
      ['primary-key-widened', 'warning', 'events_pkey'],
    ]);
    for (const finding of found) {
      expect(Object.keys(finding)).toEqual(['id', 'severity', 'object', 'message', 'detail', 'fix']);
      expect(finding.detail).toBe(CHECKS[finding.id as keyof typeof CHECKS].why);
    }
  });
});
