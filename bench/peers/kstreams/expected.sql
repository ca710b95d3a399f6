-- What KafkaStreamsBench.java computes, by DuckDB alone: of each key the newest row, of equal times the one that came
-- later, with the window of the 120 s up to it, to the millisecond, over the events that had come by then.
create table expected as
with events as (
    select id, ts, amount, row_number() over () as arrival
    from read_json(getvariable('files'), format = 'newline_delimited',
                   columns = {id: 'bigint', ts: 'timestamp', amount: 'double'})
), newest as (
    select * from events
    qualify row_number() over (partition by id order by ts desc, arrival desc) = 1
)
select newest.id, newest.ts, count(*) as cnt, avg(events.amount) as mean
from newest
join events on events.id = newest.id and events.ts between newest.ts - interval 120 seconds and newest.ts
    and events.arrival <= newest.arrival
group by newest.id, newest.ts
