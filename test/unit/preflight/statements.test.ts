import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifierOf, tokenizeSql } from '../../../src/domain/sql-tokens.ts';
import { readStatement } from '../../../src/plan/preflight/statement-text.ts';

const kinds = (sql: string): string[] =>
  tokenizeSql(sql)
    .filter(({ kind }) => kind !== 'space')
    .map(({ kind, text }) => `${kind} ${text}`);

describe('the tokenizer', () => {
  it.each([
    [`select 'a''b' , E'a\\'b' , e'\\\\'`, ['word select', `string 'a''b'`, 'symbol ,', `string E'a\\'b'`, 'symbol ,', `string e'\\\\'`]],
    [`'a\\' x`, [`string 'a\\'`, 'word x']],
    [`b'01' X'ff' U&'\\0061' n'x'`, [`string b'01'`, `string X'ff'`, `string U&'\\0061'`, `string n'x'`]],
    ['"a""b"."C"', ['quoted "a""b"', 'symbol .', 'quoted "C"']],
    ['$$a$b$$ $x$ $$ $x$ $1 $é$;$é$', ['string $$a$b$$', 'string $x$ $$ $x$', 'parameter $1', 'string $é$;$é$']],
    ['a$1 b', ['word a$1', 'word b']],
    ['a /* b /* c */ d */ e -- f\n g', ['word a', 'comment /* b /* c */ d */', 'word e', 'comment -- f', 'word g']],
    ['1.5e-3 .5 1_000', ['number 1.5e-3', 'number .5', 'number 1_000']],
    ['$1::text', ['parameter $1', 'symbol :', 'symbol :', 'word text']],
    ['größe_ü', ['word größe_ü']],
    [`'open`, [`string 'open`]],
    ['$a$ open', ['string $a$ open']],
    ['/* open /* */', ['comment /* open /* */']],
  ])('%s', (sql, expected) => {
    expect(kinds(sql)).toEqual(expected);
  });

  it('loses nothing', () => {
    const piece = fc.constantFrom("'", '"', '$', '$$', '$a$', '/*', '*/', '--', '\n', '\\', 'E', 'U&', 'a', '1', '.', ' ', ';', '🙂', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const sql = pieces.join('');
        expect(
          tokenizeSql(sql)
            .map(({ text }) => text)
            .join(''),
        ).toBe(sql);
      }),
    );
  });

  it('identifiers fold as the server folds them', () => {
    const identifiers = (sql: string): (string | null)[] => tokenizeSql(sql).map(identifierOf);
    expect(identifiers('App')).toEqual(['app']);
    expect(identifiers('"A""b"')).toEqual(['A"b']);
    expect(identifiers('ÄB')).toEqual(['Äb']);
    expect(identifiers('U&"a"')).toEqual([null]);
    expect(identifiers("'a'")).toEqual([null]);
  });
});

describe('reading a statement', () => {
  const EVENTS = { schema: 'app', name: 'events' };
  const sqlOf = (text: string): string | null => readStatement(text, EVENTS)?.sql ?? null;

  it.each([
    ['select * from app.events', 'select * from events'],
    ['select App."events".id from APP /* x */ . EVENTS', 'select "events".id from EVENTS'],
    ['select 1 from db.app.events e', 'select 1 from events e'],
    ['select x.events, "Events" from other', null],
    ["select 'app.events', $$ app.events $$ -- app.events", null],
    ['vacuum app.events', null],
    ['explain select * from app.events', null],
    ['select * from U&"app".events', null],
    ['PREPARE q (int) AS select * from app.events', 'select * from events'],
    ['declare c cursor for select * from app.events', 'select * from events'],
    ['(select 1 from events)', '(select 1 from events)'],
    ['select a - -1 from events', 'select a - -1 from events'],
    [
      'select now() - interval $1 day, extract($2 from at) from events where id = $3',
      'select now() - ($1::interval), extract(epoch from at) from events where id = $2',
    ],
    [
      'select timestamp(3) with time zone $1, double precision $2 from events',
      'select ($1::timestamp(3) with time zone), ($2::float8) from events',
    ],
    ['select $1::interval from events limit $2', 'select $1::interval from events limit $2'],
  ])('%s', (text, sql) => {
    expect(sqlOf(text)).toBe(sql);
  });

  it.each([
    ['insert into events values ($1) on conflict (id, lower(v)) where x do nothing', { kind: 'columns', text: 'id, lower(v)' }],
    ['insert into events values ($1) on conflict on constraint "P" do nothing', { kind: 'constraint', name: 'P' }],
    ['insert into events values ($1) on conflict do nothing', { kind: 'any' }],
    ['insert into events values ($1)', null],
  ])('%s', (text, conflict) => {
    expect(readStatement(text, EVENTS)?.conflict).toEqual(conflict);
  });

  it('sees ONLY, bare names and calls', () => {
    expect(readStatement('select app.f(1) from only (app.events)', EVENTS)).toMatchObject({ only: true, isBare: false });
    expect(readStatement('select app.f(1), "G" (2) from events fetch first 3 rows only', EVENTS)).toMatchObject({
      only: false,
      isBare: true,
      called: ['f', 'G'],
    });
  });
});
