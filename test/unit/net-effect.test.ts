import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyFieldsOf, NetEffect, type RowLayout } from '../../src/domain/net-effect.ts';
import { TupleFields } from '../../src/domain/tuple.ts';

/** Columns: id int8 (key), part int8 (partition key), value text, toast text. */
const LAYOUT: RowLayout = {
  positions: [0, 1, 2, 3],
  keyPositions: [0],
  keyCanons: ['bytes'],
  partitionPosition: 1,
  partitionKind: 'int8',
  partitionWire: 'binary',
};

const NO_RULES = { isFenced: () => false, isInRepair: () => false };

interface Row {
  part: number;
  value: string;
  toast: string;
}

function int8(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

function field(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write('b');
  head.writeInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function tuple(id: number, row: Row, toastUnchanged = false): Buffer {
  const toast = toastUnchanged ? Buffer.from('u') : field(Buffer.from(row.toast));
  return Buffer.concat([Buffer.of(0, 4), field(int8(id)), field(int8(row.part)), field(Buffer.from(row.value)), toast]);
}

function oldKey(id: number): Buffer {
  return Buffer.concat([Buffer.of(0, 4), field(int8(id)), Buffer.from('nnn')]);
}

function idOf(holder: Buffer): number {
  return Number(keyFieldsOf(holder, LAYOUT)[0]!.readBigInt64BE());
}

/** What the merge does with a net effect: deletes, updates, inserts, each failing as the database would. */
function execute(net: NetEffect, table: Map<number, Row>): void {
  const fields = new TupleFields();
  const rowOf = (bytes: Buffer, before: Row | undefined): Row => {
    fields.read(bytes);
    return {
      part: Number(fields.bytes(1).readBigInt64BE()),
      value: fields.bytes(2).toString(),
      toast: fields.isUnchanged(3) ? before!.toast : fields.bytes(3).toString(),
    };
  };
  for (const gone of net.gone.values()) expect(table.delete(idOf(gone))).toBe(true);
  const moved: [number, Row][] = [];
  for (const row of net.rows.values()) {
    if (!row.pre) continue;
    const before = table.get(idOf(row.pre));
    expect(before).toBeDefined();
    table.delete(idOf(row.pre));
    moved.push([idOf(row.tuple), rowOf(row.tuple, before)]);
  }
  for (const [id, row] of moved) {
    expect(table.has(id)).toBe(false);
    table.set(id, row);
  }
  for (const row of net.rows.values()) {
    if (row.pre) continue;
    expect(row.unchanged).toBe('');
    expect(table.has(idOf(row.tuple))).toBe(false);
    table.set(idOf(row.tuple), rowOf(row.tuple, undefined));
  }
}

const operation = fc.record({
  kind: fc.constantFrom('put', 'delete', 'rekey'),
  id: fc.integer({ min: 0, max: 5 }),
  to: fc.integer({ min: 0, max: 5 }),
  part: fc.integer({ min: 0, max: 2 }),
  value: fc.string({ maxLength: 3 }),
  toast: fc.option(fc.string({ maxLength: 3 }), { nil: undefined }),
});

describe('NetEffect', () => {
  test('leaves the table as the changes one by one do', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.string({ maxLength: 3 }))),
        fc.array(operation, { maxLength: 60 }),
        (before, operations) => {
          const truth = new Map<number, Row>(before.map(([id, value]) => [id, { part: 0, value, toast: `t${value}` }]));
          const target = new Map(truth);
          const net = new NetEffect(LAYOUT, NO_RULES, true);
          for (const { kind, id, to, part, value, toast } of operations) {
            const row = truth.get(id);
            if (!row) {
              const fresh = { part, value, toast: toast ?? 'fresh' };
              truth.set(id, fresh);
              net.insert(tuple(id, fresh), 1n);
            } else if (kind === 'delete') {
              truth.delete(id);
              net.delete(oldKey(id), 1n);
            } else {
              const next = kind === 'rekey' && !truth.has(to) ? to : id;
              const changed = { part, value, toast: toast ?? row.toast };
              truth.delete(id);
              truth.set(next, changed);
              net.update(next === id ? null : oldKey(id), tuple(next, changed, toast === undefined), 1n);
            }
          }
          expect(net.anomalies).toBe(0);
          execute(net, target);
          expect([...target].sort()).toEqual([...truth].sort());
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('does not apply again what a fence holds already, but touches it', () => {
    const net = new NetEffect(LAYOUT, { isFenced: (_key, xid) => xid < 10n, isInRepair: () => false }, true);
    net.insert(tuple(1, { part: 0, value: 'a', toast: 't' }), 9n);
    net.delete(oldKey(2), 9n);
    net.insert(tuple(3, { part: 0, value: 'a', toast: 't' }), 10n);
    expect([...net.rows.values()].map((row) => idOf(row.tuple))).toEqual([3]);
    expect(net.gone.size).toBe(0);
    expect(net.touched.size).toBe(3);
  });

  test('a row whose old key is fenced and whose TOAST value was not sent goes into the repair set', () => {
    const net = new NetEffect(LAYOUT, { isFenced: (key) => key === int8(1).toString('latin1'), isInRepair: () => false }, true);
    net.update(oldKey(1), tuple(2, { part: 0, value: 'a', toast: '' }, true), 1n);
    expect([...net.repair.values()].map(idOf).sort()).toEqual([1, 2]);
    expect(net.rows.size).toBe(0);
  });

  test('changes to a key in repair only add their keys', () => {
    const net = new NetEffect(LAYOUT, { isFenced: () => false, isInRepair: (key) => key === int8(1).toString('latin1') }, true);
    net.update(oldKey(1), tuple(7, { part: 0, value: 'a', toast: 'x' }), 1n);
    net.delete(oldKey(7), 1n);
    expect([...net.repair.values()].map(idOf).sort()).toEqual([1, 7]);
    expect([...net.gone, ...net.rows]).toEqual([]);
  });

  test('a key that is stored out of line is taken from the old key, and nothing else of it', () => {
    const layout: RowLayout = { ...LAYOUT, keyPositions: [0, 3], keyCanons: ['bytes', 'bytes'] };
    const net = new NetEffect(layout, NO_RULES, true);
    const toast = field(Buffer.from('key'));
    const old = (id: number): Buffer => Buffer.concat([Buffer.of(0, 4), field(int8(id)), Buffer.from('nn'), toast]);
    net.update(old(1), tuple(1, { part: 4, value: 'new', toast: '' }, true), 1n);
    net.update(old(2), tuple(3, { part: 5, value: 'newer', toast: '' }, true), 1n);
    expect([...net.rows.values()].map(({ tuple: row, pre, unchanged }) => ({ row, pre, unchanged }))).toEqual([
      { row: tuple(1, { part: 4, value: 'new', toast: 'key' }), pre: old(1), unchanged: '' },
      { row: tuple(3, { part: 5, value: 'newer', toast: 'key' }), pre: old(2), unchanged: '' },
    ]);
    expect(net.touched.size).toBe(3);
  });

  test('tells rows that take the key of another', () => {
    const row = { part: 0, value: 'a', toast: 't' };
    const of = (...changes: readonly (readonly [from: number | null, to: number | null])[]): boolean => {
      const net = new NetEffect(LAYOUT, NO_RULES, false);
      for (const [from, to] of changes) {
        if (from === null) net.insert(tuple(to!, row), 1n);
        else if (to === null) net.delete(oldKey(from), 1n);
        else net.update(from === to ? null : oldKey(from), tuple(to, row), 1n);
      }
      return net.reusesKeys();
    };
    expect(of([2, 3], [1, 2])).toBe(true);
    expect(of([1, 9], [2, 1], [9, 2])).toBe(true);
    expect(of([1, 1], [2, 2])).toBe(false);
    expect(of([2, 3], [null, 2])).toBe(false); // inserts come last
    expect(of([2, null], [1, 2])).toBe(false); // deletes come first
    expect(of([2, 3], [1, 2], [2, null])).toBe(false);
  });

  test('counts a change to a row that the batch itself took away', () => {
    const net = new NetEffect(LAYOUT, NO_RULES, true);
    net.delete(oldKey(1), 1n);
    net.delete(oldKey(1), 1n);
    expect(net.anomalies).toBe(1);
  });
});
