-- id: sequences-gapless
-- title: A participant's payments are numbered 1, 2, 3, … up to its counter
-- severity: error
-- must-fail-after: with p as (insert into participants values ('BROKEN01', 'x') returning participant_id) insert into payment_outbox_sequences select participant_id, 3 from p

select s.participant_id, s.last_sequence, count(c.sequence) as commands, max(c.sequence) as highest
from payment_outbox_sequences s left join payment_outbox_commands c using (participant_id)
group by s.participant_id
-- Numbers are unique and positive: as many as the highest means that none is missing.
having s.last_sequence <> count(c.sequence) or s.last_sequence <> coalesce(max(c.sequence), 0);
