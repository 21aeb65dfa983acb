-- id: marks-once
-- title: A run that succeeded did each of its steps once
-- severity: error
-- must-fail-after: with r as (insert into runs (run_id, status, finished_at) values ('broken', 'succeeded', now()) returning run_id) insert into marks (run_id, step) select run_id, 's1' from r, generate_series(1, 2)

select m.run_id, m.step, count(*) as times
from marks m join runs r using (run_id)
where r.status = 'succeeded'
group by m.run_id, m.step
having count(*) <> 1;
