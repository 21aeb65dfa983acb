-- Runs, marks and receipts: marks count what happened, as often as it happened; a receipt is taken once.

set local role executor;
select start_run('test-run') as started;
select not start_run('test-run') as recovered;
select take_receipt('test-run', 's1') as taken;
select not take_receipt('test-run', 's1') as not_twice;
select mark_step('test-run', 's1') is not null as marked;
select mark_step('test-run', 's2') is not null as marked;
reset role;
set local role readonly;
select mark_counts('test-run') = '{"s1": 1, "s2": 1}' as once_each;
reset role;
select mark_step('test-run', 's2', 'process 2') is not null as marked_again;
select mark_counts('test-run') = '{"s1": 1, "s2": 2}' as twice_is_seen;
select mark_counts('no such run') = '{}' as no_marks;

do $$
begin
    perform mark_step('no such run', 's1');
    assert false, 'a mark was left for no run';
exception when foreign_key_violation then null;
end
$$;
do $$
begin
    perform finish_run('test-run', 'done');
    assert false, 'a run ended as `done`';
exception when check_violation then null;
end
$$;
select finish_run('test-run', 'succeeded') is not null as finished;
do $$
begin
    assert (select status = 'succeeded' and finished_at is not null from runs where run_id = 'test-run');
    perform finish_run('test-run', 'failed');
    assert false, 'a run ended twice';
exception when object_not_in_prerequisite_state then null;
end
$$;
