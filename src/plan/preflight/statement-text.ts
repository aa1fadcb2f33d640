import type { QualifiedName } from '../../domain/identifier.ts';
import { identifierOf, tokenizeSql, type SqlToken } from '../../domain/sql-tokens.ts';

/** What the text of a statement says of a table. */
export interface StatementText {
  /** The statement, with the table's schema left out: a table of the same name that comes first in the search path is meant then. */
  readonly sql: string;
  /** Whether a name stands without its schema: which table that is depends on the search path. */
  readonly isBare: boolean;
  /** `FROM ONLY table`. */
  readonly only: boolean;
  readonly conflict: ConflictTarget | null;
  /** Names that something is called by, in lower case: functions are among them. */
  readonly called: readonly string[];
}

export type ConflictTarget =
  | { readonly kind: 'columns'; readonly text: string }
  | { readonly kind: 'constraint'; readonly name: string }
  /** ON CONFLICT DO NOTHING. */
  | { readonly kind: 'any' };

/** What can be planned, and what stands before it in the text of a prepared statement or a cursor. */
const PLANNED = new Set(['select', 'insert', 'update', 'delete', 'merge', 'with', 'values', 'table']);
/** Types that may stand before a literal: `date '2024-01-01'`. */
const TYPES = new Set([
  'interval', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'numeric', 'decimal', 'bool', 'boolean', 'int', 'integer', 'bigint', 'smallint',
  'int2', 'int4', 'int8', 'real', 'float', 'float4', 'float8', 'text', 'varchar', 'uuid', 'json', 'jsonb', 'inet', 'cidr', 'bytea', 'xml', 'oid', 'money',
]); // prettier-ignore
const INTERVAL_FIELDS = new Set(['year', 'month', 'day', 'hour', 'minute', 'second', 'to']);

/** A token, and whether white space or a comment stands before it. */
interface Code extends SqlToken {
  readonly gap: boolean;
}

/** Reads a statement as pg_stat_statements has it; null when it is none that is planned, or does not name the table. */
export function readStatement(text: string, table: QualifiedName): StatementText | null {
  const code = codeOf(text);
  const words = code.map((token) => (token.kind === 'word' ? token.text.toLowerCase() : ''));
  const begin = beginOf(words);
  if (begin === null || code.some((token) => /^[uU]&"/.test(token.text))) return null;
  const tokens = code.slice(begin);
  const { dropped, heads, references } = findReferences(tokens, table);
  if (references.length === 0) return null;
  return {
    // What is left of a name takes over the gap before it.
    sql: renumbered(
      joined(
        mendConstants(tokens.filter((token) => !dropped.has(token)).map((token) => (heads.has(token) ? { ...token, gap: true } : token))),
      ),
    ),
    isBare: references.some(({ bare }) => bare),
    only: references.some(({ at }) => follows(tokens, at, 'only')),
    conflict: conflictOf(tokens),
    called: [...new Set(tokens.flatMap((token, i) => (tokens[i + 1]?.text === '(' ? [identifierOf(token)] : [])))].filter(
      (name) => name !== null,
    ),
  };
}

function codeOf(text: string): Code[] {
  const code: Code[] = [];
  let gap = false;
  for (const token of tokenizeSql(text)) {
    if (token.kind === 'space' || token.kind === 'comment') {
      gap = true;
    } else {
      code.push({ ...token, gap });
      gap = false;
    }
  }
  return code;
}

/** `PREPARE name AS` and `DECLARE name CURSOR FOR` come with the statement. */
function beginOf(words: readonly string[]): number | null {
  const first = words.find((word, i) => word !== '' || i > 4) ?? '';
  if (first === 'prepare' || first === 'declare') {
    const after = words.findIndex((word, i) => (word === 'as' || word === 'for') && PLANNED.has(words[i + 1] ?? ''));
    return after === -1 ? null : after + 1;
  }
  return PLANNED.has(first) ? 0 : null;
}

/** A statement without its comments and constants: two that differ in these alone have the same one. */
export function shapeOf(text: string): string {
  return codeOf(text)
    .map(({ kind, text: part }) => (kind === 'parameter' || kind === 'number' || kind === 'string' ? '?' : part))
    .filter((part) => part !== ';')
    .join(' ');
}

interface Reference {
  readonly at: number;
  readonly bare: boolean;
}

/** Names are followed through their dots: `app.events.id` is a reference to app.events, `e.events` is none. */
function findReferences(
  tokens: readonly Code[],
  table: QualifiedName,
): { readonly dropped: ReadonlySet<Code>; readonly heads: ReadonlySet<Code>; readonly references: readonly Reference[] } {
  const dropped = new Set<Code>();
  const heads = new Set<Code>();
  const references: Reference[] = [];
  for (let at = 0; at < tokens.length;) {
    const chain: { name: string; at: number }[] = [];
    for (let next = at; ; next += 2) {
      const name = tokens[next] === undefined ? null : identifierOf(tokens[next]!);
      if (name === null) break;
      chain.push({ name, at: next });
      if (tokens[next + 1]?.text !== '.') break;
    }
    const position =
      chain[0]?.name === table.name
        ? 0
        : chain.findIndex(({ name }, i) => i > 0 && i < 3 && name === table.name && chain[i - 1]!.name === table.schema);
    if (position >= 0 && chain.length > 0) {
      references.push({ at, bare: position === 0 });
      if (position > 0) heads.add(tokens[chain[position]!.at]!);
      for (let i = at; i < chain[position]!.at; i++) dropped.add(tokens[i]!);
    }
    at = (chain.at(-1)?.at ?? at) + 1;
  }
  return { dropped, heads, references };
}

/** `only events` and `only (events)`. */
function follows(tokens: readonly Code[], at: number, word: string): boolean {
  const before = tokens[at - 1]?.text === '(' ? tokens[at - 2] : tokens[at - 1];
  return before?.kind === 'word' && before.text.toLowerCase() === word;
}

function conflictOf(tokens: readonly Code[]): ConflictTarget | null {
  const word = (i: number): string => (tokens[i]?.kind === 'word' ? tokens[i].text.toLowerCase() : (tokens[i]?.text ?? ''));
  const at = tokens.findIndex((_, i) => word(i) === 'on' && word(i + 1) === 'conflict');
  if (at === -1) return null;
  if (word(at + 2) === 'do') return { kind: 'any' };
  if (word(at + 2) === 'on') return { kind: 'constraint', name: tokens[at + 4] === undefined ? '' : (identifierOf(tokens[at + 4]!) ?? '') };
  let depth = 0;
  const end = tokens.findIndex((token, i) => {
    if (i < at + 2) return false;
    depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
    return depth === 0;
  });
  return { kind: 'columns', text: joined(tokens.slice(at + 3, end === -1 ? undefined : end)) };
}

/**
 * pg_stat_statements puts `$n` in the place of each constant, also where the grammar takes a constant only:
 * `interval $1`, `date $2`, `extract($3 from at)`. Written as a cast it can be parsed again.
 */
function mendConstants(tokens: readonly Code[]): Code[] {
  const out: Code[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    const word = token.kind === 'word' ? token.text.toLowerCase() : '';
    const type = TYPES.has(word) || (word === 'precision' && tokens[i - 1]?.text.toLowerCase() === 'double') ? endOfType(tokens, i) : null;
    if (type !== null && tokens[type]?.kind === 'parameter' && tokens[i - 1]?.text !== ':') {
      const name = word === 'precision' ? 'float8' : typeText(tokens.slice(i, type));
      if (word === 'precision') out.pop();
      out.push({ kind: 'symbol', text: `(${tokens[type].text}::${name})`, gap: true });
      i = type;
      while (word === 'interval' && tokens[i + 1]?.kind === 'word' && INTERVAL_FIELDS.has(tokens[i + 1]!.text.toLowerCase())) i++;
    } else if (token.kind === 'parameter' && tokens[i - 1]?.text === '(' && tokens[i - 2]?.text.toLowerCase() === 'extract') {
      out.push({ kind: 'word', text: 'epoch', gap: false }); // any field does: it is planned, not run
    } else {
      out.push(token);
    }
  }
  return out;
}

/** Where the type's own modifiers end: `timestamp(3) with time zone`. */
function endOfType(tokens: readonly Code[], at: number): number {
  let next = at + 1;
  if (tokens[next]?.text === '(' && tokens[next + 2]?.text === ')') next += 3;
  const words = [0, 1, 2].map((i) => tokens[next + i]?.text.toLowerCase());
  return (words[0] === 'with' || words[0] === 'without') && words[1] === 'time' && words[2] === 'zone' ? next + 3 : next;
}

/** Without a modifier that is a parameter itself. */
function typeText(tokens: readonly Code[]): string {
  const modifier = tokens.findIndex(({ kind }) => kind === 'parameter');
  return joined(modifier === -1 ? tokens : [...tokens.slice(0, modifier - 1), ...tokens.slice(modifier + 2)]);
}

function joined(tokens: readonly Code[]): string {
  return tokens
    .map(({ text, gap }) => (gap ? ` ${text}` : text))
    .join('')
    .trim();
}

/** A parameter that is gone would leave one that has no type. */
function renumbered(sql: string): string {
  const numbers = new Map<string, number>();
  return tokenizeSql(sql)
    .map(({ kind, text }) => {
      if (kind !== 'parameter') return text;
      if (!numbers.has(text)) numbers.set(text, numbers.size + 1);
      return `$${numbers.get(text)!}`;
    })
    .join('');
}
