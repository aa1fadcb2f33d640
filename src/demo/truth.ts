import type { QualifiedName } from '../domain/identifier.ts';
import { quoteName } from '../domain/identifier.ts';
import type { Client } from '../pg/client.ts';
import { copyThrough } from '../pg/copy.ts';

/** What an acknowledged write left behind: the token that the writer chose, and the digest of the whole row as it was returned. */
export interface WrittenRow {
  readonly revision: string;
  readonly digest: string;
}

/**
 * What the writer knows the table must hold: every acknowledged write, by id, the last one counts. It owes nothing to the
 * tool that is put to the test. Each id is written by one connection only, so that the last acknowledged is the last committed.
 */
export class Truth {
  readonly #rows = new Map<number, WrittenRow | null>();

  written(id: number, row: WrittenRow): void {
    this.#rows.set(id, row);
  }

  deleted(id: number): void {
    this.#rows.set(id, null);
  }

  /** The row that must be there; null when it was deleted, undefined when it was never written to. */
  get(id: number): WrittenRow | null | undefined {
    return this.#rows.get(id);
  }

  entries(): IterableIterator<[number, WrittenRow | null]> {
    return this.#rows.entries();
  }
}

export interface Difference {
  readonly kind: 'missing' | 'extra' | 'doubled' | 'different';
  readonly id: number;
}

export interface Comparison {
  /** Rows that the table holds. */
  readonly rows: number;
  readonly differences: number;
  /** The first of them. */
  readonly examples: readonly Difference[];
}

const FETCH_ROWS = 10_000;
const EXAMPLES = 20;

/**
 * Copies the id, the token and the digest of every row into a table of another database. Must be called before the writer
 * and the migration start.
 */
export async function takeBaseline(client: Client, table: QualifiedName, truth: Client, signal: AbortSignal): Promise<number> {
  await truth.query('create table public.baseline (id bigint not null, revision uuid not null, digest text not null)');
  const { rows } = await copyThrough(
    client,
    `copy (select id, revision, md5(e::text) from ${quoteName(table)} e) to stdout`,
    truth,
    'copy public.baseline from stdin',
    signal,
  );
  await truth.query('alter table public.baseline add primary key (id)');
  await truth.query('analyze public.baseline');
  return rows;
}

/**
 * Compares the table, row by row, with the truth: what was written as it was acknowledged, what was not written as it was in
 * the baseline. The writer must have stopped. All sessions must have the same settings, on which the digests' text depends.
 */
export async function compareWithTruth(client: Client, table: QualifiedName, baseline: Client, truth: Truth): Promise<Comparison> {
  const found = new Set<number>();
  const examples: Difference[] = [];
  let differences = 0;
  let rows = 0;
  const differs = (kind: Difference['kind'], id: number): void => {
    differences++;
    if (examples.length < EXAMPLES) examples.push({ kind, id });
  };

  const given = readRows(baseline, 'select id::text, revision::text, digest from public.baseline b order by b.id');
  let next = await nextRow(given);
  let previous = 0;
  for await (const row of readRows(
    client,
    `select e.id::text, e.revision::text, md5(e::text) as digest from ${quoteName(table)} e order by e.id`,
  )) {
    rows++;
    if (row.id === previous) {
      differs('doubled', row.id);
      continue;
    }
    previous = row.id;
    for (; next && next.id < row.id; next = await nextRow(given)) {
      if (truth.get(next.id) === undefined) differs('missing', next.id);
    }
    const untouched = next?.id === row.id ? next : null;
    if (untouched) next = await nextRow(given);
    const written = truth.get(row.id);
    if (written) found.add(row.id);
    const expected = written === undefined ? untouched : written;
    if (!expected) differs('extra', row.id);
    else if (expected.revision !== row.revision || expected.digest !== row.digest) differs('different', row.id);
  }
  for (; next; next = await nextRow(given)) if (truth.get(next.id) === undefined) differs('missing', next.id);
  for (const [id, written] of truth.entries()) if (written && !found.has(id)) differs('missing', id);
  return { rows, differences, examples };
}

interface Row extends WrittenRow {
  readonly id: number;
}

/** Reads a query in batches through a cursor, in one transaction. */
async function* readRows(client: Client, sql: string): AsyncGenerator<Row, undefined> {
  await client.query('begin transaction isolation level repeatable read, read only');
  try {
    await client.query(`declare compared no scroll cursor for ${sql}`);
    for (;;) {
      const { rows } = await client.query<{ id: string; revision: string; digest: string }>(`fetch ${FETCH_ROWS} from compared`);
      for (const { id, revision, digest } of rows) yield { id: Number(id), revision, digest };
      if (rows.length < FETCH_ROWS) return;
    }
  } finally {
    await client.query('rollback').catch(() => undefined); // the connection is gone: the first error tells
  }
}

async function nextRow(rows: AsyncGenerator<Row, undefined>): Promise<Row | null> {
  const { value } = await rows.next();
  return value ?? null;
}
