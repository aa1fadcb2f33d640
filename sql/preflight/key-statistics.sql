-- What the statistics say of a column's range, for a table too large to be read.
-- $1::oid: table  $2::name: column
select (s.histogram_bounds::text::text[])[1] as lowest,
       (s.histogram_bounds::text::text[])[cardinality(s.histogram_bounds::text::text[])] as highest,
       coalesce(s.most_common_vals::text::text[] && array['infinity', '-infinity'], false) as has_infinity
from pg_stats s
join pg_namespace n on n.nspname = s.schemaname
join pg_class c on c.relnamespace = n.oid and c.relname = s.tablename
where c.oid = $1::oid and s.attname = $2::name and not s.inherited
