-- id: history-guarded
-- title: What guards history fires in every session, also in one that replays replication
-- severity: error
-- must-fail-after: alter table payment_outbox_attempts enable trigger payment_outbox_attempts_append_only

select guarded as relation
from unnest(array['payment_outbox_commands', 'payment_outbox_attempts']) guarded
where not exists (
    select from pg_catalog.pg_trigger t
    where t.tgrelid = guarded::regclass and t.tgname = guarded || '_append_only'
    and t.tgfoid = 'refuse_rewriting()'::regprocedure and t.tgenabled = 'A'
);
