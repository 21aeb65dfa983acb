-- The schema in one file, written by weir from the migrations. Change the migrations, not this file.

set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = false;
set client_min_messages = warning;
set row_security = off;
set xmloption = content;
select pg_catalog.set_config('search_path', '', false);

-- Roles are the server's, and must be there.
do $weir$
declare
    missing text;
begin
    select string_agg(wanted, ', ') into missing from unnest(array['auditor', 'control', 'executor', 'ingest', 'readonly']) wanted
    where not exists (select from pg_catalog.pg_roles where rolname = wanted);
    if missing is not null then
        raise exception 'these roles must exist before this schema is made: %', missing;
    end if;
end
$weir$;

CREATE TYPE public.payment_outcome AS ENUM (
    'settled',
    'rejected',
    'failed',
    'lease_expired',
    'exhausted'
);

COMMENT ON TYPE public.payment_outcome IS 'settled, rejected and exhausted end a command; failed and lease_expired are tried again';

CREATE FUNCTION public.activate_policy(new_version text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.activate_policy(new_version text) IS 'retires the active policy and activates another, or does neither';

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.policy_versions (
    version text NOT NULL,
    status text NOT NULL,
    checksum text NOT NULL,
    document jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    activated_by text DEFAULT ''::text NOT NULL,
    CONSTRAINT policy_versions_checksum_check CHECK ((checksum ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT policy_versions_document_is_whole CHECK (((document @? '$."batch"."limit"?(@ >= 1)'::jsonpath) AND (document @? '$."lease"."seconds"?(@ > 0)'::jsonpath) AND (document @? '$."retry"."maxAttempts"?(@ >= 1)'::jsonpath) AND (document @? '$."retry"."delaySeconds"?(@ >= 0)'::jsonpath))),
    CONSTRAINT policy_versions_status_check CHECK ((status = ANY (ARRAY['DRAFT'::text, 'ACTIVE'::text, 'RETIRED'::text]))),
    CONSTRAINT policy_versions_version_check CHECK ((version <> ''::text))
);

COMMENT ON COLUMN public.policy_versions.checksum IS 'SHA-256, in hex, of the document in its canonical form (RFC 8785)';

COMMENT ON COLUMN public.policy_versions.activated_by IS 'who called activate_policy(); empty for a seeded row';

CREATE FUNCTION public.active_policy() RETURNS public.policy_versions
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.active_policy() IS 'the one active policy; raises object_not_in_prerequisite_state where there is none';

CREATE FUNCTION public.claim_payments(by_worker text, at_most bigint DEFAULT NULL::bigint) RETURNS TABLE(command_id bigint, participant_id text, sequence bigint, currency text, amount_minor bigint, payload jsonb, leased_until timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.claim_payments(by_worker text, at_most bigint) IS 'leases the oldest payments that are due; passes over those that another session has locked or leased';

CREATE FUNCTION public.complete_payment(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text DEFAULT ''::text) RETURNS public.payment_outcome
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.complete_payment(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text) IS 'records what came of a leased payment; gives the outcome on record, which is `exhausted` after the last failure';

CREATE FUNCTION public.enqueue_payment(for_participant text, with_key text, in_currency text, minor_units bigint, with_payload jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(command_id bigint, sequence bigint, is_new boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.enqueue_payment(for_participant text, with_key text, in_currency text, minor_units bigint, with_payload jsonb) IS 'orders a payment once per participant and key, with the next number of the participant';

CREATE FUNCTION public.finish_run(of_run text, new_status text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
begin
    update runs set status = new_status, finished_at = now() where run_id = of_run and status = 'running';
    if not found then
        raise exception 'run `%` is not running', of_run using errcode = 'object_not_in_prerequisite_state';
    end if;
end
$$;

CREATE TABLE public.marks (
    mark_id bigint NOT NULL,
    run_id text NOT NULL,
    step text NOT NULL,
    marked_by text DEFAULT ''::text NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT marks_step_check CHECK ((step <> ''::text))
);

COMMENT ON TABLE public.marks IS 'an effect of a step, as often as it happened: (run_id, step) is not unique on purpose';

CREATE FUNCTION public.mark_counts(of_run text) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT COALESCE(jsonb_object_agg(counted.step, counted.times), '{}'::jsonb) AS "coalesce"
    FROM ( SELECT m.step,
             count(*) AS times
            FROM public.marks m
           WHERE (m.run_id = mark_counts.of_run)
           GROUP BY m.step) counted;
END;

COMMENT ON FUNCTION public.mark_counts(of_run text) IS 'such as {"s1": 1, "s2": 1}: what a proof compares';

CREATE FUNCTION public.mark_step(of_run text, of_step text, by_process text DEFAULT ''::text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    insert into marks (run_id, step, marked_by) values (of_run, of_step, by_process) returning mark_id;
$$;

COMMENT ON FUNCTION public.mark_step(of_run text, of_step text, by_process text) IS 'leaves a mark, every time';

CREATE FUNCTION public.record_attempt(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text) RETURNS public.payment_outcome
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.record_attempt(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text) IS 'appends an attempt and moves the pending row on: away after a last outcome, due again later after any other';

CREATE FUNCTION public.refuse_rewriting() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
begin
    raise exception '% on %: its rows are only ever added', tg_op, tg_table_name
        using errcode = 'restrict_violation', hint = 'record a correction as a new row';
end
$$;

COMMENT ON FUNCTION public.refuse_rewriting() IS 'raises restrict_violation; the trigger of tables that are only added to';

CREATE FUNCTION public.repair_expired_leases() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.repair_expired_leases() IS 'takes payments back from workers whose lease ran out, with an attempt on record for each';

CREATE FUNCTION public.start_run(new_run text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
begin
    insert into runs (run_id) values (new_run) on conflict (run_id) do nothing;
    return found;
end
$$;

COMMENT ON FUNCTION public.start_run(new_run text) IS 'true for a new run, false for one that is there: it is being recovered';

CREATE FUNCTION public.take_receipt(of_run text, of_step text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
begin
    insert into receipts (run_id, step) values (of_run, of_step) on conflict (run_id, step) do nothing;
    return found;
end
$$;

COMMENT ON FUNCTION public.take_receipt(of_run text, of_step text) IS 'true exactly once per run and step, if the transaction commits';

CREATE TABLE public.currencies (
    code text NOT NULL,
    display_name text NOT NULL,
    minor_digits bigint NOT NULL,
    CONSTRAINT currencies_code_check CHECK ((code ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT currencies_display_name_check CHECK ((display_name <> ''::text)),
    CONSTRAINT currencies_minor_digits_check CHECK (((minor_digits >= 0) AND (minor_digits <= 4)))
);

ALTER TABLE public.marks ALTER COLUMN mark_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.marks_mark_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.participants (
    participant_id text NOT NULL,
    display_name text NOT NULL,
    CONSTRAINT participants_display_name_check CHECK ((display_name <> ''::text)),
    CONSTRAINT participants_participant_id_check CHECK ((participant_id ~ '^[A-Z0-9]{4,11}$'::text))
);

CREATE TABLE public.payment_outbox_attempts (
    attempt_id bigint NOT NULL,
    command_id bigint NOT NULL,
    attempt bigint NOT NULL,
    worker text NOT NULL,
    outcome public.payment_outcome NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payment_outbox_attempts_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT payment_outbox_attempts_worker_check CHECK ((worker <> ''::text))
);

COMMENT ON TABLE public.payment_outbox_attempts IS 'what was tried, and what came of it; rows are only ever added';

ALTER TABLE public.payment_outbox_attempts ALTER COLUMN attempt_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.payment_outbox_attempts_attempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.payment_outbox_commands (
    command_id bigint NOT NULL,
    participant_id text NOT NULL,
    sequence bigint NOT NULL,
    idempotency_key text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    enqueued_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payment_outbox_commands_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT payment_outbox_commands_idempotency_key_check CHECK ((idempotency_key <> ''::text)),
    CONSTRAINT payment_outbox_commands_sequence_check CHECK ((sequence > 0))
);

COMMENT ON TABLE public.payment_outbox_commands IS 'what was ordered; rows are only ever added';

ALTER TABLE public.payment_outbox_commands ALTER COLUMN command_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.payment_outbox_commands_command_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.payment_outbox_pending (
    command_id bigint NOT NULL,
    available_at timestamp with time zone DEFAULT now() NOT NULL,
    leased_by text,
    leased_until timestamp with time zone,
    attempts bigint DEFAULT 0 NOT NULL,
    CONSTRAINT payment_outbox_pending_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT payment_outbox_pending_leased_by_check CHECK ((leased_by <> ''::text)),
    CONSTRAINT payment_outbox_pending_whole_lease CHECK (((leased_by IS NULL) = (leased_until IS NULL)))
);

COMMENT ON TABLE public.payment_outbox_pending IS 'what is still to be done, and whose it is for now';

CREATE TABLE public.payment_outbox_sequences (
    participant_id text NOT NULL,
    last_sequence bigint DEFAULT 0 NOT NULL,
    CONSTRAINT payment_outbox_sequences_last_sequence_check CHECK ((last_sequence >= 0))
);

COMMENT ON TABLE public.payment_outbox_sequences IS 'a counter per participant; its row is also the lock that makes enqueueing serial for one, and numbers gapless';

CREATE TABLE public.receipts (
    run_id text NOT NULL,
    step text NOT NULL,
    taken_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT receipts_step_check CHECK ((step <> ''::text))
);

CREATE TABLE public.runs (
    run_id text NOT NULL,
    status text DEFAULT 'running'::text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT runs_finished_has_time CHECK (((status = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT runs_run_id_check CHECK ((run_id <> ''::text)),
    CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text])))
);

CREATE TABLE public.schema_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    checksum_sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE ONLY public.currencies
    ADD CONSTRAINT currencies_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.marks
    ADD CONSTRAINT marks_pkey PRIMARY KEY (mark_id);

ALTER TABLE ONLY public.participants
    ADD CONSTRAINT participants_pkey PRIMARY KEY (participant_id);

ALTER TABLE ONLY public.payment_outbox_attempts
    ADD CONSTRAINT payment_outbox_attempts_command_id_attempt_key UNIQUE (command_id, attempt);

ALTER TABLE ONLY public.payment_outbox_attempts
    ADD CONSTRAINT payment_outbox_attempts_pkey PRIMARY KEY (attempt_id);

ALTER TABLE ONLY public.payment_outbox_commands
    ADD CONSTRAINT payment_outbox_commands_participant_id_idempotency_key_key UNIQUE (participant_id, idempotency_key);

ALTER TABLE ONLY public.payment_outbox_commands
    ADD CONSTRAINT payment_outbox_commands_participant_id_sequence_key UNIQUE (participant_id, sequence);

ALTER TABLE ONLY public.payment_outbox_commands
    ADD CONSTRAINT payment_outbox_commands_pkey PRIMARY KEY (command_id);

ALTER TABLE ONLY public.payment_outbox_pending
    ADD CONSTRAINT payment_outbox_pending_pkey PRIMARY KEY (command_id);

ALTER TABLE ONLY public.payment_outbox_sequences
    ADD CONSTRAINT payment_outbox_sequences_pkey PRIMARY KEY (participant_id);

ALTER TABLE ONLY public.policy_versions
    ADD CONSTRAINT policy_versions_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (run_id, step);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

CREATE INDEX marks_run_step ON public.marks USING btree (run_id, step);

CREATE UNIQUE INDEX payment_outbox_attempts_one_end ON public.payment_outbox_attempts USING btree (command_id) WHERE (outcome = ANY (ARRAY['settled'::public.payment_outcome, 'rejected'::public.payment_outcome, 'exhausted'::public.payment_outcome]));

CREATE INDEX payment_outbox_commands_currency ON public.payment_outbox_commands USING btree (currency);

CREATE INDEX payment_outbox_pending_due ON public.payment_outbox_pending USING btree (command_id) INCLUDE (available_at) WHERE (leased_by IS NULL);

CREATE INDEX payment_outbox_pending_leased ON public.payment_outbox_pending USING btree (leased_until) WHERE (leased_by IS NOT NULL);

CREATE UNIQUE INDEX policy_versions_one_active ON public.policy_versions USING btree (status) WHERE (status = 'ACTIVE'::text);

CREATE TRIGGER payment_outbox_attempts_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.payment_outbox_attempts FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_rewriting();

ALTER TABLE public.payment_outbox_attempts ENABLE ALWAYS TRIGGER payment_outbox_attempts_append_only;

CREATE TRIGGER payment_outbox_commands_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.payment_outbox_commands FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_rewriting();

ALTER TABLE public.payment_outbox_commands ENABLE ALWAYS TRIGGER payment_outbox_commands_append_only;

ALTER TABLE ONLY public.marks
    ADD CONSTRAINT marks_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(run_id);

ALTER TABLE ONLY public.payment_outbox_attempts
    ADD CONSTRAINT payment_outbox_attempts_command_id_fkey FOREIGN KEY (command_id) REFERENCES public.payment_outbox_commands(command_id);

ALTER TABLE ONLY public.payment_outbox_commands
    ADD CONSTRAINT payment_outbox_commands_currency_fkey FOREIGN KEY (currency) REFERENCES public.currencies(code);

ALTER TABLE ONLY public.payment_outbox_commands
    ADD CONSTRAINT payment_outbox_commands_participant_id_fkey FOREIGN KEY (participant_id) REFERENCES public.payment_outbox_sequences(participant_id);

ALTER TABLE ONLY public.payment_outbox_pending
    ADD CONSTRAINT payment_outbox_pending_command_id_fkey FOREIGN KEY (command_id) REFERENCES public.payment_outbox_commands(command_id);

ALTER TABLE ONLY public.payment_outbox_sequences
    ADD CONSTRAINT payment_outbox_sequences_participant_id_fkey FOREIGN KEY (participant_id) REFERENCES public.participants(participant_id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(run_id);

REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO auditor;
GRANT USAGE ON SCHEMA public TO control;
GRANT USAGE ON SCHEMA public TO executor;
GRANT USAGE ON SCHEMA public TO ingest;
GRANT USAGE ON SCHEMA public TO readonly;

REVOKE ALL ON TYPE public.payment_outcome FROM PUBLIC;

REVOKE ALL ON FUNCTION public.activate_policy(new_version text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.activate_policy(new_version text) TO control;

GRANT SELECT ON TABLE public.policy_versions TO readonly;
GRANT SELECT ON TABLE public.policy_versions TO auditor;
GRANT SELECT ON TABLE public.policy_versions TO control;

REVOKE ALL ON FUNCTION public.active_policy() FROM PUBLIC;
GRANT ALL ON FUNCTION public.active_policy() TO auditor;
GRANT ALL ON FUNCTION public.active_policy() TO control;
GRANT ALL ON FUNCTION public.active_policy() TO executor;
GRANT ALL ON FUNCTION public.active_policy() TO ingest;
GRANT ALL ON FUNCTION public.active_policy() TO readonly;

REVOKE ALL ON FUNCTION public.claim_payments(by_worker text, at_most bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_payments(by_worker text, at_most bigint) TO executor;

REVOKE ALL ON FUNCTION public.complete_payment(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.complete_payment(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text) TO executor;

REVOKE ALL ON FUNCTION public.enqueue_payment(for_participant text, with_key text, in_currency text, minor_units bigint, with_payload jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enqueue_payment(for_participant text, with_key text, in_currency text, minor_units bigint, with_payload jsonb) TO ingest;

REVOKE ALL ON FUNCTION public.finish_run(of_run text, new_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_run(of_run text, new_status text) TO executor;

GRANT SELECT ON TABLE public.marks TO readonly;
GRANT SELECT ON TABLE public.marks TO auditor;

REVOKE ALL ON FUNCTION public.mark_counts(of_run text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_counts(of_run text) TO readonly;
GRANT ALL ON FUNCTION public.mark_counts(of_run text) TO auditor;

REVOKE ALL ON FUNCTION public.mark_step(of_run text, of_step text, by_process text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_step(of_run text, of_step text, by_process text) TO executor;

REVOKE ALL ON FUNCTION public.record_attempt(of_command bigint, by_worker text, had_outcome public.payment_outcome, with_detail text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.refuse_rewriting() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.repair_expired_leases() FROM PUBLIC;
GRANT ALL ON FUNCTION public.repair_expired_leases() TO executor;
GRANT ALL ON FUNCTION public.repair_expired_leases() TO control;

REVOKE ALL ON FUNCTION public.start_run(new_run text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.start_run(new_run text) TO executor;

REVOKE ALL ON FUNCTION public.take_receipt(of_run text, of_step text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_receipt(of_run text, of_step text) TO executor;

GRANT SELECT ON TABLE public.currencies TO ingest;
GRANT SELECT ON TABLE public.currencies TO executor;
GRANT SELECT ON TABLE public.currencies TO readonly;
GRANT SELECT ON TABLE public.currencies TO auditor;

GRANT SELECT ON TABLE public.participants TO readonly;
GRANT SELECT ON TABLE public.participants TO auditor;

GRANT SELECT ON TABLE public.payment_outbox_attempts TO readonly;
GRANT SELECT ON TABLE public.payment_outbox_attempts TO auditor;

GRANT SELECT ON TABLE public.payment_outbox_commands TO readonly;
GRANT SELECT ON TABLE public.payment_outbox_commands TO auditor;

GRANT SELECT ON TABLE public.payment_outbox_pending TO readonly;
GRANT SELECT ON TABLE public.payment_outbox_pending TO auditor;

GRANT SELECT ON TABLE public.payment_outbox_sequences TO readonly;
GRANT SELECT ON TABLE public.payment_outbox_sequences TO auditor;

GRANT SELECT ON TABLE public.receipts TO readonly;
GRANT SELECT ON TABLE public.receipts TO auditor;

GRANT SELECT ON TABLE public.runs TO readonly;
GRANT SELECT ON TABLE public.runs TO auditor;

ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER REVOKE ALL ON TYPES  FROM PUBLIC;

ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER REVOKE ALL ON FUNCTIONS  FROM PUBLIC;

insert into "public"."schema_migrations" (version, description, checksum_sha256) values
    (1, 'revoke_first', '54339f5c1c1c5cc85a29bd09d8a6902332363291c3ec9ceaceebc8be973bd5ab'),
    (2, 'roles', 'e2d8e34c13f3c9f39eeb5d06b362a18836ed54509fb644665d18a1a8a9b81bc7'),
    (3, 'payment_outbox', 'b586e7e6f3bed3b6935d6183ddba9d8e8454317edd25c5019be6ce38b383dadf'),
    (4, 'append_only', '289a64ee1d5552d4162fcc5dc3f8e616a6ecae40ec838f23bcde5d1f6155d93b'),
    (5, 'policy', 'b2565cdf0ecb23a5f830f2b681ca1b841da298d9501ebd92a6cba4b2183d6abf'),
    (6, 'outbox_functions', '77360d51d4ee776c96ca82a40bb043d0c7c935f793dc222b02d2a67c40dc252b'),
    (7, 'runs_and_marks', '7a96bb2b592411c5516796e86bad6df5216a25de1bb770b11b97d6381fcdf996'),
    (8, 'claim_indexes', '207543f72657f2b8fe17890e4715f1506b53e529938f5299bdaafa243ec9a665'),
    (9, 'currencies', '5b9748f1c3b20e3e250d9bb2c8819e871fceccf4ecd5803dc919f9fc13e6dc63'),
    (10, 'validate_currencies', '04a5afe63e401397184a551ccc4e031b327e4faea72557909de342543bcf70c9'),
    (11, 'policy_activated_by', 'a1193cd4caa4d98eeb762df03e43745f8322c81ee01f7cf76204ef46ccd1b748');
