-- What the statistics say of a partition key's values; no row when there are none (or none that this role may see).
-- $1::name: schema  $2::name: table  $3::name: column
select
  s.correlation,
  s.most_common_vals::text::text[] as common_values,
  s.most_common_freqs::float8[] as common_frequencies,
  s.histogram_bounds::text::text[] as histogram
from pg_stats s
where s.schemaname = $1::name and s.tablename = $2::name and s.attname = $3::name and not s.inherited;
