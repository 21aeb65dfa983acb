-- id: functions-granted
-- title: Each role may call exactly the functions that are its own, and PUBLIC none
-- severity: error
-- must-fail-after: grant execute on function claim_payments(text, bigint) to public

with meant (function, grantee) as (
    values
    ('enqueue_payment', 'ingest'),
    ('claim_payments', 'executor'),
    ('complete_payment', 'executor'),
    ('repair_expired_leases', 'executor'),
    ('repair_expired_leases', 'control'),
    ('activate_policy', 'control'),
    ('active_policy', 'auditor'),
    ('active_policy', 'control'),
    ('active_policy', 'executor'),
    ('active_policy', 'ingest'),
    ('active_policy', 'readonly'),
    ('start_run', 'executor'),
    ('take_receipt', 'executor'),
    ('mark_step', 'executor'),
    ('finish_run', 'executor'),
    ('mark_counts', 'readonly'),
    ('mark_counts', 'auditor')
), granted (function, grantee) as (
    select p.proname::text, case a.grantee when 0 then 'PUBLIC' else pg_get_userbyid(a.grantee)::text end
    from pg_catalog.pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where p.pronamespace = 'public'::regnamespace and a.grantee <> p.proowner
    -- What an extension brings is the extension's.
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
)
select coalesce(m.function, g.function) as function, coalesce(m.grantee, g.grantee) as grantee,
    case when g.function is null then 'may not call it, and should' else 'may call it, and should not' end as finding
from meant m full join granted g using (function, grantee)
where m.function is null or g.function is null;
