-- id: attempts-counted
-- title: A pending payment counts the attempts that are on record for it
-- severity: error
-- must-fail-after: do $$ begin insert into currencies values ('XTS', 'x', 2) on conflict do nothing; insert into participants values ('BROKEN01', 'x'); insert into payment_outbox_sequences values ('BROKEN01'); perform enqueue_payment('BROKEN01', 'k', 'XTS', 1); update payment_outbox_pending set attempts = attempts + 1; end $$

select p.command_id, p.attempts as counted, count(a.attempt) as on_record, max(a.attempt) as highest
from payment_outbox_pending p left join payment_outbox_attempts a using (command_id)
group by p.command_id
having p.attempts <> count(a.attempt) or p.attempts <> coalesce(max(a.attempt), 0);
