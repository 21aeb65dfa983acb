-- Why: a payment order is written in the caller's transaction and sent later by an executor, so that neither a crash
-- nor a retry loses one or sends it twice. What was ordered (commands) and what was tried (attempts) is history; only
-- what is still to be done (pending) changes, and a row leaves it when a last outcome is on record.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create type payment_outcome as enum ('settled', 'rejected', 'failed', 'lease_expired', 'exhausted');
comment on type payment_outcome is
    'settled, rejected and exhausted end a command; failed and lease_expired are tried again';

create table participants (
    participant_id text primary key check (participant_id ~ '^[A-Z0-9]{4,11}$'),
    display_name text not null check (display_name <> '')
);

create table payment_outbox_sequences (
    participant_id text primary key references participants,
    last_sequence bigint not null default 0 check (last_sequence >= 0)
);
comment on table payment_outbox_sequences is
    'a counter per participant; its row is also the lock that makes enqueueing serial for one, and numbers gapless';

create table payment_outbox_commands (
    command_id bigint generated always as identity primary key,
    participant_id text not null references payment_outbox_sequences,
    sequence bigint not null check (sequence > 0),
    idempotency_key text not null check (idempotency_key <> ''),
    currency text not null,
    amount_minor bigint not null check (amount_minor > 0),
    payload jsonb not null default '{}',
    enqueued_at timestamptz not null default now(),
    unique (participant_id, sequence),
    unique (participant_id, idempotency_key)
);
comment on table payment_outbox_commands is 'what was ordered; rows are only ever added';

create table payment_outbox_pending (
    command_id bigint primary key references payment_outbox_commands,
    available_at timestamptz not null default now(),
    leased_by text check (leased_by <> ''),
    leased_until timestamptz,
    attempts bigint not null default 0 check (attempts >= 0),
    constraint payment_outbox_pending_whole_lease check ((leased_by is null) = (leased_until is null))
);
comment on table payment_outbox_pending is 'what is still to be done, and whose it is for now';

create table payment_outbox_attempts (
    attempt_id bigint generated always as identity primary key,
    command_id bigint not null references payment_outbox_commands,
    attempt bigint not null check (attempt > 0),
    worker text not null check (worker <> ''),
    outcome payment_outcome not null,
    detail text not null default '',
    recorded_at timestamptz not null default now(),
    unique (command_id, attempt)
);
comment on table payment_outbox_attempts is 'what was tried, and what came of it; rows are only ever added';

create unique index payment_outbox_attempts_one_end on payment_outbox_attempts (command_id)
where outcome in ('settled', 'rejected', 'exhausted');

grant select
on participants, payment_outbox_sequences, payment_outbox_commands, payment_outbox_pending, payment_outbox_attempts
to readonly, auditor;
