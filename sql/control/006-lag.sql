-- Since when the daemon has had changes that it has not applied; null while it has none. Looked up first: the table is not locked for a column that is there.
do $$
begin
  if not exists (select from pg_attribute where attrelid = 'partitioner.daemon'::regclass and attname = 'behind_since' and not attisdropped) then
    alter table partitioner.daemon add column behind_since timestamptz;
  end if;
end$$;
