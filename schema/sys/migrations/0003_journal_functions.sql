-- Why: the four things that a process does with its journal; no table is granted for writing.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function begin_workflow(new_id text, of_kind text, with_input jsonb default '{}') returns boolean
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into workflow_status (workflow_id, kind, input) values (new_id, of_kind, with_input)
    on conflict (workflow_id) do nothing;
    return found;
end
$$;
comment on function begin_workflow(text, text, jsonb) is
    'true for a new one; false where it is on record, which starts nothing';

create function recover_workflows() returns setof workflow_status
language sql security definer
set search_path = pg_catalog, public, pg_temp
as $$
    update workflow_status set recoveries = recoveries + 1, updated_at = now()
    where status = 'pending' returning *;
$$;
comment on function recover_workflows() is
    'those that a process left unfinished; called once, when the next one starts';

create function record_step(of_workflow text, of_step text, with_output jsonb default 'null') returns jsonb
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    on_record jsonb;
begin
    -- The status' row is the lock that a finish takes too.
    perform from workflow_status where workflow_id = of_workflow and status = 'pending' for update;
    if not found then
        raise exception 'workflow `%` is not pending', of_workflow using errcode = 'object_not_in_prerequisite_state';
    end if;
    insert into workflow_steps (workflow_id, step, output) values (of_workflow, of_step, with_output)
    on conflict (workflow_id, step) do nothing;
    select output into strict on_record from workflow_steps where workflow_id = of_workflow and step = of_step;
    return on_record;
end
$$;
comment on function record_step(text, text, jsonb) is
    'gives what is on record, which is what the first call for this step said';

create function finish_workflow(of_workflow text, new_status text, with_result jsonb default null) returns void
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    missing text;
begin
    perform from workflow_status where workflow_id = of_workflow and status = 'pending' for update;
    if not found then
        raise exception 'workflow `%` is not pending', of_workflow using errcode = 'object_not_in_prerequisite_state';
    end if;
    if new_status = 'succeeded' then
        select string_agg(wanted, ', ') into missing
        from workflow_status s join workflow_kinds k using (kind), jsonb_array_elements_text(k.steps) wanted
        where s.workflow_id = of_workflow
        and not exists (select from workflow_steps d where d.workflow_id = of_workflow and d.step = wanted);
        if missing is not null then
            raise exception 'workflow `%` has not done %', of_workflow, missing using errcode = 'check_violation';
        end if;
    end if;
    update workflow_status set status = new_status, result = with_result, updated_at = now()
    where workflow_id = of_workflow;
end
$$;
comment on function finish_workflow(text, text, jsonb) is 'once; a success needs every step of its kind on record';

revoke all on function begin_workflow(text, text, jsonb) from public;
revoke all on function recover_workflows() from public;
revoke all on function record_step(text, text, jsonb) from public;
revoke all on function finish_workflow(text, text, jsonb) from public;
grant execute on function begin_workflow(text, text, jsonb) to workflow;
grant execute on function recover_workflows() to workflow;
grant execute on function record_step(text, text, jsonb) to workflow;
grant execute on function finish_workflow(text, text, jsonb) to workflow;
