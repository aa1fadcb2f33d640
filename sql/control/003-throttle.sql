-- What keeps the work beside the application's, and how it stands. Several statements, run by start where they are missing.
create table if not exists partitioner.throttle (
  migration integer primary key references partitioner.migration on delete cascade,
  limits    jsonb not null default '{}',    -- by name, as `start` and `throttle` have set them: see src/migration/throttle.ts
  started   jsonb not null default '{}',    -- those that the last `start` was given: given again, they change nothing
  pace      text not null default 'full' check (pace in ('full', 'slow', 'hold')),
  reasons   text[] not null default '{}'
);
