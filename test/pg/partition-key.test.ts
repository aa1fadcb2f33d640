import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KEY_RANGE, type KeyKind } from '../../src/domain/key-kind.ts';
import { formatKeyText } from '../../src/domain/key-text.ts';
import { decodeKey, keyLiteral, parseKeyText } from '../../src/domain/partition-key.ts';
import { testDatabase } from '../support/database.ts';

const database = testDatabase();
const KINDS: readonly KeyKind[] = ['timestamptz', 'timestamp', 'date', 'int2', 'int4', 'int8'];

/** Values of a kind with its extremes, and those around a turn of a year, where calendars go wrong. */
function sample(kind: KeyKind): bigint[] {
  const { first, end, infinity, minusInfinity } = KEY_RANGE[kind];
  const drawn = fc.sample(fc.bigInt({ min: first, max: end - 1n }), { numRuns: 2_000, seed: 7 });
  const near = fc.sample(fc.bigInt({ min: -(2n ** 14n), max: 2n ** 14n }), { numRuns: 500, seed: 7 });
  return [...drawn, ...near, first, end - 1n, ...(infinity === null ? [] : [infinity]), ...(minusInfinity === null ? [] : [minusInfinity])];
}

it.each(KINDS)('%s values are what the server sends, prints and reads', async (kind) => {
  const client = await database.get().client();
  const values = sample(kind);
  const { rows } = await client.query<{ text: string; sent: Buffer }>(
    `select v::${kind}::text as text, ${kind}${kind.startsWith('int') ? '' : '_'}send(v::${kind}) as sent from unnest($1::text[]) with ordinality as t(v, n) order by n`,
    [values.map((value) => formatKeyText(kind, value))],
  );
  expect(rows.map(({ text }) => text)).toEqual(values.map((value) => formatKeyText(kind, value)));
  expect(rows.map(({ text }) => parseKeyText(kind, text))).toEqual(values);
  expect(rows.map(({ sent }) => decodeKey(kind, sent, 'binary'))).toEqual(values);
  expect(rows.map(({ text }) => decodeKey(kind, Buffer.from(text), 'text'))).toEqual(values);
  const literals = values.slice(0, 200).concat(values.slice(-4));
  await client.query(`create temporary table k (n serial, v ${kind})`);
  await client.query(`insert into k (v) values ${literals.map((value) => `(${keyLiteral(kind, value)})`).join(', ')}`);
  const { rows: read } = await client.query<{ v: string }>('select v::text from k order by n');
  expect(read.map(({ v }) => parseKeyText(kind, v))).toEqual(literals);
  await client.query('create index on k (v); set enable_seqscan = off');
  const { rows: plan } = await client.query<{ 'QUERY PLAN': string }>(
    `explain select from k where v >= ${keyLiteral(kind, KEY_RANGE[kind].first)} and v < ${keyLiteral(kind, KEY_RANGE[kind].end - 1n)}`,
  );
  expect(plan.map((line) => line['QUERY PLAN']).join('\n'), 'a predicate of literals uses the index').toContain('Index Cond');
});

it('the edges of the types are the server’s: one step further is refused', async () => {
  const client = await database.get().client();
  for (const text of ['294277-01-01 00:00:00+00', '4714-11-23 23:59:59+00 BC']) {
    await expect(client.query('select $1::timestamptz', [text])).rejects.toMatchObject({ code: '22008' });
    expect(() => parseKeyText('timestamptz', text)).toThrow(RangeError);
  }
  for (const text of ['5874898-01-01', '4714-11-23 BC']) {
    await expect(client.query('select $1::date', [text])).rejects.toMatchObject({ code: '22008' });
    expect(() => parseKeyText('date', text)).toThrow(RangeError);
  }
});
