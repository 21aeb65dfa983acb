-- weir:no-tx
-- Why: claiming and repairing look at a few rows of a table that writers never leave alone. CONCURRENTLY builds without
-- locking them out, and can't run in a transaction. One that was cut short leaves an invalid index behind: it is
-- dropped first, so that this file can be run again from its top.

set lock_timeout = '5s';
set statement_timeout = '10min';

drop index concurrently if exists payment_outbox_pending_due;
create index concurrently if not exists payment_outbox_pending_due
on payment_outbox_pending (command_id) include (available_at)
where leased_by is null;

drop index concurrently if exists payment_outbox_pending_leased;
create index concurrently if not exists payment_outbox_pending_leased
on payment_outbox_pending (leased_until)
where leased_by is not null;

drop index concurrently if exists payment_outbox_commands_currency;
create index concurrently if not exists payment_outbox_commands_currency
on payment_outbox_commands (currency);

reset statement_timeout;
reset lock_timeout;
