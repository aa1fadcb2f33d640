-- Who may commit. Every daemon that begins to work on a migration takes the next epoch; its sessions carry it (partitioner.claim), and every
-- transaction that records something is refused when it is no longer the last one. The row is locked until that transaction has ended: whoever takes the
-- next epoch waits for those under way, and none comes after it.
create table if not exists partitioner.claim (
  migration integer primary key references partitioner.migration on delete cascade,
  epoch     bigint not null,
  taken_at  timestamptz not null default clock_timestamp()
);

create or replace function partitioner.fence() returns trigger language plpgsql set search_path = pg_catalog as $$
declare
  claim text := current_setting('partitioner.claim', true);
begin
  if coalesce(claim, '') <> '' then
    perform from partitioner.claim c
    where c.migration = split_part(claim, ':', 1)::integer and c.epoch = split_part(claim, ':', 2)::bigint
    for share;
    if not found and exists (select from partitioner.claim c where c.migration = split_part(claim, ':', 1)::integer) then
      raise exception using errcode = '08P02', message = 'another daemon has taken over this migration';
    end if;
  end if;
  return null;
end$$;

do $$
declare
  control text;
begin
  foreach control in array array['position', 'unit', 'leaf', 'chunk', 'verification', 'verified', 'after_step', 'definition', 'daemon', 'migration', 'command', 'recovery', 'recovered'] loop
    if not exists (select from pg_trigger where tgrelid = format('partitioner.%I', control)::regclass and tgname = 'fence') then
      execute format('create trigger fence before insert or update or delete on partitioner.%I for each statement execute function partitioner.fence()', control);
    end if;
  end loop;
end$$;
