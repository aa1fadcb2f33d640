-- The extended statistics of a table.
-- $1::oid: table
select
  n.nspname as schema,
  s.stxname as name,
  -- Statistics on one expression alone have no kind of their own ('e' stands for the expression's).
  array(select case k when 'd' then 'ndistinct' when 'f' then 'dependencies' when 'm' then 'mcv' end from unnest(s.stxkind) k where k in ('d', 'f', 'm') order by 1) as kinds,
  pg_get_statisticsobjdef_columns(s.oid) as "on",
  case when (to_jsonb(s) ->> 'stxstattarget')::int >= 0 then (to_jsonb(s) ->> 'stxstattarget')::int end as target,
  obj_description(s.oid, 'pg_statistic_ext') as comment,
  pg_get_userbyid(s.stxowner) as owner,
  pg_has_role(s.stxowner, 'USAGE') and has_schema_privilege(n.oid, 'CREATE') as "mayAlter"
from pg_statistic_ext s
join pg_namespace n on n.oid = s.stxnamespace
where s.stxrelid = $1::oid
order by n.nspname, s.stxname
