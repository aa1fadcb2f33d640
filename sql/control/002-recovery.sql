-- What becomes of a migration whose slot was lost: docs/slot.md. Several statements, run by start where they are missing.

-- One row for each time that a slot was lost. The last one that is not finished is under way.
create table if not exists partitioner.recovery (
  migration         integer not null references partitioner.migration on delete cascade,
  number            integer not null,
  reason            text not null,          -- why changes may be missing
  lost_at           timestamptz not null default clock_timestamp(), -- when it was noticed
  held              boolean not null default false, -- the slot was dropped to save the disk: nothing is done before `resume`
  slot_lsn          pg_lsn,                 -- first position of the new slot; null until it is there
  last_snapshot_lsn pg_lsn,                 -- the WAL position read after the last snapshot that keys were read again in
  finished_at       timestamptz,            -- when its leaves were live again, or another slot was lost
  primary key (migration, number)
);

-- What the recovery has compared: a leaf, or the whole table (-1).
create table if not exists partitioner.recovered (
  migration    integer not null references partitioner.migration on delete cascade,
  part         integer not null,
  reached      text[],                      -- where the next range begins
  keys         bigint not null default 0,   -- keys that differed, and are read again
  snapshot_lsn pg_lsn,                      -- the WAL position read after its last snapshot
  checked_at   timestamptz,                 -- when its last range was compared
  primary key (migration, part)
);
