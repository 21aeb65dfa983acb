-- id: successes-are-complete
-- title: A workflow that succeeded has every step of its kind on record
-- severity: error
-- must-fail-after: do $$ begin insert into workflow_kinds values ('broken', 'x', '["s1"]'); insert into workflow_status (workflow_id, kind, status) values ('broken', 'broken', 'succeeded'); end $$

select s.workflow_id, wanted.step
from workflow_status s join workflow_kinds k using (kind), jsonb_array_elements_text(k.steps) wanted (step)
where s.status = 'succeeded'
and not exists (select from workflow_steps d where d.workflow_id = s.workflow_id and d.step = wanted.step);
