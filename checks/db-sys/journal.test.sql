-- The journal: what is on record stays, a second process goes on from it, and an end is an end.

insert into workflow_kinds values ('test-kind', 'two steps', '["s1", "s2"]');

set local role workflow;
select begin_workflow('test', 'test-kind', '{"n": 1}') as begun;
select not begin_workflow('test', 'test-kind', '{"n": 2}') as begun_once;
select record_step('test', 's1', '"first"') = '"first"' as recorded;
-- A process that comes next is told what the first one recorded, and its own output is not taken.
select record_step('test', 's1', '"second"') = '"first"' as first_record_stays;
select count(*) = 1 as recovered from recover_workflows()
where workflow_id = 'test' and input = '{"n": 1}' and recoveries = 1;
do $$
begin
    perform finish_workflow('test', 'succeeded');
    assert false, 'a workflow succeeded without its second step';
exception when check_violation then null;
end
$$;
select record_step('test', 's2') = 'null' as recorded;
select finish_workflow('test', 'succeeded', '{"ok": true}') is not null as finished;
select count(*) = 0 as not_recovered_again from recover_workflows() where workflow_id = 'test';
do $$
begin
    perform finish_workflow('test', 'failed');
    assert false, 'a workflow ended twice';
exception when object_not_in_prerequisite_state then null;
end
$$;
do $$
begin
    perform record_step('test', 's3');
    assert false, 'a step was recorded after the end';
exception when object_not_in_prerequisite_state then null;
end
$$;
select status = 'succeeded' and result = '{"ok": true}' as on_record from workflow_status where workflow_id = 'test';

-- Nobody writes past the functions, and steps on record stay.
do $$
begin
    insert into workflow_steps (workflow_id, step) values ('test', 's3');
    assert false, 'a row was written without the function';
exception when insufficient_privilege then null;
end
$$;
reset role;
do $$
declare
    rewriting text;
begin
    foreach rewriting in array array[
        'update workflow_steps set step = ''s9''', 'delete from workflow_steps', 'truncate workflow_steps'
    ] loop
        begin
            execute rewriting;
            assert false, format('the owner could: %s', rewriting);
        exception when restrict_violation then null;
        end;
    end loop;
    assert (select count(*) from workflow_steps where workflow_id = 'test') = 2;
end
$$;
