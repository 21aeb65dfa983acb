-- Enqueueing: once per participant and key, numbered without gaps.

insert into currencies values ('XTS', 'for testing', 2) on conflict do nothing;
insert into participants values ('TESTONE1', 'one'), ('TESTTWO2', 'two');
insert into payment_outbox_sequences values ('TESTONE1'), ('TESTTWO2');

set local role ingest;

-- A repeated call gives what the first one made, and makes nothing.
select sequence = 1 and is_new as first from enqueue_payment('TESTONE1', 'key-1', 'XTS', 100, '{"to": "a"}');
select sequence = 1 and not is_new as repeated from enqueue_payment('TESTONE1', 'key-1', 'XTS', 100, '{"to": "a"}');
select sequence = 2 and is_new as next from enqueue_payment('TESTONE1', 'key-2', 'XTS', 100);
-- A key belongs to a participant, and so does the counting.
select sequence = 1 and is_new as other_participant from enqueue_payment('TESTTWO2', 'key-1', 'XTS', 7);

-- What is refused takes no number.
do $$
begin
    perform enqueue_payment('TESTONE1', 'key-1', 'XTS', 101, '{"to": "a"}');
    assert false, 'one key stood for two payments';
exception when unique_violation then null;
end
$$;
do $$
begin
    perform enqueue_payment('TESTONE1', 'key-3', 'XTS', 0);
    assert false, 'a payment of nothing was enqueued';
exception when check_violation then null;
end
$$;
do $$
begin
    perform enqueue_payment('TESTONE1', 'key-3', 'XXX', 1);
    assert false, 'an unknown currency was enqueued';
exception when foreign_key_violation then null;
end
$$;
do $$
begin
    perform enqueue_payment('NOSUCH00', 'key-1', 'XTS', 1);
    assert false, 'a payment was enqueued for nobody';
exception when foreign_key_violation then null;
end
$$;
select sequence = 3 as no_gap_after_refusals from enqueue_payment('TESTONE1', 'key-3', 'XTS', 1);

reset role;
do $$
begin
    for i in 4 .. 50 loop
        perform enqueue_payment('TESTONE1', 'key-' || i, 'XTS', i);
        perform enqueue_payment('TESTONE1', 'key-' || i, 'XTS', i);
    end loop;
    assert (
        select array_agg(sequence order by command_id) = array(select generate_series(1, 50)::bigint)
        from payment_outbox_commands where participant_id = 'TESTONE1'
    ), 'the numbers are not 1 to 50 in order';
    assert (select last_sequence from payment_outbox_sequences where participant_id = 'TESTONE1') = 50;
    assert (
        select count(*) from payment_outbox_pending join payment_outbox_commands using (command_id)
        where participant_id = 'TESTONE1'
    ) = 50, 'not each payment is pending once';
end
$$;
