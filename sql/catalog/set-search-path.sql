-- Sets the session's search path, and says what it was. Without a path: the one that the role or the database sets, which
-- our sessions replace by the empty one.
-- $1::text: path, or null
select
  current_setting('search_path') as before,
  set_config('search_path', coalesce($1::text, (select reset_val from pg_catalog.pg_settings where name = 'search_path')), false) as now;
