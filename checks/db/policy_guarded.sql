-- id: policy-guarded
-- title: The index that allows one active policy, and the check of its checksum, are there and hold
-- severity: error
-- must-fail-after: drop index policy_versions_one_active

select 'no unique index on the active policy' as missing
where not exists (
    select from pg_catalog.pg_index i
    where i.indrelid = 'policy_versions'::regclass and i.indisunique and i.indisvalid
    and pg_get_expr(i.indpred, i.indrelid) = '(status = ''ACTIVE''::text)'
)
union all
select 'no check of the checksum'
where not exists (
    select from pg_catalog.pg_constraint c
    where c.conrelid = 'policy_versions'::regclass and c.contype = 'c' and c.convalidated
    and pg_get_constraintdef(c.oid) like '%checksum%[0-9a-f]{64}%'
);
