/**
 * The demo's table: fifty columns of mixed types, as tables of that age have them. The SQL of the demo is its workload, not
 * the tool's: it stays beside the code that runs it instead of in sql/.
 */
export interface DemoColumn {
  readonly name: string;
  /** Type and constraints, as CREATE TABLE takes them. */
  readonly definition: string;
  /** The value of row `i` with the time `at`; null for columns that the server fills (bigserial, generated). */
  readonly fill: string | null;
}

/** Several kB that no compression shrinks: hex digests. Must stay above the 2 kB at which PostgreSQL moves a value out of line. */
export function documentOf(seed: string): string {
  return `(select string_agg(md5(${seed} || '/' || part), '') from generate_series(1, 100 + (hashtext(${seed}) & 127)) part)`;
}

/** One row in so many carries a document that is stored out of line. */
export const DOCUMENT_EVERY = 50;

export const DEMO_COLUMNS: readonly DemoColumn[] = [
  { name: 'id', definition: 'bigserial', fill: null },
  { name: 'created_at', definition: 'timestamptz not null', fill: 'at' },
  {
    name: 'updated_at',
    definition: 'timestamptz',
    fill: `case when i % 3 = 0 then at + make_interval(secs => i % 86400 + 0.000001 * (i % 1000000)) end`,
  },
  { name: 'revision', definition: 'uuid not null', fill: `md5('revision' || i)::uuid` },
  { name: 'account_id', definition: 'integer not null', fill: '(i * 7919 % 20000)::integer' },
  { name: 'kind', definition: 'app.event_kind not null', fill: `(array['view', 'click', 'order', 'refund']::app.event_kind[])[i % 4 + 1]` },
  { name: 'status', definition: 'smallint not null default 0', fill: '(i % 5)::smallint' },
  { name: 'amount', definition: 'numeric(12,2)', fill: 'round((i * 37 % 1000000) / 100.0, 2)' },
  { name: 'amount_gross', definition: 'numeric generated always as (round(amount * 1.19, 2)) stored', fill: null },
  {
    name: 'exact',
    definition: 'numeric',
    fill: `case i % 100 when 0 then 'NaN'::numeric when 1 then i * 1e30 + 0.000000000000000000001 else i / 7.0 end`,
  },
  {
    name: 'ratio',
    definition: 'double precision',
    fill: `case i % 500 when 0 then '-Infinity'::double precision else sqrt(i::double precision) end`,
  },
  { name: 'score', definition: 'real', fill: '(i % 1000 / 3.0)::real' },
  { name: 'title', definition: 'varchar(80)', fill: `'Event ' || i || case i % 9 when 0 then ' «Größe»' else '' end` },
  { name: 'note', definition: 'text', fill: `case i % 10 when 0 then E'tab\\tquote" back\\\\slash\\nline ' || i when 1 then '' end` },
  { name: 'code', definition: 'char(6)', fill: `lpad(to_hex(i % 65536), 4, '0')` },
  { name: 'payload', definition: 'jsonb', fill: `jsonb_build_object('n', i, 'tags', jsonb_build_array(i % 7, 'x'), 'ok', i % 2 = 0)` },
  { name: 'raw', definition: 'json', fill: `case i % 4 when 0 then ('{"b" : 1,  "a": ' || i || ', "a": 2}')::json end` },
  {
    name: 'attributes',
    definition: `jsonb not null default '{}'`,
    fill: `case i % 5 when 0 then '{"plan": "pro", "limit": 1.50}'::jsonb else '{}' end`,
  },
  { name: 'active', definition: 'boolean not null default true', fill: 'i % 11 <> 0' },
  { name: 'verified', definition: 'boolean', fill: 'case i % 3 when 0 then true when 1 then false end' },
  { name: 'due', definition: 'date', fill: `case i % 1000 when 0 then 'infinity'::date else (at at time zone 'UTC')::date + 30 end` },
  { name: 'local_at', definition: 'timestamp(3)', fill: `at at time zone 'UTC'` },
  { name: 'daily_at', definition: 'time', fill: `make_time((i % 24)::integer, (i % 60)::integer, 0.000001 * (i % 1000000))` },
  { name: 'zoned_at', definition: 'timetz', fill: `case i % 6 when 0 then '04:05:06.789+02'::timetz end` },
  {
    name: 'took',
    definition: 'interval',
    fill: `make_interval(months => (i % 14)::integer, days => (i % 40)::integer, secs => i % 100 / 8.0)`,
  },
  { name: 'digest', definition: 'bytea', fill: `decode(md5('digest' || i), 'hex')` },
  { name: 'tags', definition: 'text[]', fill: `case i % 4 when 0 then array['a', null, 'b "c"', ''] when 1 then '{}'::text[] end` },
  { name: 'numbers', definition: 'integer[]', fill: 'array[i % 10, -i % 10, null]::integer[]' },
  { name: 'matrix', definition: 'integer[][]', fill: `case i % 8 when 0 then '[0:1][1:2]={{1,2},{3,4}}'::integer[] end` },
  { name: 'stamps', definition: 'timestamptz[]', fill: `case i % 7 when 0 then array[at, at + interval '1 microsecond'] end` },
  { name: 'kinds', definition: 'app.event_kind[]', fill: `case i % 9 when 0 then '{view,refund}'::app.event_kind[] end` },
  { name: 'address', definition: 'inet', fill: `'10.0.0.0'::inet + (i % 16000000)` },
  { name: 'network', definition: 'cidr', fill: `case i % 5 when 0 then '2001:db8::/32'::cidr end` },
  { name: 'mac', definition: 'macaddr', fill: `case i % 5 when 1 then '08:00:2b:01:02:03'::macaddr end` },
  { name: 'place', definition: 'point', fill: 'case i % 4 when 2 then point(i % 180 / 7.0, i % 90 / 3.0) end' },
  { name: 'slots', definition: 'int4range', fill: `int4range((i % 100)::integer, (i % 100 + 5)::integer, '[]')` },
  { name: 'validity', definition: 'tstzrange', fill: `case i % 6 when 1 then tstzrange(at, null) end` },
  { name: 'flags', definition: 'bit(8)', fill: '(i % 256)::integer::bit(8)' },
  { name: 'mask', definition: 'bit varying(32)', fill: `case i % 6 when 2 then b'10110' end` },
  { name: 'words', definition: 'tsvector', fill: `case i % 6 when 3 then to_tsvector('simple', 'event number ' || i) end` },
  { name: 'wal_position', definition: 'pg_lsn', fill: `case i % 6 when 4 then '16/B374D848'::pg_lsn end` },
  { name: 'parent_id', definition: 'bigint', fill: 'nullif(i / 10, 0)' },
  { name: 'session', definition: 'uuid', fill: `case i % 2 when 0 then md5('session' || i / 20)::uuid end` },
  { name: 'counter', definition: 'integer not null default 0', fill: '0' },
  { name: 'big', definition: 'bigint', fill: '9223372036854775807 - i' },
  { name: 'country', definition: 'char(2)', fill: `(array['DE', 'FR', 'IT', null])[i % 4 + 1]` },
  { name: 'language', definition: `varchar(8) collate "C"`, fill: `(array['de', 'fr-CH', 'it'])[i % 3 + 1]` },
  { name: 'agent', definition: 'text', fill: `case i % 3 when 0 then 'Mozilla/5.0 (X11; Linux x86_64) build/' || i % 100 end` },
  { name: 'referrer', definition: 'text', fill: `case i % 7 when 0 then 'https://example.com/?q=' || i end` },
  { name: 'document', definition: 'text', fill: `case i % ${DOCUMENT_EVERY} when 0 then ${documentOf(`i::text`)} else 'short ' || i end` },
];

/** The columns that an INSERT names, and their values as functions of `i` and `at`. */
export const FILLED_COLUMNS = DEMO_COLUMNS.filter((column): column is DemoColumn & { fill: string } => column.fill !== null);
