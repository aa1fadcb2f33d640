-- Where a table's rows are stored and what its columns were stored with: what the fingerprint leaves out, because it changes by itself.
-- A new file node is a rewrite (VACUUM FULL, CLUSTER, TRUNCATE, ALTER TABLE); only ALTER TABLE writes a column's catalog row with it.
-- The missing value is what rows have that were there before ADD COLUMN.
-- $1::oid: table
select
  pg_relation_filenode(c.oid)::bigint::text as filenode,
  json_agg(
    json_build_object(
      'attnum', a.attnum,
      'name', a.attname,
      'dropped', a.attisdropped,
      'xmin', a.xmin::text,
      'hasMissing', a.atthasmissing,
      'missing', (a.attmissingval::text::text[])[1]
    )
    order by a.attnum
  ) as attributes
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
where c.oid = $1::oid
group by c.oid;
