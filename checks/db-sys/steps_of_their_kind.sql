-- id: steps-of-their-kind
-- title: Only steps that a workflow's kind names are on record for it
-- severity: error
-- must-fail-after: do $$ begin insert into workflow_kinds values ('broken', 'x', '["s1"]'); insert into workflow_status (workflow_id, kind) values ('broken', 'broken'); insert into workflow_steps (workflow_id, step) values ('broken', 's2'); end $$

select d.workflow_id, d.step
from workflow_steps d join workflow_status s using (workflow_id) join workflow_kinds k using (kind)
where not k.steps ? d.step;
