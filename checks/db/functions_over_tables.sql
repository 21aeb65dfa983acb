-- id: functions-over-tables
-- title: Nobody but the owner may write to a table, nor to a column of one
-- severity: error
-- must-fail-after: grant update (leased_by) on payment_outbox_pending to executor

-- From the lists themselves: has_table_privilege() does not tell who else was granted what.
with granted as (
    select c.oid, c.relowner, a.grantee, a.privilege_type, '' as of_column
    from pg_catalog.pg_class c, aclexplode(c.relacl) a
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relnamespace = 'public'::regnamespace
    union all
    select c.oid, c.relowner, a.grantee, a.privilege_type, t.attname
    from pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid, aclexplode(t.attacl) a
    where c.relnamespace = 'public'::regnamespace
)
select oid::regclass as relation, of_column, privilege_type,
    case grantee when 0 then 'PUBLIC' else pg_get_userbyid(grantee) end as grantee
from granted
where grantee <> relowner and privilege_type <> 'SELECT';
