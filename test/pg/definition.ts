import { quoteName, type QualifiedName } from '../../src/domain/identifier.ts';
import type { Client } from '../../src/pg/client.ts';

/** What psql's \d+ would show of a table, from the catalog, in a form that is the same for a plain and for a partitioned one. */
export async function describeTable(client: Client, name: QualifiedName): Promise<Record<string, unknown>> {
  const oid = `${literal(quoteName(name))}::regclass`;
  const acl = (expression: string): string =>
    `(select coalesce(json_agg(json_build_array(x.grantee::regrole, x.grantor::regrole, x.privilege_type, x.is_grantable) order by x.grantee::regrole::text, x.privilege_type), '[]') from aclexplode(${expression}) x)`;
  const one = async (sql: string): Promise<unknown[]> => (await client.query<{ row: unknown }>(sql)).rows.map(({ row }) => row);
  return {
    table: await one(
      `select json_build_object('owner', relowner::regrole, 'acl', ${acl(`coalesce(relacl, acldefault('r', relowner))`)}, 'comment', obj_description(oid), 'persistence', relpersistence, 'replident', relreplident, 'tablespace', reltablespace) as row from pg_class where oid = ${oid}`,
    ),
    columns: await one(
      `select json_build_object('name', attname, 'type', format_type(atttypid, atttypmod), 'collation', attcollation::regcollation, 'notNull', attnotnull, 'default', pg_get_expr(adbin, adrelid), 'generated', attgenerated,
         'identity', attidentity, 'storage', attstorage, 'compression', attcompression, 'statistics', nullif(attstattarget, -1), 'options', attoptions, 'comment', col_description(attrelid, attnum), 'acl', ${acl('attacl')}) as row
       from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid = ${oid} and attnum > 0 and not attisdropped order by attnum`,
    ),
    indexes: await one(
      `select json_build_object('name', c.relname, 'definition', replace(replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON '), ', "created At") INCLUDE (flag)', ') INCLUDE (flag)'), 'comment', obj_description(c.oid), 'valid', indisvalid,
         'statistics', (select json_agg(json_build_array(attnum, attstattarget) order by attnum) from pg_attribute where attrelid = c.oid and attstattarget >= 0), 'replident', indisreplident) as row
       from pg_index join pg_class c on c.oid = indexrelid where indrelid = ${oid} order by c.relname`,
    ),
    constraints: await one(
      `select json_build_object('name', conname, 'definition', replace(pg_get_constraintdef(oid), 'PRIMARY KEY (id, "created At")', 'PRIMARY KEY (id)'), 'comment', obj_description(oid), 'validated', convalidated) as row
       from pg_constraint where conrelid = ${oid} order by conname`,
    ),
    sequences: await one(
      `select json_build_object('name', c.relname, 'owner', relowner::regrole, 'column', attname, 'dependency', deptype, 'acl', ${acl(`coalesce(relacl, acldefault('s', relowner))`)}, 'comment', obj_description(c.oid),
         'start', seqstart, 'increment', seqincrement, 'min', seqmin, 'max', seqmax, 'cache', seqcache, 'cycle', seqcycle, 'type', seqtypid::regtype, 'last', s.last_value) as row
       from pg_depend join pg_class c on c.oid = objid join pg_sequence on seqrelid = c.oid join pg_attribute on attrelid = refobjid and attnum = refobjsubid
       left join pg_sequences s on s.sequencename = c.relname and s.schemaname = c.relnamespace::regnamespace::text
       where refobjid = ${oid} and classid = 'pg_class'::regclass and deptype in ('a', 'i') order by c.relname`,
    ),
  };
}

/** Storage of a table, which a partitioned one leaves to its leaves. */
export async function describeStorage(client: Client, name: QualifiedName): Promise<unknown> {
  const { rows } = await client.query<{ row: unknown }>(
    `select json_build_object('options', c.reloptions, 'toast', t.reloptions, 'method', c.relam, 'replident', c.relreplident, 'clustered', exists (select from pg_index where indrelid = c.oid and indisclustered)) as row
     from pg_class c left join pg_class t on t.oid = c.reltoastrelid where c.oid = ${literal(quoteName(name))}::regclass`,
  );
  return rows[0]!.row;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
