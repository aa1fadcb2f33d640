-- A relation by its name, with what the target's own statements repeat.
-- $1::name: schema  $2::name: relation
select
  c.oid,
  n.nspname as schema,
  c.relname as name,
  pg_get_userbyid(c.relowner) as owner,
  current_user as session_role,
  c.relkind as kind,
  c.relpersistence as persistence,
  c.relrowsecurity as row_security,
  c.relforcerowsecurity as row_security_forced,
  coalesce(am.amname, '') as access_method,
  s.spcname as tablespace,
  c.relreplident as replica_identity,
  coalesce(c.reloptions, '{}') || coalesce(array(select 'toast.' || o from unnest(t.reloptions) o), '{}') as options,
  obj_description(c.oid, 'pg_class') as comment,
  -- The row type's own privileges (null: as they come) and comment.
  (
    select json_build_object('comment', obj_description(y.oid, 'pg_type'), 'grants', case when y.typacl is not null then (
      select coalesce(json_agg(json_build_object(
        'grantee', case when x.grantee = 0 then null else pg_get_userbyid(x.grantee) end,
        'grantor', pg_get_userbyid(x.grantor),
        'privilege', x.privilege_type,
        'grantable', x.is_grantable
      ) order by x.grantee, x.grantor), '[]')
      from aclexplode(y.typacl) x
    ) end)
    from pg_type y
    where y.oid = c.reltype
  ) as row_type,
  (
    select coalesce(json_agg(json_build_object(
      'grantee', case when x.grantee = 0 then null else pg_get_userbyid(x.grantee) end,
      'grantor', pg_get_userbyid(x.grantor),
      'privilege', x.privilege_type,
      'grantable', x.is_grantable
    ) order by x.grantee, x.grantor, x.privilege_type), '[]')
    from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
  ) as grants,
  array(
    select r.rolname::text from pg_roles r
    where r.rolname <> current_user
      -- From 16 on a membership may be granted without SET; the privilege has no such name before.
      and pg_has_role(r.oid, case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end)
  ) as settable_roles,
  array(
    select d.privilege_type from aclexplode(acldefault('r', c.relowner)) d
    except
    select x.privilege_type from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x where x.grantee = c.relowner
    order by 1
  ) as owner_lacks,
  (
    select coalesce(json_agg(distinct jsonb_build_object(
      'kind', case d.defaclobjtype when 'r' then 'table' else 'sequence' end,
      'grantee', case when x.grantee = 0 then null else pg_get_userbyid(x.grantee) end
    )), '[]')
    from pg_default_acl d
    cross join lateral aclexplode(d.defaclacl) x
    where d.defaclrole in ((select oid from pg_roles where rolname = current_user), c.relowner)
      and d.defaclobjtype in ('r', 'S')
      and d.defaclnamespace in (0, c.relnamespace)
      and x.grantee <> c.relowner
  ) as default_grantees,
  case
    when size.blocks = 0 then 0
    when c.reltuples >= 0 and c.relpages > 0 then round(c.reltuples::numeric / c.relpages * size.blocks)
    else size.blocks * 40
  end::int8 as rows_estimated,
  case when c.relkind in ('r', 'm') then pg_table_size(c.oid) else 0 end as bytes,
  size.blocks
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am am on am.oid = c.relam
left join pg_tablespace s on s.oid = c.reltablespace
left join pg_class t on t.oid = c.reltoastrelid
cross join lateral (
  select case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) / current_setting('block_size')::int8 else 0 end as blocks
) size
where n.nspname = $1::name and c.relname = $2::name and c.relkind in ('r', 'p', 'v', 'm', 'f');
