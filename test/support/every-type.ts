import { quoteIdent, quoteLiteral } from '../../src/domain/identifier.ts';
import type { Client } from '../../src/pg/client.ts';

/** A column of some type, and an expression of the row's number `n` that gives it values, the odd ones among them. */
export interface TypedColumn {
  readonly name: string;
  readonly type: string;
  readonly value: string;
}

/** By literals: a cast from text is another function for some types (regclass). */
function pick(type: string, ...values: string[]): string {
  const cases = values.map((value, position) => `when ${String(position)} then ${quoteLiteral(value)}::${type}`);
  return `case n % ${String(values.length)} ${cases.join(' ')} end`;
}

/** Types of the user's own, in a schema. */
export function createTypes(schema: string): string {
  const s = quoteIdent(schema);
  return `
    create type ${s}."Mood" as enum ('sad', 'it''s "ok"', 'happy');
    create domain ${s}.required as text collate "C" not null default 'required' check (value <> '');
    create domain ${s}."Nested" as ${s}.required check (length(value) < 100);
    create type ${s}.pair as (x int, "Y" text);
    create type ${s}.nested as (p ${s}.pair, moods ${s}."Mood"[], gone int, amount numeric(10, 2));
    alter type ${s}.nested drop attribute gone;
    create type ${s}.span as range (subtype = timestamptz);
    create domain ${s}.spans as ${s}.span[];`;
}

/** Every built-in type that a column can have and that has a binary form, and what can be made of them. */
export async function everyType(client: Client, schema: string): Promise<TypedColumn[]> {
  const s = quoteIdent(schema);
  const { rows } = await client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  const { version } = rows[0]!;
  const hasXml = await client.query(`select '<a/>'::xml`).then(
    () => true,
    () => false,
  );
  const types: [type: string, ...values: string[]][] = [
    ['boolean', 'true', 'false'],
    ['smallint', '-32768', '32767', '0'],
    ['integer', '-2147483648', '2147483647', '0'],
    ['bigint', '-9223372036854775808', '9223372036854775807', '9007199254740993'],
    ['real', '-0', 'NaN', 'Infinity', '-Infinity', '1.1754944e-38', '0.1', '3.4028235e+38'],
    ['double precision', '-0', 'NaN', 'Infinity', '-Infinity', '5e-324', '0.30000000000000004', '1.7976931348623157e+308'],
    ['numeric', 'NaN', 'Infinity', '-Infinity', '1e-100', '0.10', '123456789012345678901234567890.1234500', '-0.000', '1e400'],
    ['numeric(12,3)', 'NaN', '0.5', '-123456789.123'],
    ['money', '12345678901.23', '-0.01', '0'],
    ['text', '', 'a\tb\nc\\', 'ünï€😀', '\\N', '"quoted", (x)', ' NULL '],
    ['varchar(30)', '', 'NULL', 'with  spaces '],
    ['char(7)', '', 'a', 'ünï'],
    ['"char"', '', 'x', ' '],
    ['name', 'pg_class', '', 'Mixed "Case"'],
    ['bytea', '\\x', '\\x00ff5c0a', '\\xdeadbeef'],
    ['date', 'infinity', '-infinity', '0044-03-15 BC', '9999-12-31', '2024-02-29', '5874897-12-31'],
    ['time', '00:00:00', '24:00:00', '12:34:56.789012'],
    ['time(3)', '00:00:00.123', '23:59:59.999'],
    ['timetz', '12:34:56.789012+05:45', '24:00:00-15:59', '00:00:00+00'],
    ['timestamp', 'infinity', '-infinity', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999', '2024-03-04 05:06:07.123456'],
    ['timestamptz', 'infinity', '-infinity', '2024-03-04 05:06:07.123456+05:45', '0044-03-15 00:00:00+00 BC'],
    [
      'interval',
      '1 year -2 months 3 days -04:05:06.789',
      '178000000 years',
      '-00:00:00.000001',
      ...(version >= 170000 ? ['infinity'] : []),
    ],
    ['interval day to second(2)', '1 day 02:03:04.05', '0'],
    ['uuid', '00000000-0000-0000-0000-000000000000', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['json', '{"a": 1,  "a": 2}', 'null', '[1.0, "\\u00e9"]', '"text"'],
    ['jsonb', '{"b": 1, "a": {"c": [1.10, null, "x"]}}', 'null', '[]', '1e1000'],
    ['jsonpath', '$.a[*] ? (@.b > 1)', 'strict $'],
    ['inet', '10.1.2.3/8', '::1', '192.168.0.1'],
    ['cidr', '10.0.0.0/8', '2001:db8::/32'],
    ['macaddr', '08:00:2b:01:02:03'],
    ['macaddr8', '08:00:2b:01:02:03:04:05'],
    ['bit(9)', '101010101', '000000000'],
    ['bit varying(20)', '', '1', '10101010101010101010'],
    ['bit varying', '1'.repeat(65)],
    ['tsvector', `'a':1A 'fat':2B,4C 'cat':3`, ''],
    ['point', '(1.5,-0)', '(NaN,Infinity)'],
    ['line', '{1,-1,0}'],
    ['lseg', '[(0,0),(1,1e-300)]'],
    ['box', '(3,4),(1,2)'],
    ['path', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1))'],
    ['polygon', '((0,0),(1,1),(2,0))'],
    ['circle', '<(1,2),3.5>'],
    ['pg_lsn', '0/0', 'FFFFFFFF/FFFFFFFF'],
    ['xid', '0', '4294967295'],
    ['xid8', '0', '18446744073709551615'],
    ['cid', '0', '4294967295'],
    ['tid', '(0,1)', '(4294967295,65535)'],
    ['oid', '0', '4294967295'],
    ['regclass', 'pg_class', '-', '999999999'],
    ['regtype', 'integer', '-', 'pg_catalog."char"'],
    ['regproc', 'pg_catalog.now', '-'],
    ['regprocedure', 'pg_catalog.abs(integer)', '-'],
    ['regoper', '0', 'pg_catalog.||/'],
    ['regoperator', '0', 'pg_catalog.+(integer,integer)'],
    ['regrole', '-', 'pg_monitor'],
    ['regnamespace', 'pg_catalog', '-'],
    ['regconfig', 'english', '-'],
    ['regdictionary', 'simple', '-'],
    ['regcollation', '"C"', '-'],
    ['txid_snapshot', '10:20:10,14,15', '1:1:'],
    ['pg_snapshot', '10:20:10,14,15', '4294967297:4294967299:4294967298'],
    ['refcursor', 'a cursor', ''],
    ['int4range', 'empty', '[1,10)', '(,)', '[5,)'],
    ['int8range', '[-9223372036854775808,9223372036854775807)'],
    ['numrange', '(0.10,NaN)', '[1.00,1.0]'],
    ['tsrange', '["2024-01-01 00:00:00.000001",infinity)'],
    ['tstzrange', '["2024-01-01 00:00:00+05:45","2024-02-01 00:00:00+00"]'],
    ['daterange', '[2024-01-01,2024-02-29]', 'empty'],
    ['int4multirange', '{}', '{[1,3),[5,9)}'],
    ['nummultirange', '{(,1.10),[2.50,)}'],
    ['tstzmultirange', '{["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")}'],
    ['boolean[]', '{t,f,NULL}', '{}'],
    ['integer[]', '[-2:0]={1,NULL,3}', '{{1,2},{3,4}}', '{}'],
    ['bigint[]', '[1:1][5:6]={{9223372036854775807,-9223372036854775808}}'],
    ['text[]', '{a,NULL,"b,c","NULL","",""}', '[3:4]={x,"\\\\"}', '{{"{}"}}'],
    ['numeric(8,2)[]', '{NaN,1.10,NULL}'],
    ['jsonb[]', '{"{\\"a\\": 1}",NULL}'],
    ['bytea[]', '{"\\\\x00ff",NULL}'],
    ['timestamptz[]', '{infinity,"2024-01-01 00:00:00.000001+00"}'],
    ['tstzrange[]', '{"[\\"2024-01-01 00:00:00+00\\",)",empty}'],
    ['point[]', '{"(1,2)","(3,4)"}'],
    ['box[]', '{(3,4),(1,2);(7,8),(5,6)}'],
    [`${s}."Mood"`, 'sad', `it's "ok"`],
    [`${s}."Mood"[]`, `{sad,NULL,"it's \\"ok\\""}`, '{}'],
    [`${s}."Nested"`, 'nested', '1'],
    [`${s}.pair`, '(1,"a,b")', '(,)', '(,"")'],
    [`${s}.pair[]`, '{"(1,x)",NULL,"(,\\"a b\\")"}'],
    [`${s}.nested`, '("(1,y)","{sad,happy}",1.10)', '(,{},)'],
    [`${s}.span`, '["2024-01-01 00:00:00+00",)', 'empty'],
    [`${s}.spans`, '{"[\\"2024-01-01 00:00:00+00\\",)"}', '{}'],
    ['information_schema.cardinal_number', '1', '2'],
    ...(hasXml ? [['xml', '<a b="1">x</a>', 'text &amp; <b/>'] as [string, ...string[]]] : []),
  ];
  return types.map(([type, ...values], position) => ({
    name: `c${String(position)} ${type}`.slice(0, 40),
    type,
    // Every eleventh row is NULL, where the type lets it be.
    value: type.endsWith('"Nested"') ? pick(type, ...values) : `case when n % 11 <> 0 then ${pick(type, ...values)} end`,
  }));
}

/** Types that have no binary form (or none that can be received), by themselves and inside others. */
export function textOnlyTypes(schema: string): { create: string; columns: TypedColumn[] } {
  const s = quoteIdent(schema);
  const acl = `makeaclitem('pg_monitor'::regrole, 10, 'SELECT', n % 2 = 0)`;
  const value = (expression: string): string => `case when n % 7 <> 0 then ${expression} end`;
  return {
    create: `create type ${s}.holder as (n int, acl aclitem); create domain ${s}.acls as aclitem[];`,
    columns: [
      { name: 'acl', type: 'aclitem', value: value(acl) },
      { name: 'query', type: 'tsquery', value: value(pick('tsquery', `'fat' & ( 'rat' | !'cat' )`, `'super':*AB <-> 'x'`, '')) },
      { name: 'vector', type: 'int2vector', value: value(pick('int2vector', '1 2 3', '')) },
      { name: 'vectors', type: 'oidvector[]', value: value(`array[${pick('oidvector', '1 4294967295', '')}, null]`) },
      { name: 'acl list', type: 'aclitem[]', value: value(`array[${acl}, null]`) },
      { name: 'acl domain', type: `${s}.acls`, value: value(`array[${acl}]`) },
      { name: 'acl composite', type: `${s}.holder`, value: value(`row(n, ${acl})::${s}.holder`) },
      {
        name: 'acl composites',
        type: `${s}.holder[]`,
        value: value(`array[row(n, ${acl})::${s}.holder, null, row(null, null)::${s}.holder]`),
      },
    ],
  };
}
