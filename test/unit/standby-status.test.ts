import { expect, it } from 'vitest';
import { encodeStandbyStatus } from '../../src/domain/standby-status.ts';

it('tells one position three times, and the time since 2000', () => {
  const message = encodeStandbyStatus(0x16_b374d848n, Date.UTC(2000, 0, 1, 0, 0, 1));
  expect(message.toString('hex')).toBe(`72${'00000016b374d848'.repeat(3)}00000000000f424000`);
});
