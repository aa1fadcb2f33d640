-- Sets the limits of a migration.
-- $1::int: migration  $2::jsonb: limits  $3::jsonb: those that `start` was given; null leaves them as they are
insert into partitioner.throttle (migration, limits, started) values ($1::int, $2::jsonb, coalesce($3::jsonb, '{}'))
on conflict (migration) do update set limits = excluded.limits, started = coalesce($3::jsonb, throttle.started);
