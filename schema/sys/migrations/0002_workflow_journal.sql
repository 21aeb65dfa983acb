-- Why: a process that is killed goes on where it was. Before a workflow starts, and after each of its steps, a row is
-- written here; the process that comes next reads the rows, skips the steps that are on record and does the others.
-- A row says that a step was done; that it was done once is for the step to see to (a receipt, in the database where it
-- works).

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table workflow_kinds (
    kind text primary key check (kind <> ''),
    description text not null check (description <> ''),
    steps jsonb not null check (jsonb_typeof(steps) = 'array')
);
comment on column workflow_kinds.steps is 'the names of the steps, in order';

create table workflow_status (
    workflow_id text primary key check (workflow_id <> ''),
    kind text not null references workflow_kinds,
    status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
    input jsonb not null default '{}',
    result jsonb,
    recoveries bigint not null default 0 check (recoveries >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index workflow_status_kind on workflow_status (kind);
create index workflow_status_pending on workflow_status (created_at) where status = 'pending';

create table workflow_steps (
    workflow_id text not null references workflow_status,
    step text not null check (step <> ''),
    output jsonb not null default 'null',
    recorded_at timestamptz not null default now(),
    primary key (workflow_id, step)
);
comment on table workflow_steps is 'steps that were done, with what they gave; rows are only ever added';

create function refuse_rewriting() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    raise exception '% on %: its rows are only ever added', tg_op, tg_table_name using errcode = 'restrict_violation';
end
$$;

create trigger workflow_steps_append_only
before update or delete or truncate on workflow_steps
for each statement execute function refuse_rewriting();
alter table workflow_steps enable always trigger workflow_steps_append_only;

revoke all on function refuse_rewriting() from public;
grant select on workflow_kinds, workflow_status, workflow_steps to readonly, workflow;
