import { expect } from 'vitest';
import type { CatalogFacts, ObjectFacts } from './catalog-facts.ts';

/** A difference that is meant, and why. The pattern is looked for in one line of `differences`. */
export interface Allowed {
  readonly pattern: RegExp;
  readonly reason: string;
}

/** `- object` that is gone, `+ object` that is new, `~ object.fact: before -> after`. */
export function differences(before: CatalogFacts, after: CatalogFacts): string[] {
  const lines: string[] = [];
  for (const [object, { facts }] of before) {
    const now = after.get(object);
    if (!now) lines.push(`- ${object}${text(facts)}`);
    else lines.push(...factDifferences(object, facts, now.facts));
  }
  for (const [object, { facts }] of after) if (!before.has(object)) lines.push(`+ ${object}${text(facts)}`);
  return lines.sort();
}

/** Splits off what belongs to the leaves of a table; dependencies that name a leaf are left out. */
export function splitLeaves(after: CatalogFacts, table: string): { rest: CatalogFacts; leaves: Map<string, CatalogFacts> } {
  const names = [...after.values()]
    .filter(({ of, facts }) => of !== null && facts['partition of'] === table && facts['kind'] === 'r')
    .map(({ of }) => of!);
  const leaves = new Map(names.map((name) => [name, new Map<string, ObjectFacts>()]));
  const rest = new Map<string, ObjectFacts>();
  for (const [object, facts] of after) {
    const leaf = facts.of === null ? undefined : leaves.get(facts.of);
    if (leaf) leaf.set(object, facts);
    else rest.set(object, facts);
  }
  const own = new Set([...leaves.values()].flatMap((leaf) => [...leaf.keys()].map((object) => object.slice(object.indexOf(' ') + 1))));
  const bare = names.map((name) => name.slice(name.lastIndexOf('.') + 1).replaceAll('"', ''));
  for (const object of [...rest.keys()]) {
    if (!object.startsWith('dependency: ')) continue;
    if (
      names.some((name) => mentions(object, name)) ||
      bare.some((name) => object.includes(name)) ||
      [...own].some((name) => mentions(object, name))
    )
      rest.delete(object);
  }
  return { rest, leaves };
}

/**
 * In what a leaf differs from the table as it was before: the names are made the table's. What has a name per schema (indexes and their
 * constraints, statistics) is found by what it is a part of, else by its definition.
 */
export function leafDifferences(before: CatalogFacts, table: string, name: string, leaf: CatalogFacts): string[] {
  const own = new Map([...before].filter(([, { of }]) => of === table));
  const byDefinition = new Map([...own].map(([object, { facts }]) => [identity(object, facts), object]));
  const renamed = new Map<string, ObjectFacts>();
  for (const [object, { facts }] of leaf) {
    const written = JSON.parse(JSON.stringify(facts).replaceAll(json(name), json(table))) as ObjectFacts['facts'];
    const as = object.replaceAll(name, table);
    const parent = ofParent(as, table, facts);
    renamed.set(parent ?? byDefinition.get(identity(as, written)) ?? as, { of: table, facts: written });
  }
  return differences(own, renamed);
}

/** Fails on a line that no entry allows and on an entry that allows nothing. */
export function expectAllowed(what: string, lines: readonly string[], allowed: readonly Allowed[]): void {
  const used = new Set<Allowed>();
  const unmatched = [...new Set(lines)].filter((line) => {
    const entries = allowed.filter(({ pattern }) => pattern.test(line));
    for (const entry of entries) used.add(entry);
    return entries.length === 0;
  });
  const unused = allowed.filter((entry) => !used.has(entry)).map(({ pattern, reason }) => `${String(pattern)} (${reason})`);
  expect({ unmatched, unused }, what).toEqual({ unmatched: [], unused: [] });
}

function factDifferences(object: string, before: ObjectFacts['facts'], after: ObjectFacts['facts']): string[] {
  return Object.keys({ ...before, ...after })
    .filter((fact) => JSON.stringify(before[fact]) !== JSON.stringify(after[fact]))
    .map((fact) => `~ ${object}.${fact}: ${JSON.stringify(before[fact])} -> ${JSON.stringify(after[fact])}`);
}

function identity(object: string, facts: ObjectFacts['facts']): string {
  const [kind] = object.split(' ', 1);
  const isNamedBySchema =
    kind === 'index' || kind === 'statistics' || (kind === 'constraint' && (facts['type'] === 'p' || facts['type'] === 'u'));
  return isNamedBySchema ? `${kind} ${String(facts['definition'])}` : object;
}

/** The object that an index of a leaf, or its constraint, is a part of. */
function ofParent(object: string, table: string, facts: ObjectFacts['facts']): string | undefined {
  if (object.startsWith('index ') && typeof facts['partition of'] === 'string') return `index ${facts['partition of']}`;
  if (object.startsWith('constraint ') && typeof facts['parent'] === 'string') return `constraint ${table}.${facts['parent']}`;
  return undefined;
}

function json(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function mentions(line: string, name: string): boolean {
  const at = line.indexOf(name);
  return at >= 0 && !/[A-Za-z0-9_]/.test(line[at + name.length] ?? '');
}

function text(facts: ObjectFacts['facts']): string {
  return Object.keys(facts).length === 0 ? '' : ` ${JSON.stringify(facts)}`;
}
