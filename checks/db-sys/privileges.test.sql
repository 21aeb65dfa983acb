-- PUBLIC has no way in, and `readonly` looks on.

select not has_schema_privilege('public', 'public', 'usage') as schema_is_closed;
select count(*) = 0 as public_may_call_nothing
from pg_catalog.pg_proc p
where p.pronamespace = 'public'::regnamespace and has_function_privilege('public', p.oid, 'execute');

set local role readonly;
select count(*) >= 0 as readonly_may_look from workflow_status;
do $$
begin
    perform begin_workflow('test', 'two-marks');
    assert false, 'readonly began a workflow';
exception when insufficient_privilege then null;
end
$$;
