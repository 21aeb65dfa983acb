-- Why: functions over table grants. A runtime role can enqueue, claim, complete and repair, and can't touch a row in
-- any other way; so every order has its number, every outcome its record, and every lease an owner.
-- SECURITY DEFINER with a search path of their own, `pg_temp` last: nothing that a caller makes can stand in for a
-- table or an operator.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create function enqueue_payment(
    for_participant text,
    with_key text,
    in_currency text,
    minor_units bigint,
    with_payload jsonb default '{}'
)
returns table (command_id bigint, sequence bigint, is_new boolean)
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    known payment_outbox_commands;
    next_sequence bigint;
begin
    -- The counter's row is the lock: of two calls with one key, the second sees what the first wrote.
    select s.last_sequence + 1 into next_sequence
    from payment_outbox_sequences s where s.participant_id = for_participant for update;
    if not found then
        raise exception 'there is no participant `%`', for_participant using errcode = 'foreign_key_violation';
    end if;

    select * into known from payment_outbox_commands c
    where c.participant_id = for_participant and c.idempotency_key = with_key;
    if found then
        if (known.currency, known.amount_minor, known.payload)
            is distinct from (in_currency, minor_units, with_payload)
        then
            raise exception 'key `%` stands for another payment of `%`', with_key, for_participant
                using errcode = 'unique_violation',
                    hint = 'a repeated call repeats everything; a new payment takes a new key';
        end if;
        return query select known.command_id, known.sequence, false;
        return;
    end if;

    update payment_outbox_sequences s set last_sequence = next_sequence
    where s.participant_id = for_participant;
    insert into payment_outbox_commands (participant_id, sequence, idempotency_key, currency, amount_minor, payload)
    values (for_participant, next_sequence, with_key, in_currency, minor_units, with_payload)
    returning * into known;
    insert into payment_outbox_pending (command_id) values (known.command_id);
    return query select known.command_id, known.sequence, true;
end
$$;
comment on function enqueue_payment(text, text, text, bigint, jsonb) is
    'orders a payment once per participant and key, with the next number of the participant';

create function claim_payments(by_worker text, at_most bigint default null)
returns table (
    command_id bigint,
    participant_id text,
    sequence bigint,
    currency text,
    amount_minor bigint,
    payload jsonb,
    leased_until timestamptz
)
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    -- Raises where none is active: no policy, no payment.
    policy constant jsonb := (active_policy()).document;
    most constant bigint := (policy -> 'batch' ->> 'limit')::bigint;
    batch constant bigint := least(coalesce(at_most, most), most);
    lease constant interval := make_interval(secs => (policy -> 'lease' ->> 'seconds')::double precision);
begin
    if batch < 1 then
        raise exception 'a batch of % is no claim', batch using errcode = 'invalid_parameter_value';
    end if;
    return query
    with due as (
        select p.command_id from payment_outbox_pending p
        where p.leased_by is null and p.available_at <= now()
        order by p.command_id
        limit batch
        for update skip locked
    ), leased as (
        update payment_outbox_pending p set leased_by = by_worker, leased_until = now() + lease
        from due where p.command_id = due.command_id
        returning p.command_id, p.leased_until
    )
    select c.command_id, c.participant_id, c.sequence, c.currency, c.amount_minor, c.payload, leased.leased_until
    from leased join payment_outbox_commands c using (command_id)
    order by c.command_id;
end
$$;
comment on function claim_payments(text, bigint) is
    'leases the oldest payments that are due; passes over those that another session has locked or leased';

-- Of the next two only; granted to nobody. The caller has locked the row.
create function record_attempt(of_command bigint, by_worker text, had_outcome payment_outcome, with_detail text)
returns payment_outcome
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    policy constant jsonb := (active_policy()).document;
    this_attempt bigint;
    recorded payment_outcome := had_outcome;
begin
    select p.attempts + 1 into strict this_attempt from payment_outbox_pending p where p.command_id = of_command;
    if had_outcome in ('failed', 'lease_expired') and this_attempt >= (policy -> 'retry' ->> 'maxAttempts')::bigint then
        recorded := 'exhausted';
    end if;
    insert into payment_outbox_attempts (command_id, attempt, worker, outcome, detail)
    values (of_command, this_attempt, by_worker, recorded, with_detail);
    if recorded in ('settled', 'rejected', 'exhausted') then
        delete from payment_outbox_pending where command_id = of_command;
    else
        update payment_outbox_pending
        set leased_by = null, leased_until = null, attempts = this_attempt,
            available_at = now() + make_interval(secs => (policy -> 'retry' ->> 'delaySeconds')::double precision)
        where command_id = of_command;
    end if;
    return recorded;
end
$$;
comment on function record_attempt(bigint, text, payment_outcome, text) is
    'appends an attempt and moves the pending row on: away after a last outcome, due again later after any other';

create function complete_payment(
    of_command bigint,
    by_worker text,
    had_outcome payment_outcome,
    with_detail text default ''
)
returns payment_outcome
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if had_outcome not in ('settled', 'rejected', 'failed') then
        raise exception 'a worker can''t report `%`', had_outcome using errcode = 'invalid_parameter_value';
    end if;
    -- A lease that ran out and was not repaired is still this worker's: what it did is true, and nobody else has the
    -- payment.
    perform from payment_outbox_pending p where p.command_id = of_command and p.leased_by = by_worker for update;
    if not found then
        raise exception 'payment % is not leased to `%`', of_command, by_worker
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'its lease ran out and was repaired, or it was completed before';
    end if;
    return record_attempt(of_command, by_worker, had_outcome, with_detail);
end
$$;
comment on function complete_payment(bigint, text, payment_outcome, text) is
    'records what came of a leased payment; gives the outcome on record, which is `exhausted` after the last failure';

create function repair_expired_leases() returns bigint
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    expired record;
    repaired bigint := 0;
begin
    for expired in
        select p.command_id, p.leased_by from payment_outbox_pending p
        where p.leased_until < now()
        order by p.command_id
        for update skip locked
    loop
        perform record_attempt(expired.command_id, expired.leased_by, 'lease_expired', '');
        repaired := repaired + 1;
    end loop;
    return repaired;
end
$$;
comment on function repair_expired_leases() is
    'takes payments back from workers whose lease ran out, with an attempt on record for each';

revoke all on function enqueue_payment(text, text, text, bigint, jsonb) from public;
revoke all on function claim_payments(text, bigint) from public;
revoke all on function record_attempt(bigint, text, payment_outcome, text) from public;
revoke all on function complete_payment(bigint, text, payment_outcome, text) from public;
revoke all on function repair_expired_leases() from public;

grant execute on function enqueue_payment(text, text, text, bigint, jsonb) to ingest;
grant execute on function claim_payments(text, bigint) to executor;
grant execute on function complete_payment(bigint, text, payment_outcome, text) to executor;
grant execute on function repair_expired_leases() to executor, control;
