import type { WireFormat } from './table.ts';

/** The values of a row's key columns as they travel (binary or text form), in the order of the plan's `key`. */
export type KeyFields = readonly Buffer[];

/** How the bytes of one key column become comparable: equal in the index exactly when equal here. */
export type KeyCanon = 'bytes' | 'integer' | 'numeric-binary' | 'numeric-text';

/** A key as a Map key. Numbers where they are exact: most keys are integers, and a string for each would cost more than the rest. */
export type CanonicalKey = string | number;

/**
 * numeric_out and numeric_send carry a display scale, so 1.0 and 1.00 are equal with other bytes; the other key types that
 * check admits are equal exactly when their bytes are.
 */
export function keyCanon(baseType: string, wire: WireFormat): KeyCanon {
  if (/^numeric\b/.test(baseType)) return wire === 'binary' ? 'numeric-binary' : 'numeric-text';
  return wire === 'binary' && /^(smallint|integer|bigint)$/.test(baseType) ? 'integer' : 'bytes';
}

/** A key from its separate fields. */
export function canonicalKey(fields: KeyFields, canons: readonly KeyCanon[]): CanonicalKey {
  if (fields.length === 1) return canonicalField(fields[0]!, 0, fields[0]!.length, canons[0]!);
  let key = '';
  for (let i = 0; i < fields.length; i++) key = joined(key, canonicalField(fields[i]!, 0, fields[i]!.length, canons[i]!));
  return key;
}

/** Adds a field to the key of several columns; the length keeps ('a', 'bc') apart from ('ab', 'c'). */
export function joined(key: CanonicalKey, field: CanonicalKey): string {
  const text = typeof field === 'number' ? `n${field}` : field;
  return `${key}${text.length}:${text}`;
}

/** One field of a key, data[start, end). */
export function canonicalField(data: Buffer, start: number, end: number, canon: KeyCanon): CanonicalKey {
  switch (canon) {
    case 'integer': {
      if (end - start !== 8) return end - start === 4 ? data.readInt32BE(start) : data.readInt16BE(start);
      const value = data.readInt32BE(start) * 2 ** 32 + data.readUInt32BE(start + 4);
      return Number.isSafeInteger(value) ? value : data.toString('latin1', start, end);
    }
    case 'numeric-binary':
      return data.toString('latin1', start, start + 6) + data.toString('latin1', start + 8, end); // without the display scale
    case 'numeric-text': {
      const text = data.toString('latin1', start, end);
      return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
    }
    case 'bytes':
      return data.toString('latin1', start, end);
  }
}
