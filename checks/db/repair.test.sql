-- Repair: a lease that ran out is taken back, with an attempt on record; a lease that holds is left alone.

insert into currencies values ('XTS', 'for testing', 2) on conflict do nothing;
insert into participants values ('TESTONE1', 'one');
insert into payment_outbox_sequences values ('TESTONE1');
update policy_versions set status = 'RETIRED' where status = 'ACTIVE';
insert into policy_versions (version, status, checksum, document) values (
    'test', 'ACTIVE', repeat('0', 64),
    '{"batch": {"limit": 10}, "lease": {"seconds": 60}, "retry": {"delaySeconds": 0, "maxAttempts": 2}}'
);
update payment_outbox_pending set available_at = 'infinity', leased_by = null, leased_until = null;

create temporary table payment on commit drop as
select (enqueue_payment('TESTONE1', 'key-' || i, 'XTS', i)).command_id, i as number from generate_series(1, 2) i;

select count(*) = 2 as claimed from claim_payments('worker-a');
select repair_expired_leases() = 0 as nothing_to_repair;
update payment_outbox_pending p set leased_until = now() - interval '1 s'
from payment where payment.command_id = p.command_id and number = 1;

set local role control;
select repair_expired_leases() = 1 as one_repaired;
select repair_expired_leases() = 0 as only_once;
reset role;

do $$
begin
    assert (
        select leased_by is null and attempts = 1
        from payment_outbox_pending join payment using (command_id) where number = 1
    ), 'the lease was not taken back';
    assert (
        select leased_by = 'worker-a' and attempts = 0
        from payment_outbox_pending join payment using (command_id) where number = 2
    ), 'a lease that holds was touched';
    assert (
        select array_agg((number, attempt, worker, outcome)::text)
        from payment_outbox_attempts join payment using (command_id)
    ) = array['(1,1,worker-a,lease_expired)'];
end
$$;

-- Another worker gets it; the first one has lost it.
set local role executor;
select count(*) = 1 as free_again from claim_payments('worker-b');
reset role;
do $$
begin
    perform complete_payment(command_id, 'worker-a', 'settled') from payment where number = 1;
    assert false, 'a worker completed what was taken from it';
exception when object_not_in_prerequisite_state then null;
end
$$;

-- A payment on which workers keep dying comes to an end as well.
update payment_outbox_pending p set leased_until = now() - interval '1 s'
from payment where payment.command_id = p.command_id and number = 1;
select repair_expired_leases() = 1 as repaired_again;
do $$
begin
    assert (
        select array_agg(outcome order by attempt)
        from payment_outbox_attempts join payment using (command_id) where number = 1
    ) = array['lease_expired', 'exhausted']::payment_outcome[];
    assert not exists (select from payment_outbox_pending join payment using (command_id) where number = 1);
end
$$;
