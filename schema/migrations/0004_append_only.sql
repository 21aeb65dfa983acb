-- Why: no privilege keeps the owner, or a superuser, from rewriting history by mistake; a trigger does. A trigger for
-- each statement, since TRUNCATE has no rows and an UPDATE that hits no row is a mistake too; ALWAYS, so that a session
-- that replays replication is no way round.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function refuse_rewriting() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    raise exception '% on %: its rows are only ever added', tg_op, tg_table_name
        using errcode = 'restrict_violation', hint = 'record a correction as a new row';
end
$$;
comment on function refuse_rewriting() is 'raises restrict_violation; the trigger of tables that are only added to';
revoke all on function refuse_rewriting() from public;

create trigger payment_outbox_commands_append_only
before update or delete or truncate on payment_outbox_commands
for each statement execute function refuse_rewriting();
alter table payment_outbox_commands enable always trigger payment_outbox_commands_append_only;

create trigger payment_outbox_attempts_append_only
before update or delete or truncate on payment_outbox_attempts
for each statement execute function refuse_rewriting();
alter table payment_outbox_attempts enable always trigger payment_outbox_attempts_append_only;
