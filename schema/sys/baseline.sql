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
    select string_agg(wanted, ', ') into missing from unnest(array['readonly', 'workflow']) wanted
    where not exists (select from pg_catalog.pg_roles where rolname = wanted);
    if missing is not null then
        raise exception 'these roles must exist before this schema is made: %', missing;
    end if;
end
$weir$;

CREATE FUNCTION public.begin_workflow(new_id text, of_kind text, with_input jsonb DEFAULT '{}'::jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
begin
    insert into workflow_status (workflow_id, kind, input) values (new_id, of_kind, with_input)
    on conflict (workflow_id) do nothing;
    return found;
end
$$;

COMMENT ON FUNCTION public.begin_workflow(new_id text, of_kind text, with_input jsonb) IS 'true for a new one; false where it is on record, which starts nothing';

CREATE FUNCTION public.finish_workflow(of_workflow text, new_status text, with_result jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
declare
    missing text;
begin
    perform from workflow_status where workflow_id = of_workflow and status = 'pending' for update;
    if not found then
        raise exception 'workflow `%` is not pending', of_workflow using errcode = 'object_not_in_prerequisite_state';
    end if;
    if new_status = 'succeeded' then
        select string_agg(wanted, ', ') into missing
        from workflow_status s join workflow_kinds k using (kind), jsonb_array_elements_text(k.steps) wanted
        where s.workflow_id = of_workflow
        and not exists (select from workflow_steps d where d.workflow_id = of_workflow and d.step = wanted);
        if missing is not null then
            raise exception 'workflow `%` has not done %', of_workflow, missing using errcode = 'check_violation';
        end if;
    end if;
    update workflow_status set status = new_status, result = with_result, updated_at = now()
    where workflow_id = of_workflow;
end
$$;

COMMENT ON FUNCTION public.finish_workflow(of_workflow text, new_status text, with_result jsonb) IS 'once; a success needs every step of its kind on record';

CREATE FUNCTION public.record_step(of_workflow text, of_step text, with_output jsonb DEFAULT 'null'::jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
declare
    on_record jsonb;
begin
    -- The status' row is the lock that a finish takes too.
    perform from workflow_status where workflow_id = of_workflow and status = 'pending' for update;
    if not found then
        raise exception 'workflow `%` is not pending', of_workflow using errcode = 'object_not_in_prerequisite_state';
    end if;
    insert into workflow_steps (workflow_id, step, output) values (of_workflow, of_step, with_output)
    on conflict (workflow_id, step) do nothing;
    select output into strict on_record from workflow_steps where workflow_id = of_workflow and step = of_step;
    return on_record;
end
$$;

COMMENT ON FUNCTION public.record_step(of_workflow text, of_step text, with_output jsonb) IS 'gives what is on record, which is what the first call for this step said';

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.workflow_status (
    workflow_id text NOT NULL,
    kind text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    input jsonb DEFAULT '{}'::jsonb NOT NULL,
    result jsonb,
    recoveries bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT workflow_status_recoveries_check CHECK ((recoveries >= 0)),
    CONSTRAINT workflow_status_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'succeeded'::text, 'failed'::text]))),
    CONSTRAINT workflow_status_workflow_id_check CHECK ((workflow_id <> ''::text))
);

CREATE FUNCTION public.recover_workflows() RETURNS SETOF public.workflow_status
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    update workflow_status set recoveries = recoveries + 1, updated_at = now()
    where status = 'pending' returning *;
$$;

COMMENT ON FUNCTION public.recover_workflows() IS 'those that a process left unfinished; called once, when the next one starts';

CREATE FUNCTION public.refuse_rewriting() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
begin
    raise exception '% on %: its rows are only ever added', tg_op, tg_table_name using errcode = 'restrict_violation';
end
$$;

CREATE TABLE public.schema_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    checksum_sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.workflow_kinds (
    kind text NOT NULL,
    description text NOT NULL,
    steps jsonb NOT NULL,
    CONSTRAINT workflow_kinds_description_check CHECK ((description <> ''::text)),
    CONSTRAINT workflow_kinds_kind_check CHECK ((kind <> ''::text)),
    CONSTRAINT workflow_kinds_steps_check CHECK ((jsonb_typeof(steps) = 'array'::text))
);

COMMENT ON COLUMN public.workflow_kinds.steps IS 'the names of the steps, in order';

CREATE TABLE public.workflow_steps (
    workflow_id text NOT NULL,
    step text NOT NULL,
    output jsonb DEFAULT 'null'::jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT workflow_steps_step_check CHECK ((step <> ''::text))
);

COMMENT ON TABLE public.workflow_steps IS 'steps that were done, with what they gave; rows are only ever added';

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.workflow_kinds
    ADD CONSTRAINT workflow_kinds_pkey PRIMARY KEY (kind);

ALTER TABLE ONLY public.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_id);

ALTER TABLE ONLY public.workflow_steps
    ADD CONSTRAINT workflow_steps_pkey PRIMARY KEY (workflow_id, step);

CREATE INDEX workflow_status_kind ON public.workflow_status USING btree (kind);

CREATE INDEX workflow_status_pending ON public.workflow_status USING btree (created_at) WHERE (status = 'pending'::text);

CREATE TRIGGER workflow_steps_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.workflow_steps FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_rewriting();

ALTER TABLE public.workflow_steps ENABLE ALWAYS TRIGGER workflow_steps_append_only;

ALTER TABLE ONLY public.workflow_status
    ADD CONSTRAINT workflow_status_kind_fkey FOREIGN KEY (kind) REFERENCES public.workflow_kinds(kind);

ALTER TABLE ONLY public.workflow_steps
    ADD CONSTRAINT workflow_steps_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.workflow_status(workflow_id);

REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO readonly;
GRANT USAGE ON SCHEMA public TO workflow;

REVOKE ALL ON FUNCTION public.begin_workflow(new_id text, of_kind text, with_input jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_workflow(new_id text, of_kind text, with_input jsonb) TO workflow;

REVOKE ALL ON FUNCTION public.finish_workflow(of_workflow text, new_status text, with_result jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_workflow(of_workflow text, new_status text, with_result jsonb) TO workflow;

REVOKE ALL ON FUNCTION public.record_step(of_workflow text, of_step text, with_output jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_step(of_workflow text, of_step text, with_output jsonb) TO workflow;

GRANT SELECT ON TABLE public.workflow_status TO readonly;
GRANT SELECT ON TABLE public.workflow_status TO workflow;

REVOKE ALL ON FUNCTION public.recover_workflows() FROM PUBLIC;
GRANT ALL ON FUNCTION public.recover_workflows() TO workflow;

REVOKE ALL ON FUNCTION public.refuse_rewriting() FROM PUBLIC;

GRANT SELECT ON TABLE public.workflow_kinds TO readonly;
GRANT SELECT ON TABLE public.workflow_kinds TO workflow;

GRANT SELECT ON TABLE public.workflow_steps TO readonly;
GRANT SELECT ON TABLE public.workflow_steps TO workflow;

ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER REVOKE ALL ON TYPES  FROM PUBLIC;

ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER REVOKE ALL ON FUNCTIONS  FROM PUBLIC;

insert into "public"."schema_migrations" (version, description, checksum_sha256) values
    (1, 'revoke_first', 'fae2f797addc64a3d2b68d89915178cf319643b7d75717938b21611adf20c6d2'),
    (2, 'workflow_journal', '77890de2e4da19850b42b1d7aa7510d4b25218c060554bc678ff00944ef0550d'),
    (3, 'journal_functions', '156285e970b3287727ad7567a47031e59e92cf26ce825da28c14cb2a68cdeedf');
