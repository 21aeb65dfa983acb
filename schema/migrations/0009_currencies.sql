-- Why: a currency is one that we know. The key is NOT VALID, so that it holds for new rows at once and takes no long
-- lock; the rows that are there are looked at by the next migration, in a transaction of its own.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

create table currencies (
    code text primary key check (code ~ '^[A-Z]{3}$'),
    display_name text not null check (display_name <> ''),
    minor_digits bigint not null check (minor_digits between 0 and 4)
);

alter table payment_outbox_commands
add constraint payment_outbox_commands_currency_fkey foreign key (currency) references currencies not valid;

grant select on currencies to ingest, executor, readonly, auditor;
