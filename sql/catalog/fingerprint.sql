-- One hash over the catalog rows that say what a table is: when it changes, what was planned no longer fits, or something new
-- (a grant, an index) would be lost at the switch. Left out is what changes by itself (statistics, file nodes, object ids of
-- indexes, which REINDEX CONCURRENTLY replaces), and what the cutover reads by itself (sql/catalog/attachments).
-- The parts by themselves tell what has changed, and the objects what of it. Leaves come and go without changing the partitioned table.
-- $1::oid: table
select
  coalesce(md5(string_agg(part.kind || part.content, e'\n' order by part.kind, part.content collate "C")), '') as fingerprint,
  array_agg(part.kind || ' ' || part.content) as parts,
  jsonb_agg(jsonb_build_object('kind', part.kind, 'row', part.object) order by part.kind, part.content collate "C") as objects
from (
  select 'table' as kind, x::text as content, to_jsonb(x) as object
  from (
    select
      c.relname, c.relnamespace, c.relowner, c.relkind, c.relpersistence, c.relam, c.reltablespace, c.relreplident, c.reloptions,
      c.relrowsecurity, c.reloftype, c.relispartition, coalesce(c.relacl, acldefault('r', c.relowner)) as relacl,
      t.reloptions as toast_options
    from pg_class c
    left join pg_class t on t.oid = c.reltoastrelid
    where c.oid = $1::oid
  ) x
  union all
  select 'column', x::text, to_jsonb(x)
  from (
    select
      a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
      a.attcompression, nullif(a.attstattarget, -1), a.attoptions, a.attacl, d.adbin::text
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
  ) x
  union all
  select 'index', x::text, to_jsonb(x)
  from (
    select
      c.relname, c.relam, c.reltablespace, c.reloptions, i.indisunique, i.indisprimary, i.indisexclusion, i.indimmediate,
      i.indisreplident, i.indnkeyatts, i.indkey, i.indclass, i.indcollation, i.indoption, i.indexprs::text, i.indpred::text,
      to_jsonb(i) ->> 'indnullsnotdistinct'
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    where i.indrelid = $1::oid and i.indisvalid
  ) x
  union all
  select 'constraint', x::text, to_jsonb(x)
  from (
    select
      con.conname, con.contype, con.condeferrable, con.condeferred, con.convalidated, con.conrelid, con.confrelid, con.conkey,
      con.confkey, con.connoinherit, con.conbin::text, to_jsonb(con) ->> 'conenforced'
    from pg_constraint con
    where con.conrelid = $1::oid and con.contype <> 'f'
  ) x
  union all
  select 'inheritance', x::text, to_jsonb(x)
  from (
    select i.inhrelid, i.inhparent
    from pg_inherits i
    where i.inhrelid = $1::oid or (i.inhparent = $1::oid and not exists (select from pg_class c where c.oid = $1::oid and c.relkind = 'p'))
  ) x
  union all
  select 'statistics', x::text, to_jsonb(x)
  from (
    select s.stxname, s.stxnamespace, s.stxowner, s.stxkind, s.stxkeys, s.stxexprs::text, to_jsonb(s) ->> 'stxstattarget'
    from pg_statistic_ext s
    where s.stxrelid = $1::oid
  ) x
  union all
  select 'sequence', x::text, to_jsonb(x)
  from (
    select d.refobjsubid, d.deptype, c.oid, c.relname, c.relowner, c.relacl, q.seqtypid, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle
    from pg_depend d
    join pg_class c on c.oid = d.objid and c.relkind = 'S'
    join pg_sequence q on q.seqrelid = c.oid
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1::oid and d.deptype in ('a', 'i')
  ) x
  union all
  select 'comment', x::text, to_jsonb(x)
  from (
    select d.classoid::regclass::text, d.objsubid, d.description
    from pg_description d
    where (d.classoid = 'pg_class'::regclass and d.objoid = $1::oid)
      or (d.classoid = 'pg_constraint'::regclass and d.objoid in (select oid from pg_constraint where conrelid = $1::oid))
      or (d.classoid = 'pg_class'::regclass and d.objoid in (select indexrelid from pg_index where indrelid = $1::oid))
  ) x
) part;
