import { describe, expect, it } from 'vitest';
import type { ColumnFacts } from '../../../src/plan/preflight/columns.ts';
import { decideColumnTypes } from '../../../src/plan/preflight/columns.ts';
import { decideAttached, decideDependents, type Dependent } from '../../../src/plan/preflight/dependents.ts';
import { computeEnds, decideLeafCount, decideStep, estimateLeaves } from '../../../src/plan/preflight/leaf-count.ts';
import { decideOpenMigration, listNearest } from '../../../src/plan/preflight/names.ts';
import { decideInfinity, decideNulls, type KeyRange } from '../../../src/plan/preflight/partition-column.ts';
import { CHECKS } from '../../../src/plan/preflight/registry.ts';
import { decideReplicationRole, type RoleFacts } from '../../../src/plan/preflight/role.ts';
import { decideSpace } from '../../../src/plan/preflight/size.ts';
import { decideFreezeAge, type TableFacts } from '../../../src/plan/preflight/table-kind.ts';

const TABLE: TableFacts = {
  oid: 1,
  schema: 'app',
  name: 'events',
  kind: 'r',
  persistence: 'p',
  isPartition: false,
  ofType: null,
  accessMethod: 'heap',
  replicaIdentity: 'd',
  rowSecurity: false,
  rowSecurityForced: false,
  parents: [],
  children: [],
  extensions: [],
  frozenAge: 10,
  tableBytes: 1000,
  indexBytes: 100,
  blocks: 1,
};
const COLUMN: ColumnFacts = {
  name: 'at',
  attnum: 1,
  type: 'date',
  typeOid: 1082,
  baseType: 'date',
  baseKind: 'b',
  isArray: false,
  isBuiltin: true,
  isDefined: true,
  typmod: -1,
  isDeterministic: true,
  notNull: false,
  generated: '',
  nullFraction: null,
};

describe('NULLs of the partition column', () => {
  it.each([
    ['NOT NULL', { notNull: true }, 'none', 'ok'],
    ['none there', {}, 'none', 'warning'],
    ['one there', {}, 'found', 'blocker'],
    ['no time, no statistics', {}, 'unknown', 'warning'],
    ['no time, statistics say none', { nullFraction: 0 }, 'unknown', 'warning'],
    ['no time, statistics say some', { nullFraction: 0.01 }, 'unknown', 'blocker'],
  ] as const)('%s', (_name, column, look, severity) => {
    expect(decideNulls({ ...COLUMN, ...column }, look, 5, TABLE).severity).toBe(severity);
  });

  it('the fix never scans under an exclusive lock', () => {
    const { fix } = decideNulls(COLUMN, 'none', 5, TABLE);
    expect(fix).toMatch(/NOT VALID;\n.*VALIDATE CONSTRAINT.*\n.*SET NOT NULL/);
  });
});

describe('infinity', () => {
  const range: KeyRange = { lowest: '2024-01-01', highest: '2024-03-01', from: 'rows', hasInfinity: false };
  it.each([
    ['none', 'date', {}, 'ok'],
    ['of a number', 'int8', { from: 'statistics' }, 'ok'],
    ['seen', 'date', { highest: 'infinity' }, 'blocker'],
    ['seen below', 'timestamptz', { lowest: '-infinity' }, 'blocker'],
    ['in the statistics', 'date', { from: 'statistics', hasInfinity: true }, 'blocker'],
    ['not looked for', 'date', { from: 'statistics' }, 'warning'],
  ] as const)('%s', (_name, kind, change, severity) => {
    expect(decideInfinity(COLUMN, kind, { ...range, ...change }, TABLE).severity).toBe(severity);
  });
});

describe('leaves', () => {
  const day = { step: { unit: 'day', count: 1 }, from: null } as const;
  it.each([
    ['nothing known', { min: null, max: null, now: null }, 4],
    ['one day', { min: 0n, max: 0n, now: 0n }, 4],
    ['a hundred days', { min: 0n, max: 99n, now: 50n }, 103],
    ['data in the past', { min: 0n, max: 10n, now: 99n }, 103],
  ])('%s', (_name, ends, leaves) => {
    expect(estimateLeaves('date', day, ends, 3)).toBe(leaves);
  });

  it('what lies before --from is one leaf', () => {
    expect(estimateLeaves('date', { ...day, from: 90n }, { min: -700_000n, max: 99n, now: null }, 3)).toBe(14);
  });

  it('steps of the calendar and of numbers', () => {
    expect(estimateLeaves('date', { step: { unit: 'year', count: 1 }, from: null }, { min: 0n, max: 3660n, now: null }, 0)).toBe(11);
    expect(estimateLeaves('int8', { step: { unit: 'value', count: '1000' }, from: null }, { min: -500n, max: 99_999n, now: null }, 0)).toBe(
      101,
    );
  });

  it.each([
    [1000, 'ok'],
    [1001, 'warning'],
    [5001, 'blocker'],
  ])('%i are %s', (leaves, severity) => {
    const range: KeyRange = { lowest: 'a', highest: 'b', from: 'rows', hasInfinity: false };
    expect(decideLeafCount(leaves, range, TABLE).severity).toBe(severity);
  });

  it('infinity is not counted', () => {
    expect(computeEnds('date', { lowest: '-infinity', highest: '2000-01-02', from: 'rows', hasInfinity: false })).toEqual({
      min: 1n,
      max: 1n,
    });
  });

  it.each([
    ['month', undefined, true],
    ['fortnight', undefined, false],
    ['month', '2024-01-01', true],
    ['month', 'infinity', false],
    ['month', 'soon', false],
  ])('--every %s --from %s', (every, from, fits) => {
    const { finding, partitioning } = decideStep('date', { every, ...(from === undefined ? {} : { from }) }, TABLE);
    expect([finding.severity, partitioning !== null]).toEqual(fits ? ['ok', true] : ['blocker', false]);
  });
});

describe('what depends on the table', () => {
  const DEPENDENT: Dependent = {
    catalog: 'pg_future_catalog',
    dependency: 'n',
    onRowType: false,
    description: 'thing x',
    identity: 'x',
    relationKind: '',
    constraintType: null,
    constraintName: null,
    isInternalTrigger: false,
    name: null,
    isOwn: false,
    relation: null,
    ruleRelationKind: null,
  };
  const worse = (dependent: Partial<Dependent>, table = TABLE): string[] =>
    decideDependents([{ ...DEPENDENT, ...dependent }], table)
      .filter(({ severity }) => severity !== 'ok')
      .map(({ id, object }) => `${id} ${object}`);

  it.each([
    ['a catalog of tomorrow', {}, ['other-dependents x']],
    ['a cast', { catalog: 'pg_cast', onRowType: true }, ['other-dependents x']],
    ['a relation that is nothing known', { catalog: 'pg_class', relationKind: 'r' }, ['other-dependents x']],
    ["another table's default", { catalog: 'pg_attrdef' }, ['other-dependents x']],
    ["a domain's check", { catalog: 'pg_constraint', constraintType: 'c' }, ['other-dependents x']],
    ['a constraint of a kind of tomorrow', { catalog: 'pg_constraint', constraintType: 'z', isOwn: true }, ['other-dependents x']],
    ['its own default', { catalog: 'pg_attrdef', isOwn: true }, []],
    ['its own check', { catalog: 'pg_constraint', constraintType: 'c', isOwn: true }, []],
    ['its own index', { catalog: 'pg_class', relationKind: 'i', isOwn: true }, []],
    ['its TOAST table', { catalog: 'pg_class', relationKind: 't' }, []],
    ['its sequence', { catalog: 'pg_class', relationKind: 'S', dependency: 'a' }, []],
    ['the trigger of a foreign key', { catalog: 'pg_trigger', isInternalTrigger: true }, []],
  ] as const)('%s', (_name, dependent, expected) => {
    expect(worse(dependent)).toEqual(expected);
  });

  it('a child is named by table-inheritance', () => {
    expect(worse({ catalog: 'pg_class', relationKind: 'r' }, { ...TABLE, children: ['x'] })).toEqual([]);
  });

  it('security labels', () => {
    const facts = {
      subscriptions: [],
      securityLabels: ['selinux on column v of table app.events'],
      extensionIndexes: [],
    };
    const findings = decideAttached(facts, TABLE);
    expect(findings.filter(({ severity }) => severity === 'blocker').map(({ id, object }) => `${id} ${object}`)).toEqual([
      'security-labels selinux on column v of table app.events',
    ]);
  });
});

describe('columns', () => {
  it('pseudo types and shells are refused', () => {
    const columns = [
      { ...COLUMN, name: 'p', type: 'unknown', baseKind: 'p' },
      { ...COLUMN, name: 's', isDefined: false },
    ];
    expect(
      decideColumnTypes(columns, TABLE)
        .filter(({ severity }) => severity === 'blocker')
        .map(({ object }) => object),
    ).toEqual(['app.events.p', 'app.events.s']);
  });
});

describe('the role on a managed service', () => {
  const ROLE: RoleFacts = {
    role: 'app',
    isSuperuser: false,
    isReplication: false,
    memberOf: [],
    database: 'shop',
    mayCreate: true,
    mayTemp: true,
    controlSchema: null,
  };
  const refused = { outcome: 'refused', sqlState: '28000', message: 'no' } as const;
  it.each([
    ['nothing', ROLE, refused, null, 'blocker'],
    ['rds_replication', { ...ROLE, memberOf: ['rds_replication'] }, refused, 'rds', 'ok'],
    ['a replication connection that opens is the proof', ROLE, { outcome: 'opened' }, 'cloudsql', 'ok'],
    ['cloudsqlsuperuser needs the attribute', { ...ROLE, memberOf: ['cloudsqlsuperuser'] }, refused, 'cloudsql', 'blocker'],
  ] as const)('%s', (_name, role, probe, provider, severity) => {
    expect(decideReplicationRole(role, probe, provider).severity).toBe(severity);
  });

  it('RDS grants it by membership', () => {
    expect(decideReplicationRole(ROLE, refused, 'rds').fix).toBe('GRANT rds_replication TO "app";');
  });
});

it('sizes and ages', () => {
  expect(decideSpace(TABLE, { settings: {} }).severity).toBe('ok');
  expect(decideSpace({ ...TABLE, tableBytes: 2 ** 40 }, { settings: { max_slot_wal_keep_size: '1024' } })).toMatchObject({
    severity: 'warning',
    message: expect.stringContaining('1.0 TB') as string,
  });
  expect(decideFreezeAge({ ...TABLE, frozenAge: 179 }, 200).severity).toBe('ok');
  expect(decideFreezeAge({ ...TABLE, frozenAge: 180 }, 200).severity).toBe('warning');
});

it('an open migration is resumed, a failed one is not', () => {
  expect(decideOpenMigration(null, TABLE).severity).toBe('ok');
  expect(decideOpenMigration({ id: 3, phase: 'catchup' }, TABLE)).toMatchObject({
    severity: 'ok',
    message: expect.stringContaining('start resumes it') as string,
  });
  expect(decideOpenMigration({ id: 3, phase: 'failed' }, TABLE).severity).toBe('warning');
});

it('mistyped names', () => {
  expect(listNearest('evnets', ['events', 'event', 'orders'])).toEqual(['events']);
  expect(listNearest('EVENTS', ['events'])).toEqual(['events']);
  expect(listNearest('created', ['created_at', 'updated_at'])).toEqual(['created_at']);
  expect(listNearest('x', ['y', 'zz', 'long_name'])).toEqual(['y', 'zz']);
});

it('every check has its text', () => {
  for (const [id, { title, why, fix }] of Object.entries(CHECKS)) {
    expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(title, id).toMatch(/^[a-z]/);
    expect(why, id).toMatch(/[.)]$/);
    expect(fix, id).not.toBe('');
  }
});
