-- Functions that the planner may run when it is given a statement: immutable ones that somebody has written. (Those of PostgreSQL itself and of extensions are trusted.)
-- $1::text[]: names
select distinct p.proname::text as name
from pg_catalog.pg_proc p
join pg_catalog.pg_language l on l.oid = p.prolang
where p.proname = any ($1::text[])
  and p.provolatile = 'i'
  and l.lanname not in ('internal', 'c')
  and p.pronamespace <> 'pg_catalog'::regnamespace
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
