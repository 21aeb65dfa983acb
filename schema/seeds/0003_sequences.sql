-- A counter for every participant: without one, nothing can be enqueued for it.
insert into payment_outbox_sequences (participant_id)
select p.participant_id from participants p
on conflict (participant_id) do nothing;
