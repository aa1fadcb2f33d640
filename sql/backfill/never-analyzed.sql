-- Whether a partitioned table was never analyzed as a whole.
-- $1::name: schema  $2::name: table
select c.reltuples < 0 as never
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::name and c.relname = $2::name
