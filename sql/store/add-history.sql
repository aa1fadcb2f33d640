-- Records an event of a migration.
-- $1::int: migration  $2::text: event  $3::jsonb: detail
insert into partitioner.history (migration, event, detail) values ($1::int, $2::text, $3::jsonb);
