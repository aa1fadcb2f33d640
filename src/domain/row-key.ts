import type { WireFormat } from './table.ts';

/** The values of a row's key columns as they travel (binary or text form), in the order of the plan's `key`. */
export type KeyFields = readonly Buffer[];

/** How the bytes of one key column become comparable: equal in the index exactly when equal here. */
export type KeyCanon = 'bytes' | 'numeric-binary' | 'numeric-text';

/** numeric_out / numeric_send carry a display scale, so 1.0 and 1.00 are equal with other bytes; other key types that check admits are bytewise. */
export function keyCanon(baseType: string, wire: WireFormat): KeyCanon {
  if (!/^numeric\b/.test(baseType)) return 'bytes';
  return wire === 'binary' ? 'numeric-binary' : 'numeric-text';
}

/** A key as a Map key. */
export function canonicalKey(fields: KeyFields, canons: readonly KeyCanon[]): string {
  if (fields.length === 1) return canonicalField(fields[0]!, canons[0]!);
  let key = '';
  for (let i = 0; i < fields.length; i++) {
    const field = canonicalField(fields[i]!, canons[i]!);
    key += `${field.length}:${field}`;
  }
  return key;
}

function canonicalField(bytes: Buffer, canon: KeyCanon): string {
  if (canon === 'bytes') return bytes.toString('latin1');
  if (canon === 'numeric-binary') return bytes.toString('latin1', 0, 6) + bytes.toString('latin1', 8); // without the display scale at 6..8
  const text = bytes.toString('latin1');
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
