/** A table, index or sequence, by its two names as the catalog stores them (unquoted). */
export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

/** NAMEDATALEN - 1: longer identifiers are cut by the server. */
export const MAX_IDENTIFIER_BYTES = 63;

/** Quotes an identifier, always; the only place that does. Throws a RangeError on what PostgreSQL cannot store. */
export function quoteIdent(name: string): string {
  if (name === '' || name.includes('\0')) throw new RangeError('an identifier is empty or holds a zero byte');
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."name"`. */
export function quoteName({ schema, name }: QualifiedName): string {
  return `${quoteIdent(schema)}.${quoteIdent(name)}`;
}

/** Quotes a string literal for the few statements (DDL, COPY, replication commands) that take no parameters. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new RangeError('a literal holds a zero byte');
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** Cuts a name to at most `bytes` bytes of UTF-8 without splitting a character, as the server does. */
export function truncateIdent(name: string, bytes: number = MAX_IDENTIFIER_BYTES): string {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length <= bytes) return name;
  let end = bytes;
  while (end > 0 && (encoded[end]! & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(encoded.subarray(0, end));
}
