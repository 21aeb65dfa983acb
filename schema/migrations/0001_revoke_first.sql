-- Why: what nobody was given, nobody holds. Everything that follows starts without privileges for PUBLIC, also where a
-- later migration forgets to say so: a function is born with EXECUTE for PUBLIC, and a type with USAGE, unless the
-- defaults change.
-- Defaults of one schema can only add, so these hold for the whole database, for what the role that migrates creates.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

revoke all on schema public from public;
revoke all on all tables in schema public from public;
revoke all on all sequences in schema public from public;

alter default privileges revoke all on tables from public;
alter default privileges revoke all on sequences from public;
alter default privileges revoke execute on functions from public;
alter default privileges revoke usage on types from public;
