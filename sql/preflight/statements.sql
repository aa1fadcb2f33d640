-- The statements of this database whose text holds a name, the costliest first; what other roles ran is hidden from a role without pg_read_all_stats.
-- The columns of the view have other names in old versions of the extension: they are read as JSON. With each comes the search path that its role has.
-- $1::text: name  $2::int: how many at most
-- prepare: with create temporary table pg_stat_statements (userid oid, dbid oid, query text, calls bigint, total_exec_time float8)
-- prepare: statements=pg_stat_statements
with seen as (
  select s.query, s.userid, (to_jsonb(s) ->> 'calls')::bigint as calls,
         coalesce(to_jsonb(s) ->> 'total_exec_time', to_jsonb(s) ->> 'total_time')::float8 as total
  from :"statements" s
  where s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and (position(lower($1::text) in lower(s.query)) > 0 or s.query = '<insufficient privilege>')
), placed as (
  select s.query, s.calls, s.total, r.rolname,
         coalesce((
           select substring(entry from '^search_path=(.*)$')
           from pg_catalog.pg_db_role_setting g, unnest(g.setconfig) as entry
           where g.setrole in (s.userid, 0) and entry like 'search\_path=%'
             and g.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))
           order by g.setrole = 0, g.setdatabase = 0
           limit 1
         ), (select reset_val from pg_catalog.pg_settings where name = 'search_path')) as path
  from seen s left join pg_catalog.pg_roles r on r.oid = s.userid
)
select query,
       sum(calls)::float8 as calls,
       sum(total) / greatest(sum(calls), 1) as mean_ms,
       replace(path, '"$user"', coalesce(quote_ident(rolname), '"$user"')) as path
from placed
group by query, 4
order by sum(total) desc
limit $2::int
