import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyBuffer } from '../../src/domain/copy-row.ts';
import { columns, encodeTuple, type Column } from './pgoutput-encoder.ts';

/** The fields per row of a whole binary COPY; checks header and trailer. */
function readCopy(data: Buffer): (Buffer | null)[][] {
  expect(data.subarray(0, 11).toString('latin1')).toBe('PGCOPY\n\xff\r\n\0');
  expect(data.readInt32BE(11)).toBe(0);
  expect(data.readInt32BE(15)).toBe(0);
  const rows: (Buffer | null)[][] = [];
  let at = 19;
  for (let count = data.readInt16BE(at); count !== -1; count = data.readInt16BE(at)) {
    at += 2;
    const row: (Buffer | null)[] = [];
    for (let i = 0; i < count; i++) {
      const length = data.readInt32BE(at);
      at += 4;
      row.push(length === -1 ? null : data.subarray(at, at + length));
      at += Math.max(length, 0);
    }
    rows.push(row);
  }
  expect(at + 2).toBe(data.length);
  return rows;
}

const sent = columns.map((all) => all.map((column): Column => (column.kind === 'n' ? column : { ...column, kind: 'b' })));

describe('CopyBuffer', () => {
  it('writes nothing as header and trailer', () => {
    expect(readCopy(new CopyBuffer().take())).toEqual([]);
  });

  it('writes fields of every kind and grows', () => {
    const buffer = new CopyBuffer(1);
    const large = Buffer.alloc(3_000, 7);
    for (let i = 0; i < 100; i++) {
      buffer.beginRow(4);
      buffer.appendInt32Field(i - 50);
      buffer.appendNull();
      buffer.appendField(large.subarray(0, i * 30));
      buffer.appendSlice(large, i, i + 3);
    }
    const size = buffer.size;
    const data = buffer.take();
    expect(data.length).toBe(size + 2);
    const rows = readCopy(data);
    expect(rows).toHaveLength(100);
    rows.forEach((row, i) => {
      expect(row[0]!.readInt32BE()).toBe(i - 50);
      expect(row.slice(1)).toEqual([null, large.subarray(0, i * 30), large.subarray(i, i + 3)]);
    });
  });

  it('begins anew after clear', () => {
    const buffer = new CopyBuffer();
    buffer.beginRow(1);
    buffer.appendInt32Field(1);
    expect(readCopy(buffer.take()).map((row) => row[0]!.readInt32BE())).toEqual([1]);
    buffer.clear();
    buffer.beginRow(1);
    buffer.appendInt32Field(2);
    expect(readCopy(buffer.take()).map((row) => row[0]!.readInt32BE())).toEqual([2]);
  });

  it('copies the chosen columns of a tuple in any order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sent, fc.infiniteStream(fc.nat()), fc.nat(12)), { maxLength: 10 }), (tuples) => {
        const buffer = new CopyBuffer(1);
        const expected = tuples.map(([row, random, count]) => {
          const positions = row.length === 0 ? [] : [...random.take(count)].map((i) => i % row.length);
          buffer.appendTuple(encodeTuple(row), positions);
          return positions.map((i) => (row[i]!.kind === 'n' ? null : row[i]!.value));
        });
        expect(readCopy(buffer.take())).toEqual(expected);
      }),
    );
  });

  it.each(['u', 't'] as const)('refuses a value of kind %s', (kind) => {
    const tuple = encodeTuple([
      { kind: 'b', value: Buffer.from('x') },
      { kind, value: Buffer.from('x') },
    ]);
    expect(() => {
      new CopyBuffer().appendTuple(tuple, [0, 1]);
    }).toThrow(expect.objectContaining({ code: 'DEFECT' }));
    const buffer = new CopyBuffer();
    buffer.appendTuple(tuple, [0]);
    expect(readCopy(buffer.take())).toEqual([[Buffer.from('x')]]);
  });

  it('refuses a column that the tuple does not have', () => {
    expect(() => {
      new CopyBuffer().appendTuple(encodeTuple([{ kind: 'n', value: Buffer.alloc(0) }]), [1]);
    }).toThrow(/fewer columns/);
  });
});
