-- id: participants-have-counters
-- title: Every participant has a counter, without which nothing can be enqueued for it
-- severity: error
-- must-fail-after: insert into participants values ('BROKEN01', 'no counter')

select p.participant_id
from participants p
where not exists (select from payment_outbox_sequences s where s.participant_id = p.participant_id);
