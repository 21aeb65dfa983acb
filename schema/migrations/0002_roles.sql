-- Why: a process can do what its role is for, and nothing else. Nobody logs in as one of the first five; an account is
-- made a member of what it needs. `test_user` is such an account for tests: it gets its login and its password after
-- the migrations, since a password in a migration is a password in the repository.
-- Roles belong to the server: they outlive a reset, and databases side by side share them. So a role that is there is
-- taken as it is, unless its attributes are too wide; and two databases that migrate at once may both try (hence the
-- handler). Always in the order of their names, so that two such transactions can't wait for each other.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

do $$
declare
    wanted name;
begin
    foreach wanted in array array['auditor', 'control', 'executor', 'ingest', 'readonly', 'test_user']::name[] loop
        begin
            if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
                execute format('create role %I nologin', wanted);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
        if exists (
            select from pg_catalog.pg_roles
            where rolname = wanted and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)
        ) then
            execute format('alter role %I nosuperuser nocreatedb nocreaterole noreplication nobypassrls', wanted);
        end if;
    end loop;
end
$$;

do $$
declare
    held name;
begin
    foreach held in array array['executor', 'ingest', 'readonly']::name[] loop
        begin
            if not exists (
                select from pg_catalog.pg_auth_members
                where roleid = held::text::regrole and member = 'test_user'::regrole
            ) then
                execute format('grant %I to test_user', held);
            end if;
        exception
            when unique_violation then null;
        end;
    end loop;
end
$$;

grant usage on schema public to auditor, control, executor, ingest, readonly;
