-- What hangs on the table without a row in pg_depend that names it:
-- subscriptions, security labels of the table, its columns, indexes and sequences, and extensions that its indexes depend on.
-- $1::oid: table
with relations as (
  select $1::oid as oid
  union all select indexrelid from pg_index where indrelid = $1::oid
  union all select objid from pg_depend where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and refobjid = $1::oid and deptype in ('a', 'i')
)
select array(select s.subname::text from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid where r.srrelid = $1::oid order by 1) as subscriptions,
       array(select l.provider || ' on ' || pg_describe_object(l.classoid, l.objoid, l.objsubid) from pg_seclabel l
             where (l.classoid = 'pg_class'::regclass and l.objoid in (select oid from relations))
                or (l.classoid = 'pg_type'::regclass and l.objoid in (select t.oid from pg_type t where t.typrelid = $1::oid))
             order by 1) as security_labels,
       array(select pg_describe_object(d.classid, d.objid, 0) || ' on extension ' || e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
             where d.classid = 'pg_class'::regclass and d.objid in (select oid from relations) and d.objid <> $1::oid
               and d.refclassid = 'pg_extension'::regclass and d.deptype in ('e', 'x') order by 1) as extension_indexes
