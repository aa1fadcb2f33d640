-- Records the names of the way back's slot and publication, before they are made.
-- $1::int: way back  $2::name: slot  $3::name: publication
update partitioner.migration set slot_name = $2::name, publication_name = $3::name, updated_at = now() where id = $1::int;
