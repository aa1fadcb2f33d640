import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePgoutput } from '../../src/domain/pgoutput.ts';
import { MigratorError } from '../../src/errors.ts';
import { encodeMessage, encodeTuple, messages } from './pgoutput-encoder.ts';

const bytes = fc.uint8Array({ minLength: 1, maxLength: 30 }).map((array) => Buffer.from(array));

describe('decodePgoutput', () => {
  it('decodes what the protocol encodes, wherever it stands in the buffer', () => {
    fc.assert(
      fc.property(messages, bytes, bytes, (message, before, after) => {
        const encoded = encodeMessage(message);
        const data = Buffer.concat([before, encoded, after]);
        expect(decodePgoutput(data, before.length, before.length + encoded.length)).toEqual(message);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses every message that is cut short', () => {
    fc.assert(
      fc.property(messages, fc.nat(), bytes, (message, cut, after) => {
        const encoded = encodeMessage(message);
        const end = cut % encoded.length;
        expect(() => decodePgoutput(encoded.subarray(0, end))).toThrow(MigratorError);
        expect(() => decodePgoutput(Buffer.concat([encoded, after]), 0, end)).toThrow(MigratorError);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses every message with something behind it', () => {
    fc.assert(
      fc.property(messages, bytes, (message, after) => {
        expect(() => decodePgoutput(Buffer.concat([encodeMessage(message), after]))).toThrow(MigratorError);
      }),
      { numRuns: 1000 },
    );
  });

  it('throws nothing but a DEFECT on garbage', () => {
    const start = fc.nat(9).map((i) => Buffer.of('BCORYIUDTM'.charCodeAt(i)));
    fc.assert(
      fc.property(fc.option(start), bytes, (kind, garbage) => {
        const data = kind ? Buffer.concat([kind, garbage]) : garbage;
        try {
          decodePgoutput(data);
        } catch (error) {
          expect(error).toMatchObject({ code: 'DEFECT' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a column kind that it does not know', () => {
    const tuple = encodeTuple([{ kind: 'b', value: Buffer.from('x') }]);
    tuple[2] = 'x'.charCodeAt(0);
    expect(() => decodePgoutput(encodeMessage({ kind: 'insert', oid: 1, tuple }))).toThrow(/does not end where its fields do/);
  });

  it('keeps row values out of its errors', () => {
    const message = encodeMessage({ kind: 'insert', oid: 1, tuple: encodeTuple([{ kind: 't', value: Buffer.from('secret') }]) });
    try {
      decodePgoutput(message.subarray(0, -1));
      expect.unreachable();
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain('secre');
      expect(error).toMatchObject({ detail: 'kind "I", 18 bytes' });
    }
  });

  it('takes names in the encoding that they come in', () => {
    const data = Buffer.concat([Buffer.from('Y\0\0\0\x01'), Buffer.from('sch\xe9ma\0', 'latin1'), Buffer.from('n\0')]);
    expect(decodePgoutput(data, 0, data.length, (all, start, end) => all.toString('latin1', start, end))).toMatchObject({
      schema: 'schéma',
    });
  });
});
