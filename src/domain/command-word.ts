import { quoteIdent, type QualifiedName } from './identifier.ts';

/** What PostgreSQL reads as it stands, and a shell too. */
const PLAIN_IDENTIFIER = /^[a-z_][a-z0-9_]*$/;
/** What no shell takes for anything else than a word. */
const PLAIN_WORD = /^[A-Za-z0-9_.,:@%+=/-]+$/;

/**
 * A text as one word of a command for a POSIX shell, which would take double quotes away.
 *
 * @param text as the program is to get it: `app."Events"`.
 * @returns the text itself where a shell leaves it alone, else in single quotes: `'app."Events"'`.
 */
export function shellWord(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * A table as a hint's command names it, to be pasted into a shell: `partitioner abort ${tableWord(source)}`.
 *
 * @param table its two names as the catalog has them, or a text that is quoted for SQL where that is needed (what the user wrote, a status's `source`).
 * @throws RangeError when a name is none that PostgreSQL can store.
 */
export function tableWord(table: QualifiedName | string): string {
  if (typeof table === 'string') return shellWord(table);
  return shellWord([table.schema, table.name].map((name) => (PLAIN_IDENTIFIER.test(name) ? name : quoteIdent(name))).join('.'));
}
