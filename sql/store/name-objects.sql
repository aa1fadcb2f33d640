-- Records the names of what the migration is about to make, before it makes them, so that a later abort finds them.
-- $1::int: migration  $2::name: target  $3::name: retired  $4::name: slot  $5::name: publication
update partitioner.migration
set target_name = $2::name, retired_name = $3::name, slot_name = $4::name, publication_name = $5::name, updated_at = now()
where id = $1::int;
