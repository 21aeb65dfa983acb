-- id: leases-repaired
-- title: No lease ran out an hour ago and was left: repair_expired_leases() is called
-- severity: warning
-- must-fail-after: do $$ begin insert into currencies values ('XTS', 'x', 2) on conflict do nothing; insert into participants values ('BROKEN01', 'x'); insert into payment_outbox_sequences values ('BROKEN01'); perform enqueue_payment('BROKEN01', 'k', 'XTS', 1); update payment_outbox_pending set leased_by = 'w', leased_until = now() - interval '2 hours'; end $$

select p.command_id, p.leased_by, p.leased_until
from payment_outbox_pending p
where p.leased_until < now() - interval '1 hour';
