-- Claiming: what is due, oldest first, in batches; never what is leased. That it passes over what another session has
-- locked takes two sessions: claims_side_by_side.sh.

insert into currencies values ('XTS', 'for testing', 2) on conflict do nothing;
insert into participants values ('TESTONE1', 'one');
insert into payment_outbox_sequences values ('TESTONE1');
update policy_versions set status = 'RETIRED' where status = 'ACTIVE';
insert into policy_versions (version, status, checksum, document) values (
    'test', 'ACTIVE', repeat('0', 64),
    '{"batch": {"limit": 3}, "lease": {"seconds": 60}, "retry": {"delaySeconds": 5, "maxAttempts": 2}}'
);
-- Whatever else is pending is not due.
update payment_outbox_pending set available_at = 'infinity';
do $$
begin
    for i in 1 .. 8 loop
        perform enqueue_payment('TESTONE1', 'key-' || i, 'XTS', i);
    end loop;
end
$$;
update payment_outbox_pending p set available_at = now() + interval '1 s'
from payment_outbox_commands c where c.command_id = p.command_id and c.idempotency_key = 'key-2';

set local role executor;
do $$
declare
    nobody text;
begin
    foreach nobody in array array['', null] loop
        begin
            perform claim_payments(nobody);
            assert false, 'a worker without a name was given payments';
        exception when check_violation then null;
        end;
    end loop;
end
$$;
select array_agg(sequence order by sequence) = array[1, 3]::bigint[] as due_and_oldest_first
from claim_payments('worker-a', 2);
select array_agg(sequence order by sequence) = array[4, 5, 6]::bigint[] as leased_are_passed_over_and_batch_is_limited
from claim_payments('worker-b', 100);
select array_agg(sequence order by sequence) = array[7, 8]::bigint[]
    and bool_and(leased_until = now() + interval '60 s') as lease_by_policy
from claim_payments('worker-a');
select count(*) = 0 as nothing_left from claim_payments('worker-c');
do $$
begin
    perform claim_payments('worker-c', 0);
    assert false, 'an empty batch was claimed';
exception when invalid_parameter_value then null;
end
$$;

-- An expired lease is still a lease: the worker may have sent the payment. Only a repair frees it.
reset role;
update payment_outbox_pending set leased_until = now() - interval '1 s' where leased_by = 'worker-a';
set local role executor;
select count(*) = 0 as expired_is_not_free from claim_payments('worker-c');
