import { readFileSync } from 'node:fs';
import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { invariant } from '../errors.ts';

/** The same two levels up from src/sql (run by tsx) and from dist/sql (the built package, which ships sql/ beside dist/). */
const ROOT = new URL('../../sql/', import.meta.url);
const NAME = /^[a-z0-9-]+(\/[a-z0-9-]+)+$/;
/** psql's `:"name"`, and not the second half of a cast such as `x::"char"`. */
const IDENTIFIER = /(?<!:):"([A-Za-z_][A-Za-z0-9_]*)"/g;

const cache = new Map<string, string>();

/** The text of `sql/<name>.sql` with its header comment and without the closing semicolon; read once in a process. */
export function loadSql(name: string): string {
  let text = cache.get(name);
  if (text === undefined) {
    invariant(NAME.test(name), `"${name}" is no name of a statement`);
    text = readFileSync(new URL(`${name}.sql`, ROOT), 'utf8')
      .trim()
      .replace(/;$/, '');
    cache.set(name, text);
  }
  return text;
}

/** Replaces every `:"name"` by the quoted identifier, as psql does with its variables. A name without a value is a defect. */
export function bindIdentifiers(sql: string, names: Readonly<Record<string, string | QualifiedName>>): string {
  return sql.replace(IDENTIFIER, (_, name: string) => {
    const value = Object.hasOwn(names, name) ? names[name] : undefined;
    invariant(value !== undefined, `the statement's identifier :"${name}" is not bound`, sql);
    return typeof value === 'string' ? quoteIdent(value) : quoteName(value);
  });
}
