-- History is only added to: no role may rewrite it, and the owner, who may, is stopped by the trigger.

insert into currencies values ('XTS', 'for testing', 2) on conflict do nothing;
insert into participants values ('TESTONE1', 'one');
insert into payment_outbox_sequences values ('TESTONE1');
do $$
declare
    new_command bigint;
begin
    select command_id into new_command from enqueue_payment('TESTONE1', 'key-1', 'XTS', 1);
    insert into payment_outbox_attempts (command_id, attempt, worker, outcome) values (new_command, 1, 'w', 'failed');
end
$$;

-- TRUNCATE would tell which tables it takes along.
set local client_min_messages = warning;
do $$
declare
    as_role text;
    history text;
    rewriting text;
begin
    foreach as_role in array array[
        current_user::text, 'auditor', 'control', 'executor', 'ingest', 'readonly', 'test_user'
    ] loop
        foreach history in array array['payment_outbox_attempts', 'payment_outbox_commands'] loop
            foreach rewriting in array array[
                'update %I set command_id = default',
                'update %I set command_id = default where false',
                'delete from %I',
                'truncate %I cascade'
            ] loop
                begin
                    execute format('set local role %I', as_role);
                    execute format(rewriting, history);
                    assert false, format('%s could: %s', as_role, format(rewriting, history));
                exception
                    when insufficient_privilege then
                        assert as_role <> current_user, 'the owner was stopped by privileges, not by the trigger';
                    when restrict_violation then
                        assert as_role = current_user, format('%s was stopped by the trigger alone', as_role);
                end;
            end loop;
        end loop;
    end loop;
end
$$;

-- Not even a session that replays replication, in which ordinary triggers keep still.
set local session_replication_role = replica;
do $$
begin
    delete from payment_outbox_attempts;
    assert false, 'history was rewritten in a session that replays replication';
exception when restrict_violation then null;
end
$$;
set local session_replication_role = origin;
select count(*) = 1 as still_there from payment_outbox_attempts join payment_outbox_commands using (command_id)
where participant_id = 'TESTONE1';
