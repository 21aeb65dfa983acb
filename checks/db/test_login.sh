#!/usr/bin/env bash
# The login that tests use, used: it is `test_user`, with what its roles may do and no more. The rows it makes stay.
set -euo pipefail

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }
fail() { echo "failed: $*" >&2; exit 1; }
refused() {
  local said
  said=$(sql -c '\set VERBOSITY sqlstate' -c "$1" 2>&1) && fail "\`test_user\` could: $1"
  [[ $said == *42501* ]] || fail "\`$1\` was refused for another reason: $said"
}

who=$(sql -c "select session_user, current_user")
[ "$who" = "test_user|test_user" ] || fail "connected as $who"
sql -c "select from active_policy()" >/dev/null
sql -c "select start_run('test-login')" >/dev/null
[ "$(sql -c "select mark_counts('test-login')")" = '{}' ] || fail "a new run has marks"
refused "insert into runs (run_id) values ('x')"
refused "update payment_outbox_pending set leased_by = null, leased_until = null"
refused "select activate_policy('x')"
refused "create table t (i bigint primary key)"
echo "test_user: logged in, may call what is its own, and is refused the rest"
