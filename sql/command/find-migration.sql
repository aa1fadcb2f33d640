-- The newest migration of a table, that a verb acts on.
-- $1::text: a table as the user writes it (events, app.events, "App"."Events")
select m.id, format('%I.%I', m.source_schema, m.source_name) as source, m.phase, m.options, m.plan
from partitioner.migration m
cross join parse_ident($1::text) as parts
where m.reverse_of is null
  and ((cardinality(parts) = 1 and m.source_name = parts[1])
    or (cardinality(parts) = 2 and m.source_schema = parts[1] and m.source_name = parts[2]))
order by m.phase not in ('done', 'aborted') desc, m.id desc
