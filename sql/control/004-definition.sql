-- The source's definition as the migration knows it: what a later look is compared with, to tell what was altered meanwhile.
create table if not exists partitioner.definition (
  migration   integer primary key references partitioner.migration on delete cascade,
  fingerprint text not null,                -- the one that the objects have; another one in partitioner.migration: not recorded yet
  objects     jsonb not null,               -- sql/catalog/fingerprint
  storage     jsonb not null,               -- sql/catalog/storage
  types       jsonb not null,               -- sql/catalog/types
  table_now   jsonb not null,               -- the table as src/domain/table.ts has it
  seen_at     timestamptz not null default clock_timestamp()
);
