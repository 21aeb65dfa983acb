-- id: no-ddl
-- title: A runtime role can create nothing, and owns nothing
-- severity: error
-- must-fail-after: grant create on schema public to executor

with runtime as (
    select r.oid, r.rolname from pg_catalog.pg_roles r
    where r.rolname in ('auditor', 'control', 'executor', 'ingest', 'readonly', 'test_user')
)
select r.rolname, 'may create in schema ' || quote_ident(n.nspname) as finding
from runtime r, pg_catalog.pg_namespace n
where n.nspname !~ '^pg_(toast|temp)' and has_schema_privilege(r.oid, n.oid, 'create')
union all
select r.rolname, 'may create schemas'
from runtime r where has_database_privilege(r.oid, current_database(), 'create')
union all
select r.rolname, 'owns ' || c.oid::regclass
from runtime r join pg_catalog.pg_class c on c.relowner = r.oid
union all
select r.rolname, 'owns ' || p.oid::regprocedure
from runtime r join pg_catalog.pg_proc p on p.proowner = r.oid;
