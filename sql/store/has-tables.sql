-- Whether the control schema has all that this version of the tool keeps in it: an older version has made it otherwise.
select bool_and(to_regclass('partitioner.' || name) is not null)
  and exists (select from pg_attribute where attrelid = to_regclass('partitioner.daemon') and attname = 'behind_since' and not attisdropped) as there
from unnest(array['recovery', 'throttle', 'definition', 'claim']) name;
