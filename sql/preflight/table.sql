-- What kind of relation it is, and what sets it apart from an ordinary table.
-- $1::name: schema  $2::name: name
select c.oid::text as oid,
       n.nspname::text as schema,
       c.relname::text as name,
       c.relkind::text as kind,
       c.relpersistence::text as persistence,
       c.relispartition as is_partition,
       case when c.reloftype <> 0 then format_type(c.reloftype, null) end as of_type,
       coalesce((select amname::text from pg_am where oid = c.relam), '') as access_method,
       c.relreplident::text as replica_identity,
       c.relrowsecurity as row_security,
       c.relforcerowsecurity as row_security_forced,
       array(select format('%I.%I', pn.nspname, p.relname) from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
             where i.inhrelid = c.oid order by i.inhseqno) as parents,
       array(select format('%I.%I', cn.nspname, k.relname) from pg_inherits i join pg_class k on k.oid = i.inhrelid join pg_namespace cn on cn.oid = k.relnamespace
             where i.inhparent = c.oid order by 1) as children,
       array(select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_extension'::regclass and d.deptype in ('e', 'x')) as extensions,
       age(c.relfrozenxid) as frozen_age,
       pg_table_size(c.oid)::text as table_bytes,
       pg_indexes_size(c.oid)::text as index_bytes,
       (pg_relation_size(c.oid) / current_setting('block_size')::int)::text as blocks
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::name and c.relname = $2::name
