-- Completing: each outcome is a row of history; a last one ends the payment, any other makes it due again later.

insert into currencies values ('XTS', 'for testing', 2) on conflict do nothing;
insert into participants values ('TESTONE1', 'one');
insert into payment_outbox_sequences values ('TESTONE1');
update policy_versions set status = 'RETIRED' where status = 'ACTIVE';
insert into policy_versions (version, status, checksum, document) values (
    'test', 'ACTIVE', repeat('0', 64),
    '{"batch": {"limit": 10}, "lease": {"seconds": 60}, "retry": {"delaySeconds": 5, "maxAttempts": 2}}'
);
update payment_outbox_pending set available_at = 'infinity';

create temporary table payment on commit drop as
select (enqueue_payment('TESTONE1', 'key-' || i, 'XTS', i)).command_id, i as number from generate_series(1, 3) i;
grant select on payment to executor;

set local role executor;
select count(*) = 3 as all_claimed from claim_payments('worker-a');

-- 1: settled at once. 2: rejected. 3: fails twice, which is the last that the policy allows.
select complete_payment(command_id, 'worker-a', 'settled', 'ref 17') = 'settled' as settled
from payment where number = 1;
select complete_payment(command_id, 'worker-a', 'rejected') = 'rejected' as rejected from payment where number = 2;
select complete_payment(command_id, 'worker-a', 'failed', 'timeout') = 'failed' as failed
from payment where number = 3;
select count(*) = 0 as not_due_before_its_delay from claim_payments('worker-b');

reset role;
do $$
declare
    row_3 payment_outbox_pending;
begin
    select p.* into row_3 from payment_outbox_pending p join payment using (command_id) where number = 3;
    assert row_3.attempts = 1 and row_3.leased_by is null and row_3.available_at = now() + interval '5 s';
    assert not exists (select from payment_outbox_pending p join payment using (command_id) where number < 3),
        'an ended payment is pending';
    assert (
        select array_agg((a.attempt, a.worker, a.outcome, a.detail)::text order by number)
        from payment_outbox_attempts a join payment using (command_id)
    ) = array['(1,worker-a,settled,"ref 17")', '(1,worker-a,rejected,"")', '(1,worker-a,failed,timeout)'];
end
$$;
update payment_outbox_pending p set available_at = now() from payment where p.command_id = payment.command_id;

set local role executor;
select count(*) = 1 as due_again from claim_payments('worker-b');
select complete_payment(command_id, 'worker-b', 'failed') = 'exhausted' as exhausted from payment where number = 3;

-- Refused: a payment that ended, one that another worker holds, an outcome that is not a worker's to report.
do $$
begin
    perform complete_payment(command_id, 'worker-a', 'settled') from payment where number = 1;
    assert false, 'a payment was completed twice';
exception when object_not_in_prerequisite_state then null;
end
$$;
reset role;
insert into payment select (enqueue_payment('TESTONE1', 'key-4', 'XTS', 4)).command_id, 4;
set local role executor;
select count(*) = 1 as claimed from claim_payments('worker-a');
do $$
begin
    perform complete_payment(command_id, 'worker-b', 'settled') from payment where number = 4;
    assert false, 'a worker completed what another has leased';
exception when object_not_in_prerequisite_state then null;
end
$$;
do $$
begin
    perform complete_payment(command_id, 'worker-a', 'lease_expired') from payment where number = 4;
    assert false, 'a worker reported its own lease expired';
exception when invalid_parameter_value then null;
end
$$;
