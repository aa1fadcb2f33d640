-- Event triggers that are enabled: they run on every DDL statement of ours.
select evtname::text as name, evtevent::text as event, evtfoid::regproc::text as function
from pg_event_trigger
where evtenabled <> 'D'
order by evtname
