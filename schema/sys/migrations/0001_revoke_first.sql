-- Why: what nobody was given, nobody holds; see the application database. The journal's one writer is `workflow`, and
-- `readonly` looks on.
-- Roles belong to the server and may be there already, put there by the other database, even at this very moment.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

revoke all on schema public from public;
revoke all on all tables in schema public from public;
revoke all on all sequences in schema public from public;

alter default privileges revoke all on tables from public;
alter default privileges revoke all on sequences from public;
alter default privileges revoke execute on functions from public;
alter default privileges revoke usage on types from public;

do $$
declare
    wanted name;
begin
    foreach wanted in array array['readonly', 'workflow']::name[] loop
        begin
            if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
                execute format('create role %I nologin', wanted);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

grant usage on schema public to readonly, workflow;
