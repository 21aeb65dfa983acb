-- id: sys-functions-over-tables
-- title: Nobody but the owner may write to the journal's tables, and only `workflow` may call its functions
-- severity: error
-- must-fail-after: grant insert on workflow_steps to workflow

select c.oid::regclass::text as object, a.privilege_type,
    case a.grantee when 0 then 'PUBLIC' else pg_get_userbyid(a.grantee) end as grantee
from pg_catalog.pg_class c, aclexplode(c.relacl) a
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relnamespace = 'public'::regnamespace
and a.grantee <> c.relowner and a.privilege_type <> 'SELECT'
union all
select c.oid::regclass || '.' || t.attname, a.privilege_type,
    case a.grantee when 0 then 'PUBLIC' else pg_get_userbyid(a.grantee) end
from pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid, aclexplode(t.attacl) a
where c.relnamespace = 'public'::regnamespace
and a.grantee <> c.relowner and a.privilege_type <> 'SELECT'
union all
select p.oid::regprocedure::text, a.privilege_type,
    case a.grantee when 0 then 'PUBLIC' else pg_get_userbyid(a.grantee) end
from pg_catalog.pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
where p.pronamespace = 'public'::regnamespace
and a.grantee <> p.proowner and a.grantee <> 'workflow'::regrole;
