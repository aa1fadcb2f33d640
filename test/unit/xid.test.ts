import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { widenXid } from '../../src/domain/xid.ts';

describe('widenXid', () => {
  it.each([
    [100, 100n, 100n],
    [100, (7n << 32n) | 90n, (7n << 32n) | 100n],
    [0xffff_fff0, 8n << 32n, (7n << 32n) | 0xffff_fff0n],
    [3, (7n << 32n) | 0xffff_fffen, (8n << 32n) | 3n],
    [0xffff_fff0, 5n, 0xffff_fff0n], // before the first epoch there is nothing
  ])('widens %i near %i to %i', (xid, reference, wide) => {
    expect(widenXid(xid, reference)).toBe(wide);
  });

  it('finds every xid8 less than 2^31 away again', () => {
    fc.assert(
      fc.property(fc.bigInt(3n, (1n << 63n) - 1n), fc.bigInt(-(1n << 31n) + 1n, (1n << 31n) - 1n), (xid, distance) => {
        fc.pre(xid + distance >= 0n);
        expect(widenXid(Number(xid & 0xffff_ffffn), xid + distance)).toBe(xid);
      }),
    );
  });
});
