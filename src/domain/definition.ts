import type { SourceTable } from './table.ts';

/** A catalog row that says what a table is, see sql/catalog/fingerprint. */
export interface CatalogObject {
  readonly kind: 'table' | 'column' | 'index' | 'constraint' | 'inheritance' | 'statistics' | 'sequence' | 'comment';
  readonly row: Readonly<Record<string, unknown>>;
}

/** Where a table's rows are, and what its columns were stored with. */
export interface SourceStorage {
  readonly filenode: string;
  /** Dropped ones too: their numbers are never given again. */
  readonly attributes: readonly {
    readonly attnum: number;
    readonly name: string;
    readonly dropped: boolean;
    /** The transaction that wrote the column's catalog row. */
    readonly xmin: string;
    readonly hasMissing: boolean;
    /** What rows have that were there before the column, as text; null is NULL. */
    readonly missing: string | null;
  }[];
}

/** The source's definition at one moment. */
export interface KnownDefinition {
  readonly fingerprint: string;
  readonly objects: readonly CatalogObject[];
  readonly storage: SourceStorage;
  /** Domains, composites and ranges that its columns are made of. */
  readonly types: Readonly<Record<string, string>>;
  readonly table: SourceTable;
}

/** What differs between two definitions in one object; both are there when it was changed. */
export interface ObjectChange {
  readonly kind: CatalogObject['kind'];
  readonly before: CatalogObject['row'] | null;
  readonly now: CatalogObject['row'] | null;
  /** Of a change: the columns of the catalog that differ. */
  readonly fields: readonly string[];
}

/** Which column of the catalog tells one object of a kind from another. */
const IDENTITY: Readonly<Record<CatalogObject['kind'], readonly string[]>> = {
  table: [],
  column: ['attnum'],
  index: ['relname'],
  constraint: ['conname'],
  inheritance: ['inhrelid', 'inhparent'],
  statistics: ['stxname', 'stxnamespace'],
  sequence: ['oid'],
  comment: ['classoid', 'objsubid', 'description'],
};

/** What was added, dropped and changed, in the order of the kinds. */
export function diffDefinitions(before: readonly CatalogObject[], now: readonly CatalogObject[]): ObjectChange[] {
  const keyOf = ({ kind, row }: CatalogObject): string => JSON.stringify([kind, ...IDENTITY[kind].map((name) => row[name])]);
  const olds = new Map(before.map((object) => [keyOf(object), object]));
  const news = new Map(now.map((object) => [keyOf(object), object]));
  const changes: ObjectChange[] = [];
  for (const [key, { kind, row }] of olds) {
    const other = news.get(key)?.row ?? null;
    if (!other) changes.push({ kind, before: row, now: null, fields: [] });
    else {
      const fields = [...new Set([...Object.keys(row), ...Object.keys(other)])].filter((name) => !isSame(row[name], other[name]));
      if (fields.length > 0) changes.push({ kind, before: row, now: other, fields });
    }
  }
  for (const [key, { kind, row }] of news) if (!olds.has(key)) changes.push({ kind, before: null, now: row, fields: [] });
  return changes;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/**
 * What became of the table's rows on disk. `moved`: VACUUM FULL, CLUSTER or TRUNCATE, the rows are what they were or the stream tells.
 * `rewritten`: ALTER TABLE has given them other values, of which the stream knows nothing.
 */
export function compareStorage(before: SourceStorage, now: SourceStorage): 'same' | 'moved' | 'rewritten' {
  if (before.filenode === now.filenode) return 'same';
  const known = new Map(before.attributes.map((attribute) => [attribute.attnum, attribute]));
  const isTouched = now.attributes.some(({ attnum, xmin, hasMissing }) => {
    const was = known.get(attnum);
    // VACUUM FULL writes missing values out, and says so in the catalog.
    return !was || (was.xmin !== xmin && !(was.hasMissing && !hasMissing));
  });
  return isTouched ? 'rewritten' : 'moved';
}

/** Columns that are gone and were never known: added and dropped between two looks, with what the stream may still bring of them. */
export function passedColumns(before: SourceStorage, now: SourceStorage): readonly number[] {
  const last = Math.max(0, ...before.attributes.map(({ attnum }) => attnum));
  return now.attributes.filter(({ attnum, dropped }) => dropped && attnum > last).map(({ attnum }) => attnum);
}
