import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startEmbeddedServer } from '../../src/demo/embedded-server.ts';
import { withClient } from '../../src/pg/client.ts';
import { lookForNull, lookForRange } from '../../src/pg/key-look.ts';
import { quoteIdent } from '../../src/domain/identifier.ts';
import { CHECKS } from '../../src/plan/preflight/registry.ts';
import { checkAs, found } from '../support/check.ts';
import { createDatabase } from '../support/database.ts';
import { startPooler } from '../support/pooler.ts';
import { createRole } from '../support/roles.ts';
import { DEFAULT_MAJOR, MAJORS } from '../support/server.ts';

const EVENTS = 'create schema app; create table app.events (id int, at date not null, primary key (id, at))';
const SESSION = { applicationName: 'test' };

describe('check of the server', () => {
  it.each(MAJORS)('a clean table of a role with the least is fine on PostgreSQL %i', async (major) => {
    await using database = await createDatabase({ major });
    const role = await createRole(database, 'login replication', ['connect', 'create', 'temporary']);
    await withClient(database.settings, SESSION, async (client) => {
      await client.query(
        `${EVENTS}; alter schema app owner to ${quoteIdent(role.name)}; alter table app.events owner to ${quoteIdent(role.name)}`,
      );
      await client.query("insert into app.events select n, '2024-01-01'::date + n from generate_series(1, 100) n");
    });
    const findings = await checkAs(role.settings, 'app.events');
    expect(found(findings, 'blocker')).toEqual([]);
    // A check that finds nothing wrong says so: whoever reads it sees all that was looked at.
    // (Other tests run transactions on the same server, whose ages are hidden from the role: those alone may be in question.)
    const fine = found(findings, 'ok').map((text) => text.split(' ')[0]!);
    expect([...new Set([...fine, 'long-transactions'])].sort()).toEqual(Object.keys(CHECKS).sort());
    expect(findings.map(({ id }) => id)).toContain('long-transactions');
  });

  it('settings that are wrong, and everything used up', async () => {
    const server = await startEmbeddedServer({
      major: DEFAULT_MAJOR,
      settings: {
        wal_level: 'replica',
        max_replication_slots: 1,
        max_wal_senders: 0,
        max_slot_wal_keep_size: '64MB',
        wal_sender_timeout: '2s',
        max_connections: 8,
        superuser_reserved_connections: 1,
        max_locks_per_transaction: 10,
        max_prepared_transactions: 2,
      },
    });
    try {
      await withClient(server.settings, SESSION, async (client) => {
        await client.query(EVENTS);
        await client.query("insert into app.events values (1, '2022-01-01')");
        await client.query("select pg_create_physical_replication_slot('used')");
        await client.query('begin; create table app.x (); prepare transaction $$left over$$'.replaceAll('$$', "'"));
      });
      const findings = await checkAs(server.settings, 'app.events', { every: 'day' });
      expect(found(findings, 'blocker')).toEqual([
        'lock-table max_locks_per_transaction',
        'replication-slots max_replication_slots',
        'wal-level wal_level',
        'wal-senders max_wal_senders',
      ]);
      expect(found(findings, 'warning')).toEqual([
        'free-connections postgres',
        'leaf-count app.events',
        'prepared-transactions left over',
        'replication-connection postgres',
        'slot-wal-limit max_slot_wal_keep_size',
        'wal-sender-timeout wal_sender_timeout',
      ]);
    } finally {
      await server.stop('immediate');
    }
  });

  it('a standby', async () => {
    const server = await startEmbeddedServer({ major: DEFAULT_MAJOR });
    try {
      await withClient(server.settings, SESSION, async (client) => {
        await client.query(EVENTS);
      });
      const signal = join(server.dataDirectory, 'standby.signal');
      writeFileSync(signal, '');
      execFileSync('chmod', ['a+rw', signal]);
      await server.restart();
      expect(found(await checkAs(server.settings, 'app.events'), 'blocker')).toEqual(['server-primary postgres']);
    } finally {
      await server.stop('immediate');
    }
  });

  it('a transaction pooler in between', async () => {
    await using database = await createDatabase();
    await withClient(database.settings, SESSION, async (client) => {
      await client.query(EVENTS);
    });
    await using pooler = await startPooler(database.settings);
    const findings = await checkAs(pooler.settings, 'app.events');
    expect(found(findings, 'blocker')).toEqual([expect.stringMatching(/^direct-connection /)]);
    expect(findings.find(({ id }) => id === 'replication-connection')).toMatchObject({ severity: 'warning' });
  });
});

describe('a look into the rows', () => {
  it('ends when its time is over, and falls back to the statistics', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query('create schema app; create table app.events (id int primary key, at date)');
    await client.query("insert into app.events select n, '2024-01-01'::date + n % 100 from generate_series(1, 300000) n");
    await client.query('analyze app.events');
    const table = { schema: 'app', name: 'events' };
    expect(await lookForNull(client, table, 'at', 0.001)).toBe('unknown');
    expect(await lookForRange(client, table, { name: 'at', kind: 'date' }, 0.001)).toEqual({
      lowest: '2024-01-01',
      highest: '2024-04-09',
      from: 'statistics',
      hasInfinity: false,
    });
    expect(await lookForRange(client, table, { name: 'at', kind: 'date' }, 60)).toEqual({
      lowest: '2024-01-01',
      highest: '2024-04-09',
      from: 'rows',
      hasInfinity: false,
    });
  });
});
