-- A unit and the state that it begins in.
-- $1::int: migration  $2::int: unit  $3::text: state  $4::text: step  $5::int: load order  $6::bigint: rows  $7::bigint: bytes
insert into partitioner.unit (migration, unit, state, step, load_order, rows_estimated, bytes_estimated)
values ($1::int, $2::int, $3::text, $4::text, $5::int, $6::bigint, $7::bigint);
