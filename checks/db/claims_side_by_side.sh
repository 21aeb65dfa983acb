#!/usr/bin/env bash
# Claims of two sessions at once, which no test in one transaction can show. Needs a database of its own: it writes, and
# leaves what it wrote. Where the database is, PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE say.
set -euo pipefail

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }
fail() { echo "failed: $*" >&2; exit 1; }
wait_for() { for pid in "$@"; do wait "$pid" || fail "one of those at work ended with an error"; done; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Who would wait for another is told so, in place of hanging.
export PGOPTIONS="-c lock_timeout=20s"

payments=200
sql <<SQL
insert into currencies values ('XTS', 'for testing', 2) on conflict do nothing;
insert into participants values ('TESTSIDE1', 'side by side');
insert into payment_outbox_sequences values ('TESTSIDE1');
select count(*) from generate_series(1, $payments) i, enqueue_payment('TESTSIDE1', 'key-' || i, 'XTS', i) \g /dev/null
SQL

# A claims two and keeps its transaction open; meanwhile B claims two. B gets others at once: it neither waits for A,
# nor gets what A has.
sql >"$folder/held" <<SQL
begin;
select command_id from claim_payments('a', 2);
\! psql -XqAt -c "select command_id from claim_payments('b', 2)" >$folder/beside 2>&1
rollback;
SQL
for claimed in held beside; do
  [ "$(grep -c '^[0-9]*$' "$folder/$claimed")" = 2 ] || fail "claimed $claimed: $(cat "$folder/$claimed")"
done
[ -z "$(sort "$folder/held" "$folder/beside" | uniq -d)" ] || fail "two sessions claimed the same payment"
echo "two sessions: claimed different payments, and neither waited"

# What was rolled back is free again: all but B's two are left. Eight workers take and settle them in small batches.
worker() {
  while true; do
    settled=$(sql -c "select count(complete_payment(command_id, '$1', 'settled'))
      from claim_payments('$1', 7)") || exit 1
    [ "$settled" != 0 ] || break
    echo "$settled"
  done >"$folder/worker-$1"
}
running=()
for name in w1 w2 w3 w4 w5 w6 w7 w8; do worker "$name" & running+=($!); done
wait_for "${running[@]}"
settled=$(cat "$folder"/worker-* | awk '{ all += $1 } END { print all }')
[ "$settled" = $((payments - 2)) ] || fail "eight workers settled $settled payments of $((payments - 2))"
attempts=$(sql -c "select count(*) || ' of ' || count(distinct command_id) from payment_outbox_attempts
  join payment_outbox_commands using (command_id) where participant_id = 'TESTSIDE1'")
[ "$attempts" = "$settled of $settled" ] || fail "attempts on record: $attempts payments"
echo "eight workers: settled $settled payments, each once"

# The same keys from eight callers at once: each key takes one number, and the numbers have no gap.
caller() {
  sql -c "do \$\$ begin for i in 1 .. 50 loop
    perform enqueue_payment('TESTSIDE1', 'shared-' || i, 'XTS', i); commit; end loop; end \$\$"
}
running=()
for _ in 1 2 3 4 5 6 7 8; do caller & running+=($!); done
wait_for "${running[@]}"
all=$((payments + 50))
numbers=$(sql -c "select count(*) || ' up to ' || max(sequence) from payment_outbox_commands
  where participant_id = 'TESTSIDE1'")
[ "$numbers" = "$all up to $all" ] || fail "payments with numbers: $numbers, and not $all up to $all"
echo "eight callers: 50 keys, 50 payments, numbered without a gap"
