-- The policy: one is active, or nothing is sent.

insert into policy_versions (version, status, checksum, document) values (
    'test-1', 'DRAFT', repeat('1', 64),
    '{"batch": {"limit": 10}, "lease": {"seconds": 60}, "retry": {"delaySeconds": 0, "maxAttempts": 2}}'
);
insert into policy_versions (version, status, checksum, document)
select 'test-2', 'DRAFT', repeat('2', 64), document from policy_versions where version = 'test-1';

-- None.
update policy_versions set status = 'RETIRED' where status = 'ACTIVE';
do $$
begin
    perform active_policy();
    assert false, 'there is a policy though none is active';
exception when object_not_in_prerequisite_state then null;
end
$$;
do $$
begin
    perform claim_payments('worker-a');
    assert false, 'payments were claimed without a policy';
exception when object_not_in_prerequisite_state then null;
end
$$;

-- One, by the role that may; the other one retires.
set local role control;
select activate_policy('test-1') is not null as activated;
select version = 'test-1' and activated_by = session_user as first_is_active from active_policy();
select activate_policy('test-2') is not null as activated;
select version = 'test-2' as second_is_active from active_policy();
reset role;
select array_agg(version) = array['test-2'] as exactly_one from policy_versions where status = 'ACTIVE';
select status = 'RETIRED' as first_has_retired from policy_versions where version = 'test-1';
do $$
begin
    perform activate_policy('no such version');
    assert false, 'a policy that is not there was activated';
exception when no_data_found then
    assert (select version from active_policy()) = 'test-2', 'a refused activation retired the active policy';
end
$$;
do $$
begin
    set local role executor;
    perform activate_policy('test-1');
    assert false, 'an executor activated a policy';
exception when insufficient_privilege then null;
end
$$;

-- Never two; never one without a checksum, or without what is read from it.
do $$
begin
    update policy_versions set status = 'ACTIVE' where version = 'test-1';
    assert false, 'two policies are active';
exception when unique_violation then null;
end
$$;
do $$
declare
    bad text;
begin
    foreach bad in array array['', ' ', repeat('0', 63), repeat('g', 64), null] loop
        begin
            update policy_versions set checksum = bad where version = 'test-1';
            assert false, format('the checksum `%s` was accepted', bad);
        exception when check_violation or not_null_violation then null;
        end;
    end loop;
    foreach bad in array array['batch', 'lease', 'retry'] loop
        begin
            update policy_versions set document = document - bad where version = 'test-1';
            assert false, format('a document without `%s` was accepted', bad);
        exception when check_violation then null;
        end;
    end loop;
end
$$;
