-- id: commands-end-once
-- title: A payment is pending, or has come to an end; never both, never neither
-- severity: error
-- must-fail-after: do $$ begin insert into currencies values ('XTS', 'x', 2) on conflict do nothing; insert into participants values ('BROKEN01', 'x'); insert into payment_outbox_sequences values ('BROKEN01', 1); insert into payment_outbox_commands (participant_id, sequence, idempotency_key, currency, amount_minor) values ('BROKEN01', 1, 'k', 'XTS', 1); end $$

with judged as (
    select
        c.command_id,
        exists (select from payment_outbox_pending p where p.command_id = c.command_id) as pending,
        exists (
            select from payment_outbox_attempts a
            where a.command_id = c.command_id and a.outcome in ('settled', 'rejected', 'exhausted')
        ) as ended
    from payment_outbox_commands c
)
select command_id, pending, ended from judged where pending = ended;
