import { describe, expect, it } from 'vitest';
import { keyLiteral, parseEvery, parseKeyText, type KeyKind } from '../../src/domain/partition-key.ts';
import { planLeaves } from '../../src/plan/leaves.ts';
import { leafObjectName, migrationOf, retiredName, slotName, targetName } from '../../src/plan/names.ts';

interface Case {
  readonly kind: KeyKind;
  readonly every: string;
  readonly min?: string;
  readonly max?: string;
  readonly now?: string;
  readonly from?: string;
  readonly premake: number;
}

function leavesOf({ kind, every, min, max, now, from, premake }: Case): string[] {
  const value = (text: string | undefined): bigint | null => (text === undefined ? null : parseKeyText(kind, text));
  const bounds = { min: value(min), max: value(max), now: value(now), from: value(from) ?? undefined };
  const bound = (at: bigint | null): string => (at === null ? 'open' : keyLiteral(kind, at));
  return planLeaves({ table: 'e', kind, step: parseEvery(every, kind), premake, ...bounds }).map(
    ({ name, lower, upper }) => `${name} ${bound(lower)} ${bound(upper)}`,
  );
}

describe('planLeaves', () => {
  it('covers data and now, and some ahead, without a gap', () => {
    expect(leavesOf({ kind: 'date', every: 'month', min: '2023-11-20', max: '2023-12-01', now: '2024-01-31', premake: 2 })).toEqual([
      `e_p2023_11 '2023-11-01' '2023-12-01'`,
      `e_p2023_12 '2023-12-01' '2024-01-01'`,
      `e_p2024_01 '2024-01-01' '2024-02-01'`,
      `e_p2024_02 '2024-02-01' '2024-03-01'`,
      `e_p2024_03 '2024-03-01' '2024-04-01'`,
    ]);
  });

  it('reaches back to now when the data lies ahead', () => {
    expect(leavesOf({ kind: 'date', every: 'year', min: '2025-01-01', max: '2025-02-01', now: '2024-06-01', premake: 0 })).toEqual([
      `e_p2024 '2024-01-01' '2025-01-01'`,
      `e_p2025 '2025-01-01' '2026-01-01'`,
    ]);
  });

  it('is one leaf and those ahead for an empty table', () => {
    expect(leavesOf({ kind: 'int8', every: '100', premake: 1 })).toEqual(['e_p0 0 100', 'e_p100 100 200']);
  });

  it('puts what lies before --from into an edge leaf, only when there is such data', () => {
    const data = { kind: 'int8', every: '100', max: '250', from: '150', premake: 0 } as const;
    expect(leavesOf({ ...data, min: '-7' })).toEqual(['e_pmin open 150', 'e_p150 150 200', 'e_p200 200 300']);
    expect(leavesOf({ ...data, min: '199' })).toEqual(['e_p150 150 200', 'e_p200 200 300']);
    expect(leavesOf({ ...data, min: '-7', max: '20' })).toEqual(['e_pmin open 150', 'e_p150 150 200']);
  });

  it('ends where the type ends', () => {
    expect(leavesOf({ kind: 'int2', every: '20000', min: '-32768', max: '5', premake: 9 })).toEqual([
      'e_pmin open -20000',
      'e_pm20000 -20000 0',
      'e_p0 0 20000',
      'e_p20000 20000 open',
    ]);
    expect(leavesOf({ kind: 'date', every: 'year', min: '5874897-01-01', max: '5874897-01-01', premake: 3 })).toEqual([
      `e_p5874897 '5874897-01-01' 'infinity'`,
    ]);
  });

  it('refuses more leaves than a server can bear', () => {
    expect(() => leavesOf({ kind: 'date', every: 'day', min: '0001-01-01', max: '2024-01-01', premake: 0 })).toThrow(
      expect.objectContaining({ code: 'PREFLIGHT_REFUSED' }),
    );
  });
});

describe('names', () => {
  it('carry the migration and fit', () => {
    expect(targetName(7, 'events')).toBe('partitioner_7_target_events');
    expect(migrationOf(targetName(7, 'events'))).toBe(7);
    expect(migrationOf('partitioner_12')).toBe(12);
    expect(migrationOf('events')).toBeNull();
    expect(slotName(3, 'Büro')).toMatch(/^partitioner_3_[0-9a-f]{8}$/);
    const long = 'ü'.repeat(31);
    expect(Buffer.byteLength(retiredName(1, long))).toBeLessThanOrEqual(63);
    expect(retiredName(1, `${long}a`)).not.toBe(retiredName(1, `${long}b`));
  });

  it.each([
    ['events_pkey', 'events_p2024_01_pkey'],
    ['events_created_at_idx', 'events_p2024_01_created_at_idx'],
    ['by_customer', 'events_p2024_01_by_customer'],
    ['events', 'events_p2024_01_events'],
  ])('%s of a leaf is %s', (name, expected) => {
    expect(leafObjectName('events_p2024_01', 'events', name, new Set())).toBe(expected);
  });

  it('of the indexes of a leaf with a 63-byte name all differ', () => {
    const table = 't'.repeat(63);
    const leaf = `${'t'.repeat(54)}_p2024_01`;
    const taken = new Set<string>();
    const names = ['a', 'b', table, 'pkey', `${'x'.repeat(62)}1`, `${'x'.repeat(62)}2`].map((name) =>
      leafObjectName(leaf, table, name, taken),
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(63);
    expect(leafObjectName(leaf, table, 'a', new Set())).toBe(names[0]);
  });
});
