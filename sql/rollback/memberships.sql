-- The publications that have a partitioned table by its name, ours left out. pg_publication_tables shows it where they publish through the root.
-- $1::oid: table
select
  p.pubname as name,
  p.pubviaroot as "viaRoot",
  case when to_jsonb(r) ->> 'prattrs' is not null then to_jsonb(t) -> 'attnames' end as columns,
  to_jsonb(t) ->> 'rowfilter' as "rowFilter",
  pg_get_userbyid(p.pubowner) as owner,
  pg_has_role(p.pubowner, 'USAGE') as "mayAlter"
from pg_publication_rel r
join pg_publication p on p.oid = r.prpubid
join pg_class c on c.oid = r.prrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_publication_tables t on t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname
where r.prrelid = $1::oid and p.pubname !~ '^partitioner_[0-9]+$'
order by p.pubname;
