-- Why: an auditor asks who activated a policy. A column with a constant default is added without rewriting the table; a
-- function of the same signature is replaced where it stands, and keeps its owner and its privileges.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

alter table policy_versions add column activated_by text not null default '';
comment on column policy_versions.activated_by is 'who called activate_policy(); empty for a seeded row';

create or replace function activate_policy(new_version text) returns void
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    -- Two at once: the second waits here, and then sees what the first did.
    lock table policy_versions in share row exclusive mode;
    update policy_versions set status = 'RETIRED' where status = 'ACTIVE' and version <> new_version;
    update policy_versions set status = 'ACTIVE', activated_by = session_user where version = new_version;
    if not found then
        raise exception 'there is no policy `%`', new_version using errcode = 'no_data_found';
    end if;
end
$$;
