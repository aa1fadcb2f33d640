import type { Client } from '../../src/pg/client.ts';

/** What the catalog says of one object, by names instead of OIDs: the same before and after, when nothing was lost. */
export interface ObjectFacts {
  /** The relation that it belongs to, as SQL writes it; null where it stands by itself. */
  readonly of: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** By kind and name: `index app.events_at`. */
export type CatalogFacts = ReadonlyMap<string, ObjectFacts>;

const acl = (list: string, kind: string, owner: string): string => `array(
  select format('%s %s%s by %s', case x.grantee when 0 then 'PUBLIC' else pg_get_userbyid(x.grantee) end, x.privilege_type, case when x.is_grantable and x.grantee <> ${owner} then ' with grant option' end, pg_get_userbyid(x.grantor))
  from aclexplode(coalesce(${list}, acldefault('${kind}', ${owner}))) x order by 1)`;

const RELATION = `format('%I.%I', n.nspname, c.relname)`;
const OWN = `n.nspname = any ($1)`;
const KIND = `case c.relkind when 'p' then 'table' when 'r' then 'table' when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'c' then 'composite type' else 'relation' end`;
const BARE = `regexp_replace(replace(pg_get_indexdef(c.oid), format(' INDEX %I ON ', c.relname), ' INDEX ON '), ' INDEX ON ONLY ', ' INDEX ON ')`;

/** Each gives `object`, `of` and the facts; `$1` are the schemas. What a version does not have is read through the row's JSON. */
const QUERIES: readonly string[] = [
  `select 'schema ' || n.nspname as object, null as "of", json_build_object(
     'owner', pg_get_userbyid(n.nspowner), 'privileges', ${acl('n.nspacl', 'n', 'n.nspowner')}, 'comment', obj_description(n.oid, 'pg_namespace')) as facts
   from pg_namespace n where ${OWN}`,
  `select ${KIND} || ' ' || ${RELATION} as object, case when c.relkind <> 'S' then ${RELATION} end as "of", json_build_object(
     'kind', c.relkind, 'owner', pg_get_userbyid(c.relowner), 'persistence', c.relpersistence, 'tablespace', s.spcname,
     'access method', case when c.relkind <> 'p' then am.amname end,
     'options', coalesce((select array_agg(o order by o) from unnest(c.reloptions) o), '{}') || coalesce((select array_agg('toast.' || o order by o) from unnest(t.reloptions) o), '{}'),
     'privileges', case when c.relkind = 'S' then ${acl('c.relacl', 's', 'c.relowner')} else ${acl('c.relacl', 'r', 'c.relowner')} end,
     'type privileges', ${acl('y.typacl', 'T', 'y.typowner')}, 'type comment', obj_description(y.oid, 'pg_type'),
     'comment', obj_description(c.oid, 'pg_class'), 'row security', array[c.relrowsecurity, c.relforcerowsecurity],
     'replica identity', c.relreplident, 'populated', c.relispopulated,
     'partition of', (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid), 'partition key', pg_get_partkeydef(c.oid),
     'definition', case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
     'security labels', array(select l.provider || l.label from pg_seclabel l where l.objoid = c.oid order by 1),
     'sequence', (select format('%s start %s increment %s min %s max %s cache %s cycle %s', q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle) from pg_sequence q where q.seqrelid = c.oid),
     'owned by', (select format('%s.%I %s', d.refobjid::regclass, a.attname, d.deptype) from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                  where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))) as facts
   from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_tablespace s on s.oid = c.reltablespace
   left join pg_class t on t.oid = c.reltoastrelid left join pg_am am on am.oid = c.relam left join pg_type y on y.oid = c.reltype
   where ${OWN} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'c', 'f')`,
  `select format('column %s.%I', ${RELATION}, a.attname) as object, ${RELATION} as "of", json_build_object(
     'position', row_number() over (partition by a.attrelid order by a.attnum), 'type', format_type(a.atttypid, a.atttypmod), 'collation', (select collname from pg_collation where oid = a.attcollation),
     'not null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage, 'compression', a.attcompression,
     'statistics', case when a.attstattarget >= 0 then a.attstattarget end, 'options', a.attoptions, 'local', a.attislocal, 'inherited', a.attinhcount,
     'privileges', array(select format('%s %s%s by %s', case x.grantee when 0 then 'PUBLIC' else pg_get_userbyid(x.grantee) end, x.privilege_type, case when x.is_grantable then ' with grant option' end, pg_get_userbyid(x.grantor))
                         from aclexplode(a.attacl) x order by 1),
     'comment', col_description(a.attrelid, a.attnum)) as facts
   from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where ${OWN} and c.relkind in ('r', 'p', 'v', 'm', 'c', 'f') and a.attnum > 0 and not a.attisdropped`,
  `select 'index ' || ${RELATION} as object, i.indrelid::regclass::text as "of", json_build_object(
     'definition', ${BARE}, 'flags', array[i.indisvalid, i.indisready, i.indisclustered, i.indisreplident, i.indisprimary, i.indisunique], 'tablespace', s.spcname, 'owner', pg_get_userbyid(c.relowner),
     'options', c.reloptions, 'comment', obj_description(c.oid, 'pg_class'),
     'partition of', (select inhparent::regclass::text from pg_inherits where inhrelid = c.oid),
     'statistics', array(select array[a.attnum, a.attstattarget] from pg_attribute a where a.attrelid = c.oid and a.attstattarget >= 0 order by a.attnum)) as facts
   from pg_class c join pg_index i on i.indexrelid = c.oid join pg_namespace n on n.oid = c.relnamespace left join pg_tablespace s on s.oid = c.reltablespace where ${OWN}`,
  `select format('constraint %s.%I', case when k.conrelid <> 0 then ${RELATION} else k.contypid::regtype::text end, k.conname) as object, case when k.conrelid <> 0 then ${RELATION} end as "of", json_build_object(
     'type', k.contype, 'definition', pg_get_constraintdef(k.oid), 'deferrable', array[k.condeferrable, k.condeferred], 'validated', k.convalidated, 'local', k.conislocal, 'inherited', k.coninhcount,
     'not inherited', case when k.contype in ('c', 'n') then k.connoinherit end,
     'enforced', to_jsonb(k) -> 'conenforced', 'comment', obj_description(k.oid, 'pg_constraint'), 'parent', (select quote_ident(p.conname) from pg_constraint p where p.oid = k.conparentid),
     -- Which of the triggers are on the table and which on its leaves differs between versions.
     'triggers', array(with recursive copy as (select k.oid union all select p.oid from copy join pg_constraint p on p.conparentid = copy.oid)
       select distinct format('%s %s', g.tgfoid::regproc, g.tgenabled) from copy join pg_trigger g on g.tgconstraint = copy.oid where g.tgisinternal and k.contype = 'f' order by 1)) as facts
   from pg_constraint k left join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = k.connamespace where ${OWN}
     -- The copies that PostgreSQL keeps of a foreign key on a partitioned table, one for each of its leaves.
     and not (k.contype = 'f' and k.conparentid <> 0 and exists (select from pg_constraint p where p.oid = k.conparentid and p.conrelid = k.conrelid))`,
  `select format('trigger %s.%I', ${RELATION}, g.tgname) as object, ${RELATION} as "of", json_build_object(
     'definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled, 'comment', obj_description(g.oid, 'pg_trigger'), 'parent', (select p.tgname from pg_trigger p where p.oid = g.tgparentid),
     'extension', (select array_agg(pg_describe_object(d.refclassid, d.refobjid, 0)) from pg_depend d where d.classid = 'pg_trigger'::regclass and d.objid = g.oid and d.refclassid = 'pg_extension'::regclass)) as facts
   from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace where ${OWN}
     -- Before 15 the copies on leaves are internal ones.
     and (not g.tgisinternal or g.tgparentid <> 0 and not exists (select from pg_constraint k where k.oid = g.tgconstraint and k.contype = 'f'))`,
  `select format('policy %s.%I', ${RELATION}, p.polname) as object, ${RELATION} as "of", json_build_object(
     'command', p.polcmd, 'permissive', p.polpermissive, 'roles', array(select case r when 0 then 'PUBLIC' else pg_get_userbyid(r) end from unnest(p.polroles) r order by 1),
     'using', pg_get_expr(p.polqual, p.polrelid), 'with check', pg_get_expr(p.polwithcheck, p.polrelid), 'comment', obj_description(p.oid, 'pg_policy')) as facts
   from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where ${OWN}`,
  `select format('rule %s.%I', ${RELATION}, r.rulename) as object, ${RELATION} as "of", json_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled, 'comment', obj_description(r.oid, 'pg_rewrite')) as facts
   from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace where ${OWN}`,
  `select 'routine ' || p.oid::regprocedure as object, null as "of", json_build_object(
     'kind', p.prokind, 'definition', case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) end, 'owner', pg_get_userbyid(p.proowner), 'privileges', ${acl('p.proacl', 'f', 'p.proowner')},
     'aggregate', (select format('%s %s %s', g.aggtransfn, g.aggtranstype::regtype, g.aggfinalfn) from pg_aggregate g where g.aggfnoid = p.oid), 'comment', obj_description(p.oid, 'pg_proc')) as facts
   from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${OWN}`,
  `select 'type ' || t.oid::regtype as object, null as "of", json_build_object(
     'kind', t.typtype, 'owner', pg_get_userbyid(t.typowner), 'privileges', ${acl('t.typacl', 'T', 't.typowner')}, 'comment', obj_description(t.oid, 'pg_type'),
     'domain', case when t.typtype = 'd' then format('%s %s %s', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault) end,
     'labels', array(select e.enumlabel from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder), 'range', (select r.rngsubtype::regtype::text from pg_range r where r.rngtypid = t.oid)) as facts
   from pg_type t join pg_namespace n on n.oid = t.typnamespace where ${OWN} and t.typtype in ('d', 'e', 'r', 'm')`,
  `select format('statistics %I.%I', n.nspname, s.stxname) as object, s.stxrelid::regclass::text as "of", json_build_object(
     'definition', replace(pg_get_statisticsobjdef(s.oid), format('%I.%I', n.nspname, s.stxname), ''), 'owner', pg_get_userbyid(s.stxowner), 'target', case when (to_jsonb(s) ->> 'stxstattarget')::int >= 0 then to_jsonb(s) ->> 'stxstattarget' end,
     'comment', obj_description(s.oid, 'pg_statistic_ext')) as facts
   from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where ${OWN}`,
  `select 'publication ' || quote_ident(p.pubname) as object, null as "of", (to_jsonb(p) - array['oid', 'pubowner']) || jsonb_build_object(
     'owner', pg_get_userbyid(p.pubowner), 'comment', obj_description(p.oid, 'pg_publication'),
     'tables', array(select r.prrelid::regclass::text from pg_publication_rel r where r.prpubid = p.oid order by 1),
     'published', array(select (to_jsonb(t) - 'pubname')::text from pg_publication_tables t where t.pubname = p.pubname and t.schemaname = any ($1) order by 1)) as facts
   from pg_publication p where cardinality($1::text[]) > 0 and p.pubname !~ '^partitioner_'`,
  `select format('default privileges %s %s %s', pg_get_userbyid(d.defaclrole), d.defaclobjtype, n.nspname) as object, null as "of", json_build_object('privileges', d.defaclacl::text) as facts
   from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace where n.nspname is null or ${OWN}`,
  `select 'event trigger ' || e.evtname as object, null as "of", (to_jsonb(e) - array['oid', 'evtowner', 'evtfoid']) || jsonb_build_object('function', e.evtfoid::regproc::text, 'comment', obj_description(e.oid, 'pg_event_trigger')) as facts
   from pg_event_trigger e where cardinality($1::text[]) > 0`,
];

/** Between which named objects a dependency is, and of what kind. What enforces a foreign key is among its facts; TOAST tables have no names. */
const DEPENDENCIES = `
  select distinct format('dependency: %s -> %s (%s)', pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), d.deptype) as object
  from pg_depend d
  where d.objid >= 16384 and d.refobjid >= 16384
    and not exists (select from pg_trigger g where d.classid = 'pg_trigger'::regclass and g.oid = d.objid and g.tgisinternal)
    and not exists (select from pg_constraint k join pg_constraint p on p.oid = k.conparentid and p.conrelid = k.conrelid
                    where (d.classid = 'pg_constraint'::regclass and k.oid = d.objid) or (d.refclassid = 'pg_constraint'::regclass and k.oid = d.refobjid))`;

/** Everything in the schemas, and what is the database's: publications, event triggers, default privileges. */
export async function catalogFacts(client: Client, schemas: readonly string[]): Promise<CatalogFacts> {
  const all = new Map<string, ObjectFacts>();
  for (const query of QUERIES) {
    const { rows } = await client.query<{ object: string; of: string | null; facts: Record<string, unknown> }>(query, [schemas]);
    for (const { object, of, facts } of rows) all.set(object, { of, facts });
  }
  const { rows } = await client.query<{ object: string }>(DEPENDENCIES);
  for (const { object } of rows)
    if (!/\bpartitioner\.|schema partitioner\b|pg_toast/.test(object)) all.set(object, { of: null, facts: {} });
  return all;
}
