import { describe, expect, it } from 'vitest';
import {
  recognizeProvider,
  replicationRoleFix,
  settingFix,
  walLevelFix,
  type ProviderMarks,
} from '../../../src/plan/preflight/provider.ts';
import { decideReplicationConnection } from '../../../src/plan/preflight/link.ts';
import { decideSynchronous, parseStandbyNames } from '../../../src/plan/preflight/standbys.ts';

const NONE: ProviderMarks = { prefixes: [], roles: [], functions: [] };

describe('the provider', () => {
  it.each([
    [NONE, null],
    [{ ...NONE, prefixes: ['rds'] }, 'rds'],
    [{ ...NONE, roles: ['rds_superuser'] }, 'rds'],
    [{ prefixes: ['rds'], roles: ['rds_superuser'], functions: ['aurora_version'] }, 'aurora'],
    [{ ...NONE, prefixes: ['cloudsql'] }, 'cloudsql'],
    [{ ...NONE, roles: ['azure_pg_admin'] }, 'azure'],
    [{ ...NONE, prefixes: ['neon'], roles: ['neon_superuser'] }, 'neon'],
    [{ ...NONE, roles: ['neon_superuser'] }, 'neon'],
    [{ ...NONE, prefixes: ['supautils'], roles: ['supabase_admin'] }, 'supabase'],
    // Supabase that somebody hosts on Aurora: the settings are Amazon's.
    [{ prefixes: ['rds'], roles: ['rds_superuser', 'supabase_admin'], functions: ['aurora_version'] }, 'aurora'],
  ] as const)('%o', (marks, provider) => {
    expect(recognizeProvider(marks)).toBe(provider);
  });

  it.each([
    ['rds', 'set max_replication_slots = 12 in the parameter group, then reboot the instance'],
    ['aurora', 'set max_replication_slots = 12 in the DB cluster parameter group, then reboot the writer instance'],
    ['cloudsql', 'set the flag max_replication_slots = 12; the instance restarts'],
    ['azure', 'set the server parameter max_replication_slots = 12, then restart the server'],
    ['supabase', 'supabase --experimental postgres-config update --config max_replication_slots=12 (the database restarts)'],
    ['neon', 'Neon sets max_replication_slots itself: ask its support for 12'],
    [null, 'ALTER SYSTEM SET max_replication_slots = 12; then restart PostgreSQL'],
  ] as const)('%s keeps its settings elsewhere', (provider, fix) => {
    expect(settingFix(provider, 'max_replication_slots', '12', true)).toBe(fix);
  });

  it('pg_hba.conf is not for the user of a service to edit', () => {
    const refused = { outcome: 'refused', sqlState: '28000', message: 'no' } as const;
    const where = { role: 'app', database: 'shop', clientAddress: '10.0.0.1' };
    expect(decideReplicationConnection(refused, where).fix).toContain('pg_hba.conf');
    expect(decideReplicationConnection(refused, { ...where, provider: 'neon' }).fix).toContain("the host without '-pooler'");
    expect(decideReplicationConnection(refused, { ...where, provider: 'rds' }).fix).toContain('the network rules of Amazon RDS');
  });

  it('a setting that needs no restart', () => {
    expect(settingFix(null, 'max_slot_wal_keep_size', '2048MB', false)).toBe(
      "ALTER SYSTEM SET max_slot_wal_keep_size = '2048MB'; SELECT pg_reload_conf();",
    );
    expect(settingFix('rds', 'max_slot_wal_keep_size', '2048', false)).toBe('set max_slot_wal_keep_size = 2048 in the parameter group');
  });

  it('how a role comes to replicate, and wal_level to logical', () => {
    expect(replicationRoleFix('aurora', 'a"b')).toBe('GRANT rds_replication TO "a""b";');
    expect(replicationRoleFix(null, 'app')).toBe('ALTER ROLE "app" REPLICATION;');
    for (const provider of ['cloudsql', 'azure', 'supabase', 'neon'] as const)
      expect(replicationRoleFix(provider, 'app')).toMatch(/^ALTER ROLE "app" REPLICATION; \(as /);
    expect(walLevelFix('aurora')).toContain('DB cluster parameter group');
    expect(walLevelFix('neon')).toContain('Logical Replication');
  });
});

describe('synchronous standbys', () => {
  it.each([
    ['s1', false, 1, ['s1']],
    ['s1, "S 2",s3', false, 1, ['s1', 'S 2', 's3']],
    ['2 (s1, s2)', false, 2, ['s1', 's2']],
    ['FIRST 1 (*)', false, 1, ['*']],
    ['any 2(s1, s_2, "a""b")', true, 2, ['s1', 's_2', 'a"b']],
    ['*', false, 1, ['*']],
    ['any', false, 1, ['any']],
  ])('%s', (text, quorum, count, names) => {
    expect(parseStandbyNames(text)).toEqual({ quorum, count, names });
  });

  it.each([
    ['', 'ok'],
    ['s1, s2', 'ok'],
    ['partitioner', 'ok'],
    ['*', 'warning'],
    ['FIRST 1 (s1, *)', 'warning'],
    ['ANY 1 (*)', 'warning'],
    ['"Partitioner Walsender"', 'warning'],
  ])('%s: %s', (text, severity) => {
    expect(decideSynchronous({ settings: { synchronous_standby_names: text } }).severity).toBe(severity);
  });

  it('says what it does', () => {
    expect(decideSynchronous({ settings: { synchronous_standby_names: 'ANY 1 (s1, s2, *)' } })).toMatchObject({
      message: expect.stringContaining('that no standby has') as string,
      fix: expect.stringContaining("= 'ANY 1 (s1, s2)'") as string,
    });
    expect(decideSynchronous({ settings: { synchronous_standby_names: '*' } }).message).toContain('waits until the daemon has applied it');
  });
});
