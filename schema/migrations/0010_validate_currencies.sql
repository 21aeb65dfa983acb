-- Why: the rows from before 0009. Validating reads the table and keeps no writer waiting.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table payment_outbox_commands validate constraint payment_outbox_commands_currency_fkey;
