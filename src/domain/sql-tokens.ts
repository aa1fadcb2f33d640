/** A piece of a statement. Joined, the texts are the statement again. */
export interface SqlToken {
  readonly kind: 'word' | 'quoted' | 'string' | 'parameter' | 'number' | 'symbol' | 'space' | 'comment';
  readonly text: string;
}

/** What a word can begin with, and go on with: letters of any script, also `$` within (scan.l: ident_start, ident_cont). */
const WORD = /[\p{L}_\u0080-\uffff][\p{L}\p{N}_$\u0080-\uffff]*/uy;
const SPACE = /[ \t\n\r\f\v]+/y;
const NUMBER = /(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y;
const PARAMETER = /\$\d+/y;
const DOLLAR_TAG = /\$(?:[\p{L}_\u0080-\uffff][\p{L}\p{N}_\u0080-\uffff]*)?\$/uy;
const LINE_COMMENT = /--[^\n\r]*/y;
/** `E'…'` takes backslashes; the others are as `standard_conforming_strings = on` has them. */
const ESCAPE_STRING = /[eE]'(?:[^'\\]|\\[^]|'')*'?/y;
const PLAIN_STRING = /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'?/y;
const QUOTED = /(?:[uU]&)?"(?:[^"]|"")*"?/y;

/**
 * Cuts a statement as PostgreSQL's scanner does: what stands in a literal, in a quoted identifier or in a comment (which nest)
 * is not taken for SQL. What does not end goes to the end of the text. Operators come one character at a time.
 */
export function tokenizeSql(sql: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  for (let at = 0; at < sql.length;) {
    const token = tokenAt(sql, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

function tokenAt(sql: string, at: number): SqlToken {
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0] ?? null;
  };
  const space = match(SPACE);
  if (space !== null) return { kind: 'space', text: space };
  const line = match(LINE_COMMENT);
  if (line !== null) return { kind: 'comment', text: line };
  if (sql.startsWith('/*', at)) return { kind: 'comment', text: sql.slice(at, endOfComment(sql, at)) };
  const string = match(ESCAPE_STRING) ?? match(PLAIN_STRING);
  if (string !== null) return { kind: 'string', text: string };
  const quoted = match(QUOTED);
  if (quoted !== null) return { kind: 'quoted', text: quoted };
  const parameter = match(PARAMETER);
  if (parameter !== null) return { kind: 'parameter', text: parameter };
  const tag = match(DOLLAR_TAG);
  if (tag !== null) {
    const end = sql.indexOf(tag, at + tag.length);
    return { kind: 'string', text: sql.slice(at, end === -1 ? sql.length : end + tag.length) };
  }
  const word = match(WORD);
  if (word !== null) return { kind: 'word', text: word };
  const number = match(NUMBER);
  if (number !== null) return { kind: 'number', text: number };
  return { kind: 'symbol', text: String.fromCodePoint(sql.codePointAt(at)!) };
}

function endOfComment(sql: string, start: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start + 2;
  for (let depth = 1; ;) {
    const found = edge.exec(sql);
    if (found === null) return sql.length;
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
}

/** The identifier that a word or a quoted token is, as the catalog has it; null for others, and for `U&"…"` with its escapes. */
export function identifierOf({ kind, text }: SqlToken): string | null {
  if (kind === 'word') return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (kind !== 'quoted' || !text.startsWith('"')) return null;
  return text.slice(1, text.endsWith('"') ? -1 : undefined).replaceAll('""', '"');
}
