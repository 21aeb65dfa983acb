-- id: one-active-policy
-- title: Exactly one policy is active
-- severity: error
-- must-fail-after: update policy_versions set status = 'RETIRED'

select count(*) as active, string_agg(version, ', ' order by version) as versions
from policy_versions where status = 'ACTIVE'
having count(*) <> 1;
