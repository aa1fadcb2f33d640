-- Least and greatest value of the partition key (through its index when there is one, else by a full scan), and the time.
-- Identifiers: source, key
select min(:"key")::text as min, max(:"key")::text as max, now()::text as now
from only :"source";
