-- Who may do what, tried and not read from a list (the lists are judged by the gate's checks).

do $$
declare
    called text;
    refused bigint := 0;
begin
    -- A role that is a member of nothing is what PUBLIC is.
    create role weir_test_stranger nologin;
    set local role weir_test_stranger;
    foreach called in array array[
        'public.enqueue_payment(''TESTONE1'', ''k'', ''XTS'', 1)',
        'public.claim_payments(''w'')',
        'public.complete_payment(1, ''w'', ''settled'')',
        'public.record_attempt(1, ''w'', ''settled'', '''')',
        'public.repair_expired_leases()',
        'public.active_policy()',
        'public.activate_policy(''v'')',
        'public.start_run(''r'')',
        'public.take_receipt(''r'', ''s'')',
        'public.mark_step(''r'', ''s'')',
        'public.finish_run(''r'', ''failed'')',
        'public.mark_counts(''r'')'
    ] loop
        begin
            execute 'select ' || called;
            assert false, format('anybody can call %s', called);
        exception when insufficient_privilege then
            refused := refused + 1;
        end;
    end loop;
    reset role;
    assert refused + 1 = (
        select count(*) from pg_catalog.pg_proc where pronamespace = 'public'::regnamespace
    ), 'a function is missing here (the one left out is the trigger)';
end
$$;
-- The schema is closed to PUBLIC; behind it, each function is, too.
select count(*) = 0 as public_may_call_nothing
from pg_catalog.pg_proc p
where p.pronamespace = 'public'::regnamespace and has_function_privilege('public', p.oid, 'execute');

do $$
declare
    tried record;
begin
    for tried in
        select * from (values
            ('ingest', 'select claim_payments(''w'')'),
            ('ingest', 'select count(*) from payment_outbox_commands'),
            ('ingest', 'insert into payment_outbox_pending (command_id) values (1)'),
            ('executor', 'select enqueue_payment(''TESTONE1'', ''k'', ''XTS'', 1)'),
            ('executor', 'select record_attempt(1, ''w'', ''settled'', '''')'),
            ('executor', 'update payment_outbox_pending set leased_by = null, leased_until = null'),
            ('executor', 'insert into marks (run_id, step) values (''r'', ''s'')'),
            ('readonly', 'update policy_versions set status = ''ACTIVE'''),
            ('readonly', 'select repair_expired_leases()'),
            ('auditor', 'delete from payment_outbox_pending'),
            ('control', 'update policy_versions set status = ''ACTIVE'''),
            ('control', 'select claim_payments(''w'')'),
            ('test_user', 'select activate_policy(''v'')'),
            ('test_user', 'create table t (i bigint primary key)'),
            ('executor', 'create function f() returns bigint return 1'),
            ('control', 'create schema s'),
            ('ingest', 'alter table participants add column c text'),
            ('executor', 'drop function refuse_rewriting() cascade'),
            ('auditor', 'create role r')
        ) as t (as_role, statement)
    loop
        begin
            execute format('set local role %I', tried.as_role);
            execute tried.statement;
            assert false, format('%s could: %s', tried.as_role, tried.statement);
        exception when insufficient_privilege then null;
        end;
    end loop;
end
$$;

set local role readonly;
select count(*) >= 0 as readonly_may_look from payment_outbox_attempts;
reset role;
set local role test_user;
select count(*) >= 0 as test_user_has_what_its_roles_have from payment_outbox_pending;
select repair_expired_leases() >= 0 as executor_through_membership;
