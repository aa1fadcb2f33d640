-- The functions and procedures whose body is text and holds the table's name as a word: a hint, not a dependency.
-- They find the table by its name each time, and need nothing.
-- $1::oid: table
select
  (pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity as identity,
  l.lanname as language
from pg_proc p
join pg_language l on l.oid = p.prolang
join pg_class c on c.oid = $1::oid
where l.lanname not in ('internal', 'c')
  and p.prosrc is not null
  and p.prosrc ~* ('(^|[^[:alnum:]_])' || regexp_replace(c.relname, '([^[:alnum:]_])', '\\\1', 'g') || '($|[^[:alnum:]_])')
  and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
order by 1
limit 100
