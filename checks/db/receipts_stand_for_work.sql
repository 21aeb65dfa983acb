-- id: receipts-stand-for-work
-- title: A receipt was taken in the transaction that left the mark
-- severity: error
-- must-fail-after: with r as (insert into runs (run_id) values ('broken') returning run_id) insert into receipts (run_id, step) select run_id, 's1' from r

select t.run_id, t.step, t.taken_at
from receipts t
where not exists (select from marks m where m.run_id = t.run_id and m.step = t.step);
