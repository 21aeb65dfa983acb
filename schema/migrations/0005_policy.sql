-- Why: how long a lease lasts and how often a payment is tried is decided by a reviewed document, not by whoever
-- deploys. One version is active; with none, nothing is sent: `active_policy()` raises instead of giving no row, and
-- claiming asks it first.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table policy_versions (
    version text primary key check (version <> ''),
    status text not null check (status in ('DRAFT', 'ACTIVE', 'RETIRED')),
    checksum text not null check (checksum ~ '^[0-9a-f]{64}$'),
    document jsonb not null,
    recorded_at timestamptz not null default now(),
    -- What is read from it is there, so that a word left out refuses the document and not the next payment.
    constraint policy_versions_document_is_whole check (
        document @? '$.batch.limit ? (@ >= 1)'
        and document @? '$.lease.seconds ? (@ > 0)'
        and document @? '$.retry.maxAttempts ? (@ >= 1)'
        and document @? '$.retry.delaySeconds ? (@ >= 0)'
    )
);
comment on column policy_versions.checksum is 'SHA-256, in hex, of the document in its canonical form (RFC 8785)';

create unique index policy_versions_one_active on policy_versions (status) where status = 'ACTIVE';

create function active_policy() returns policy_versions
language plpgsql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    found_policy policy_versions;
begin
    select * into strict found_policy from policy_versions where status = 'ACTIVE';
    return found_policy;
exception
    when no_data_found then
        raise exception 'no policy is active'
            using errcode = 'object_not_in_prerequisite_state', hint = 'seed one, or activate_policy(version)';
end
$$;
comment on function active_policy() is
    'the one active policy; raises object_not_in_prerequisite_state where there is none';

create function activate_policy(new_version text) returns void
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    -- Two at once: the second waits here, and then sees what the first did.
    lock table policy_versions in share row exclusive mode;
    update policy_versions set status = 'RETIRED' where status = 'ACTIVE' and version <> new_version;
    update policy_versions set status = 'ACTIVE' where version = new_version;
    if not found then
        raise exception 'there is no policy `%`', new_version using errcode = 'no_data_found';
    end if;
end
$$;
comment on function activate_policy(text) is 'retires the active policy and activates another, or does neither';

revoke all on function active_policy() from public;
revoke all on function activate_policy(text) from public;
grant execute on function active_policy() to auditor, control, executor, ingest, readonly;
grant execute on function activate_policy(text) to control;
grant select on policy_versions to readonly, auditor, control;
