-- The columns of a table, and for each whether its values can travel in the binary form: pgoutput sends what has a send
-- function, and fails at run time when a type inside of an array, composite or range has none.
-- $1::oid: table
with recursive part(attnum, type, is_inside) as (
  select a.attnum, a.atttypid, false
  from pg_attribute a
  where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
  union
  select p.attnum, inner_type.oid, p.is_inside or t.typtype <> 'd'
  from part p
  join pg_type t on t.oid = p.type
  cross join lateral (
    select t.typelem as oid where t.typelem <> 0 and t.typlen = -1
    union all
    select t.typbasetype where t.typtype = 'd'
    union all
    select a.atttypid from pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    union all
    select r.rngsubtype from pg_range r where r.rngtypid = t.oid
    union all
    select r.rngtypid from pg_range r where r.rngmultitypid = t.oid
  ) inner_type
),
wire as (
  select
    p.attnum,
    bool_and(p.is_inside or (t.typsend <> 0 and t.typreceive <> 0)) as has_binary,
    -- A type that can be sent and not received would come in a form that cannot be stored. An empty tsquery, int2vector or
    -- oidvector is sent in a form that PostgreSQL itself refuses to receive.
    bool_and(
      case when p.is_inside then t.typsend <> 0 and t.typreceive <> 0 else t.typsend = 0 or t.typreceive <> 0 end
      and t.oid not in ('tsquery'::regtype, 'int2vector'::regtype, 'oidvector'::regtype)
    ) as allows_binary
  from part p
  join pg_type t on t.oid = p.type
  group by p.attnum
)
select
  a.attname as name,
  a.attnum,
  format_type(a.atttypid, a.atttypmod) as type,
  a.atttypid as type_oid,
  a.atttypmod as typmod,
  a.attnotnull as not_null,
  pg_get_expr(d.adbin, d.adrelid) as default_expression,
  a.attgenerated as generated,
  a.attidentity as identity,
  w.has_binary,
  w.allows_binary,
  case when a.attstattarget >= 0 then a.attstattarget end as statistics_target,
  coalesce(a.attoptions, '{}') as options,
  col_description(a.attrelid, a.attnum) as comment,
  (
    select coalesce(json_agg(json_build_object(
      'grantee', case when x.grantee = 0 then null else pg_get_userbyid(x.grantee) end,
      'grantor', pg_get_userbyid(x.grantor),
      'privilege', x.privilege_type,
      'grantable', x.is_grantable
    ) order by x.grantee, x.grantor, x.privilege_type), '[]')
    from aclexplode(a.attacl) x
  ) as grants,
  (
    select coalesce(json_agg(json_build_object(
      'oid', c.oid::int8,
      'schema', n.nspname,
      'name', c.relname,
      'dependency', dep.deptype,
      'comment', obj_description(c.oid, 'pg_class'),
      'definition', format(
        'start with %s increment by %s minvalue %s maxvalue %s cache %s %s',
        q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, case when q.seqcycle then 'cycle' else 'no cycle' end
      ),
      'grants', (
        select coalesce(json_agg(json_build_object(
          'grantee', case when x.grantee = 0 then null else pg_get_userbyid(x.grantee) end,
          'grantor', pg_get_userbyid(x.grantor),
          'privilege', x.privilege_type,
          'grantable', x.is_grantable
        ) order by x.grantee, x.grantor, x.privilege_type), '[]')
        from aclexplode(c.relacl) x
        where x.grantee <> c.relowner or x.grantor <> c.relowner
      )
    ) order by dep.deptype desc, c.oid), '[]')
    from pg_depend dep
    join pg_class c on c.oid = dep.objid and c.relkind = 'S'
    join pg_namespace n on n.oid = c.relnamespace
    join pg_sequence q on q.seqrelid = c.oid
    where dep.classid = 'pg_class'::regclass
      and dep.refclassid = 'pg_class'::regclass
      and dep.refobjid = a.attrelid
      and dep.refobjsubid = a.attnum
      and dep.deptype in ('a', 'i')
  ) as sequences
from pg_attribute a
join wire w on w.attnum = a.attnum
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
order by a.attnum;
