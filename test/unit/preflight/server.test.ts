import { describe, expect, it } from 'vitest';
import { decideEventTriggers, decidePrepared, decideTransactions } from '../../../src/plan/preflight/activity.ts';
import type { Finding } from '../../../src/plan/preflight/finding.ts';
import { decideLink, decideReplicationConnection, type LinkFacts } from '../../../src/plan/preflight/link.ts';
import {
  computeLockCapacity,
  decideConnections,
  decideEncoding,
  decideLockTable,
  decideSlotLimits,
  decideTimeouts,
  decideVersion,
  decideWal,
  type ServerFacts,
} from '../../../src/plan/preflight/server.ts';

const SETTINGS = {
  wal_level: 'logical',
  max_replication_slots: '10',
  max_wal_senders: '10',
  max_slot_wal_keep_size: '-1',
  wal_sender_timeout: '60000',
  max_locks_per_transaction: '64',
  max_connections: '100',
  max_prepared_transactions: '0',
  autovacuum_max_workers: '3',
  max_worker_processes: '8',
  superuser_reserved_connections: '3',
};

const SERVER: ServerFacts = {
  versionNum: 170010,
  version: 'PostgreSQL 17.10 on x86_64-pc-linux-gnu',
  inRecovery: false,
  database: 'shop',
  encoding: 'UTF8',
  settings: SETTINGS,
  provider: null,
  slotsUsed: 0,
  walSendersUsed: 0,
  sessionsUsed: 10,
  roleSessions: 1,
  roleConnectionLimit: -1,
  databaseSessions: 10,
  databaseConnectionLimit: -1,
};
const OPEN = { id: 7, phase: 'backfill', publicationName: 'partitioner_7' };

const withSettings = (settings: Record<string, string>): ServerFacts => ({ ...SERVER, settings: { ...SETTINGS, ...settings } });
const worse = (findings: readonly Finding[]): string[] =>
  findings.filter(({ severity }) => severity !== 'ok').map(({ id, severity, object }) => `${severity} ${id} ${object}`);

describe('the version', () => {
  it.each([
    [130018, false],
    [140000, true],
    [189999, true],
    [190000, false],
  ])('%i', (versionNum, supported) => {
    expect(worse(decideVersion({ ...SERVER, versionNum })).length === 0).toBe(supported);
  });

  it('a fork is not PostgreSQL', () => {
    const version = 'PostgreSQL 15.2-YB-2.25.1.0-b0 on x86_64-pc-linux-gnu';
    expect(worse(decideVersion({ ...SERVER, version }))).toEqual(['blocker server-version shop']);
  });

  it('a standby', () => {
    expect(worse(decideVersion({ ...SERVER, inRecovery: true }))).toEqual(['blocker server-primary shop']);
  });
});

describe('WAL, slots and senders', () => {
  it.each([
    ['rds', 'rds.logical_replication = 1'],
    ['cloudsql', 'cloudsql.logical_decoding = on'],
    ['azure', 'wal_level = LOGICAL'],
    [null, "ALTER SYSTEM SET wal_level = 'logical'"],
  ] as const)('wal_level on %s', (provider, fix) => {
    const [finding] = decideWal({ ...withSettings({ wal_level: 'replica' }), provider }, null);
    expect(finding).toMatchObject({ id: 'wal-level', severity: 'blocker', fix: expect.stringContaining(fix) as string });
  });

  it('two of each are enough, with one there is no way back', () => {
    expect(worse(decideWal({ ...SERVER, slotsUsed: 8, walSendersUsed: 8 }, null))).toEqual([]);
    const findings = decideWal({ ...SERVER, slotsUsed: 9, walSendersUsed: 9 }, null);
    expect(worse(findings)).toEqual(['warning replication-slots max_replication_slots', 'warning wal-senders max_wal_senders']);
    expect(findings[1]).toMatchObject({
      message: expect.stringContaining('needs a second one for its way back, or --no-way-back') as string,
      fix: expect.stringContaining('11') as string,
    });
    expect(worse(decideWal({ ...SERVER, slotsUsed: 9, walSendersUsed: 9 }, OPEN))).toEqual([]);
  });

  it('none is left', () => {
    expect(worse(decideWal({ ...SERVER, slotsUsed: 10, walSendersUsed: 10 }, null))).toEqual([
      'blocker replication-slots max_replication_slots',
      'blocker wal-senders max_wal_senders',
    ]);
  });

  it('an open migration has its own', () => {
    expect(worse(decideWal({ ...SERVER, slotsUsed: 10, walSendersUsed: 10 }, OPEN))).toEqual([]);
  });

  it.each([
    ['-1', 10 ** 12, []],
    ['1024', 10 ** 6, []],
    ['1023', 10 ** 6, ['warning slot-wal-limit max_slot_wal_keep_size']],
    ['20000', 30 * 2 ** 30, ['warning slot-wal-limit max_slot_wal_keep_size']],
    ['65536', 10 ** 13, []],
  ])('max_slot_wal_keep_size = %s MB for %d bytes', (size, bytes, expected) => {
    expect(worse(decideSlotLimits(withSettings({ max_slot_wal_keep_size: size }), bytes))).toEqual(expected);
  });

  it('idle slots that end (18)', () => {
    expect(worse(decideSlotLimits(withSettings({ idle_replication_slot_timeout: '600' }), 0))).toEqual([
      'warning slot-idle-limit idle_replication_slot_timeout',
    ]);
  });
});

describe('timeouts and connections', () => {
  it.each([
    [{ wal_sender_timeout: '0' }, []],
    [{ wal_sender_timeout: '9999' }, ['warning wal-sender-timeout wal_sender_timeout']],
    [{ transaction_timeout: '1000' }, ['warning session-limits shop']],
  ])('%o', (settings, expected) => {
    expect(worse(decideTimeouts(withSettings(settings)))).toEqual(expected);
  });

  it.each([
    [{}, 'ok'],
    [{ sessionsUsed: 88 }, 'warning'],
    [{ sessionsUsed: 87 }, 'ok'],
    [{ roleConnectionLimit: 10, roleSessions: 1 }, 'warning'],
    [{ roleConnectionLimit: 11, roleSessions: 1 }, 'ok'],
    [{ databaseConnectionLimit: 15 }, 'warning'],
  ])('%o', (facts, severity) => {
    expect(decideConnections({ ...SERVER, ...facts }, null).severity).toBe(severity);
  });
});

describe('the lock table', () => {
  it('is as large as the server makes it', () => {
    expect(computeLockCapacity(SETTINGS)).toBe(64 * (100 + 3 + 8 + 10 + 1));
    expect(computeLockCapacity({ ...SETTINGS, autovacuum_worker_slots: '16', max_prepared_transactions: '5' })).toBe(
      64 * (100 + 16 + 8 + 10 + 1 + 5),
    );
  });

  it.each([
    [30, 3, 'ok'],
    [195, 3, 'ok'],
    [196, 3, 'warning'],
    [1171, 3, 'warning'],
    [1172, 3, 'blocker'],
  ])('%i leaves with %i indexes', (leaves, indexes, severity) => {
    expect(decideLockTable(SERVER, leaves, indexes).severity).toBe(severity);
  });
});

describe('names in the encoding', () => {
  it.each([
    ['UTF8', ['größe'], 'ok'],
    ['LATIN1', ['size'], 'ok'],
    ['LATIN1', ['größe'], 'blocker'],
    ['SQL_ASCII', ['日付'], 'blocker'],
  ])('%s %o', (encoding, names, severity) => {
    expect(decideEncoding({ ...SERVER, encoding }, names).severity).toBe(severity);
  });
});

describe('the way to the server', () => {
  const DIRECT: LinkFacts = {
    announcedPid: 10,
    backendPids: [10, 10, 10],
    stateSurvives: true,
    sharesBackend: null,
    serverPort: 5432,
    configuredPort: 5432,
  };
  it.each([
    ['direct', {}, 'ok'],
    ['a forwarded port is no pooler', { serverPort: 5432, configuredPort: 6543 }, 'ok'],
    ['statements in two server processes', { backendPids: [10, 11, 10] }, 'blocker'],
    ['two sessions in one server process', { announcedPid: 99, sharesBackend: true }, 'blocker'],
    ['settings that are forgotten', { stateSurvives: false }, 'blocker'],
    ['a proxy that keeps sessions apart', { announcedPid: 99, sharesBackend: false }, 'warning'],
  ])('%s', (_name, facts, severity) => {
    expect(decideLink({ ...DIRECT, ...facts }, 'h:6543/d').severity).toBe(severity);
  });

  const WHO = { role: 'app', database: 'Shop', clientAddress: '10.0.0.7' };
  it('a refusal of pg_hba.conf is answered with the line to add', () => {
    const probe = { outcome: 'refused', sqlState: '28000', message: 'no pg_hba.conf entry for replication connection' } as const;
    expect(decideReplicationConnection(probe, WHO)).toMatchObject({
      severity: 'blocker',
      fix: expect.stringContaining('host  "Shop"  app  10.0.0.7/32  scram-sha-256') as string,
    });
    expect(decideReplicationConnection(probe, { ...WHO, clientAddress: '::1' }).fix).toContain('::1/128');
    expect(decideReplicationConnection(probe, { ...WHO, clientAddress: null }).fix).toContain('local  "Shop"  app  scram');
  });

  it.each([
    ['08P01', 'directly'],
    ['53300', 'max_wal_senders'],
    [null, 'pg_hba.conf'],
  ])('a refusal with %s', (sqlState, fix) => {
    expect(decideReplicationConnection({ outcome: 'refused', sqlState, message: 'no' }, WHO)).toMatchObject({
      severity: 'blocker',
      fix: expect.stringContaining(fix) as string,
    });
  });

  it('what is known already is not a second blocker', () => {
    expect(decideReplicationConnection({ outcome: 'skipped', reason: 'no WAL sender is free' }, WHO).severity).toBe('warning');
  });
});

describe('what goes on', () => {
  const session = { pid: 5, role: 'app', database: 'shop', application: 'job', state: 'idle in transaction', writes: true };
  it.each([
    [[], ['ok']],
    [[{ ...session, seconds: 59 }], ['ok']],
    [
      [
        { ...session, seconds: 60 },
        { ...session, pid: 6, seconds: 7200 },
      ],
      ['warning', 'warning'],
    ],
    [[{ ...session, seconds: null }], ['warning']],
  ])('transactions %o', (transactions, severities) => {
    expect(decideTransactions(transactions).map(({ severity }) => severity)).toEqual(severities);
  });

  it('a long transaction is named', () => {
    expect(decideTransactions([{ ...session, seconds: 7200 }])[0]).toMatchObject({
      object: 'pid 5',
      message: 'pid 5 of app in shop (job) is in a transaction for 2 h, idle in transaction, and has written',
      fix: 'let it end, or SELECT pg_terminate_backend(5);',
    });
  });

  it('prepared transactions and event triggers are named', () => {
    expect(decidePrepared([{ gid: "o'k", owner: 'app', database: 'shop', seconds: 5 }])[0]!.fix).toBe(
      "COMMIT PREPARED 'o''k'; or ROLLBACK PREPARED 'o''k';",
    );
    expect(worse(decideEventTriggers([{ name: 'e', event: 'ddl_command_end', function: 'f' }]))).toEqual(['warning event-triggers e']);
  });
});
