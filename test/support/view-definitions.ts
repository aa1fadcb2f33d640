import { expect } from 'vitest';
import type { Application } from './journey.ts';

/** Of the application's views: definitions as they read, options, columns' and views' comments and privileges, rules, triggers. */
export async function viewDefinitions({ run }: Application): Promise<unknown[]> {
  return run(`
    select c.relname, c.relkind, pg_get_viewdef(c.oid) as definition, c.reloptions, c.relowner::regrole::text as owner, c.relacl::text, obj_description(c.oid, 'pg_class') as comment,
      (select json_agg(json_build_array(attname, format_type(atttypid, atttypmod), attacl::text, col_description(attrelid, attnum), attstattarget, (select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = attrelid and adnum = attnum)) order by attnum)
       from pg_attribute where attrelid = c.oid and attnum > 0) as columns,
      (select json_agg(json_build_array(pg_get_ruledef(r.oid), r.ev_enabled, obj_description(r.oid, 'pg_rewrite')) order by rulename) from pg_rewrite r where ev_class = c.oid and rulename <> '_RETURN') as rules,
      (select json_agg(json_build_array(pg_get_triggerdef(t.oid), t.tgenabled) order by tgname) from pg_trigger t where tgrelid = c.oid) as triggers,
      (select json_agg(json_build_array(pg_get_indexdef(indexrelid), indisvalid, indisclustered, obj_description(indexrelid, 'pg_class')) order by pg_get_indexdef(indexrelid)) from pg_index where indrelid = c.oid) as indexes
    from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind in ('v', 'm') and c.relname not like 'partitioner%' order by 1`);
}

/** No view of the application reads the retired table, or what has retired with it, any more. */
export async function expectNoneOfRetired({ run }: Application): Promise<void> {
  const rows = await run(`
    select pg_describe_object(d.classid, d.objid, 0) as object from pg_depend d join pg_class c on c.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
    join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid join pg_class v on v.oid = r.ev_class
    where c.relname like 'partitioner%retired%' and v.relname not like 'partitioner%'`);
  expect(rows).toEqual([]);
}
