-- Why: what a proof of durability looks at. Each step of a workflow leaves a mark, with nothing here to keep it from
-- leaving two; a proof kills the process, starts it again, and counts. A receipt is how a step does its work once all
-- the same: taken in the transaction that does the work, it is there exactly if the work is.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table runs (
    run_id text primary key check (run_id <> ''),
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed')),
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint runs_finished_has_time check ((status = 'running') = (finished_at is null))
);

create table marks (
    mark_id bigint generated always as identity primary key,
    run_id text not null references runs,
    step text not null check (step <> ''),
    marked_by text not null default '',
    marked_at timestamptz not null default now()
);
comment on table marks is 'an effect of a step, as often as it happened: (run_id, step) is not unique on purpose';
create index marks_run_step on marks (run_id, step);

create table receipts (
    run_id text not null references runs,
    step text not null check (step <> ''),
    taken_at timestamptz not null default now(),
    primary key (run_id, step)
);

create function start_run(new_run text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into runs (run_id) values (new_run) on conflict (run_id) do nothing;
    return found;
end
$$;
comment on function start_run(text) is 'true for a new run, false for one that is there: it is being recovered';

create function take_receipt(of_run text, of_step text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into receipts (run_id, step) values (of_run, of_step) on conflict (run_id, step) do nothing;
    return found;
end
$$;
comment on function take_receipt(text, text) is 'true exactly once per run and step, if the transaction commits';

create function mark_step(of_run text, of_step text, by_process text default '') returns bigint
language sql security definer
set search_path = pg_catalog, public, pg_temp
as $$
    insert into marks (run_id, step, marked_by) values (of_run, of_step, by_process) returning mark_id;
$$;
comment on function mark_step(text, text, text) is 'leaves a mark, every time';

create function finish_run(of_run text, new_status text) returns void
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    update runs set status = new_status, finished_at = now() where run_id = of_run and status = 'running';
    if not found then
        raise exception 'run `%` is not running', of_run using errcode = 'object_not_in_prerequisite_state';
    end if;
end
$$;

create function mark_counts(of_run text) returns jsonb
language sql stable
begin atomic
    select coalesce(jsonb_object_agg(counted.step, counted.times), '{}')
    from (select m.step, count(*) as times from marks m where m.run_id = of_run group by m.step) counted;
end;
comment on function mark_counts(text) is 'such as {"s1": 1, "s2": 1}: what a proof compares';

revoke all on function start_run(text) from public;
revoke all on function take_receipt(text, text) from public;
revoke all on function mark_step(text, text, text) from public;
revoke all on function finish_run(text, text) from public;
revoke all on function mark_counts(text) from public;

grant execute on function start_run(text) to executor;
grant execute on function take_receipt(text, text) to executor;
grant execute on function mark_step(text, text, text) to executor;
grant execute on function finish_run(text, text) to executor;
grant execute on function mark_counts(text) to readonly, auditor;
grant select on runs, marks, receipts to readonly, auditor;
