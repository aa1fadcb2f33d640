-- What uses a sequence that belongs to one of the table's columns, the column's own default left out.
-- $1::oid: table
select distinct
       format('%I.%I', sn.nspname, s.relname) as sequence,
       own.deptype = 'i' as is_identity,
       pg_describe_object(d.classid, d.objid, 0) as description,
       identified.identity as identity
from pg_depend own
join pg_class s on s.oid = own.objid and s.relkind = 'S'
join pg_namespace sn on sn.oid = s.relnamespace
join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.oid
cross join lateral pg_identify_object(d.classid, d.objid, 0) as identified
where own.classid = 'pg_class'::regclass and own.refclassid = 'pg_class'::regclass and own.refobjid = $1::oid and own.deptype in ('a', 'i')
  and not (d.classid = 'pg_attrdef'::regclass and exists (select from pg_attrdef ad where ad.oid = d.objid and ad.adrelid = $1::oid))
  and not (d.classid = 'pg_type'::regclass and d.deptype = 'i')
order by 1, 4
