-- Everything that depends on the table, on its row type (and that type's array), on its constraints or on its indexes,
-- with what is needed to tell whose it is. The planner of findings knows each kind, or reports it as unknown.
-- $1::oid: table
with own as (
  select 'pg_class'::regclass as classid, $1::oid as objid
  union all select 'pg_type'::regclass, t.oid from pg_type t where t.typrelid = $1::oid
  union all select 'pg_type'::regclass, t.typarray from pg_type t where t.typrelid = $1::oid and t.typarray <> 0
  union all select 'pg_constraint'::regclass, con.oid from pg_constraint con where con.conrelid = $1::oid and con.contype <> 'f'
  union all select 'pg_class'::regclass, i.indexrelid from pg_index i where i.indrelid = $1::oid
)
select distinct
       d.classid::regclass::text as catalog,
       d.objid::text as oid,
       d.deptype::text as dependency,
       d.refclassid = 'pg_type'::regclass as on_row_type,
       pg_describe_object(d.classid, d.objid, 0) as description,
       identified.type as type,
       identified.identity as identity,
       coalesce(rel.relkind::text, '') as relation_kind,
       con.contype::text as constraint_type,
       case when con.contype in ('f', 'p', 'u', 'x', 'c', 'n', 't') then con.conname::text end as constraint_name,
       coalesce(trg.tgisinternal, false) as is_internal_trigger,
       coalesce(trg.tgname::text, pol.polname::text, rul.rulename::text) as name,
       coalesce(coalesce(idx.indrelid, con.conrelid, att.adrelid, trg.tgrelid, rul.ev_class, pol.polrelid, prl.prrelid) = $1::oid, false) as is_own,
       (select format('%I.%I', n.nspname, o.relname) from pg_class o join pg_namespace n on n.oid = o.relnamespace
        where o.oid = coalesce(idx.indrelid, con.conrelid, att.adrelid, trg.tgrelid, rul.ev_class, pol.polrelid)) as relation,
       (select o.relkind::text from pg_class o where o.oid = rul.ev_class) as rule_relation_kind
from pg_depend d
join own on own.classid = d.refclassid and own.objid = d.refobjid
cross join lateral pg_identify_object(d.classid, d.objid, 0) as identified
left join pg_class rel on d.classid = 'pg_class'::regclass and rel.oid = d.objid
left join pg_index idx on d.classid = 'pg_class'::regclass and idx.indexrelid = d.objid
left join pg_constraint con on d.classid = 'pg_constraint'::regclass and con.oid = d.objid
left join pg_attrdef att on d.classid = 'pg_attrdef'::regclass and att.oid = d.objid
left join pg_trigger trg on d.classid = 'pg_trigger'::regclass and trg.oid = d.objid
left join pg_rewrite rul on d.classid = 'pg_rewrite'::regclass and rul.oid = d.objid
left join pg_policy pol on d.classid = 'pg_policy'::regclass and pol.oid = d.objid
left join pg_publication_rel prl on d.classid = 'pg_publication_rel'::regclass and prl.oid = d.objid
where not exists (select from own self where self.classid = d.classid and self.objid = d.objid)
  -- What its partitions have of it is a part of them.
  and d.deptype not in ('P', 'S')
order by 1, identified.identity
