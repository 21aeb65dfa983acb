//! The ready-made checks: queries, and for each the changes after which it must report something. Privileges are read
//! from the access lists themselves: what a role may see of `information_schema` depends on the role.

use super::check::{Check, Proof, Question, Severity};
use crate::config::{Database, Located, RoleRule};
use crate::db::mark::{OWN_TABLES, literal, relation};

/// Where changes are made up, in a transaction that is taken back.
const MADE_UP: &str = "create schema weir_gate_proof";
/// Schemas that are people's.
const SCHEMA: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";
const RELATIONS: &str = "pg_class c join pg_namespace n on n.oid = c.relnamespace";
/// Who holds a privilege `x`.
const HOLDER: &str = "case x.grantee when 0 then 'PUBLIC' else pg_get_userbyid(x.grantee)::text end";
/// What a relation's access list is where none is written.
const ACL: &str =
    "coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r'::\"char\" end, c.relowner))";

/// Those that every gate has, and those that `database` chose.
pub fn checks(database: &Database, chosen: bool) -> Vec<Check> {
    let ledger = relation(&database.ledger);
    let mut all = vec![
        check(
            "min-version",
            format!("The server is Postgres {} or newer", database.min_version),
            Question::Version(database.min_version),
            vec![],
        ),
        check(
            "ledger",
            "The ledger equals the files".into(),
            Question::Ledger,
            vec![format!("delete from {ledger} where version = (select max(version) from {ledger})")],
        ),
    ];
    if !chosen {
        return all;
    }
    let gate = &database.gate;
    let mut listed = |names: &[Located<String>], make: fn(&[Located<String>]) -> Check| {
        if !names.is_empty() {
            all.push(make(names));
        }
    };
    listed(&gate.required_relations, required_relations);
    listed(&gate.public_holds_nothing, public_holds_nothing);
    listed(&gate.append_only, append_only);
    if !gate.roles.is_empty() {
        all.push(roles(&gate.roles));
    }
    for id in &gate.checks {
        let except = gate.except.get(id).map_or(&[][..], |names| &names[..]);
        all.extend(of_the_schema(database, id, except));
    }
    all
}

fn check(id: &str, title: String, question: Question, proofs: Vec<String>) -> Check {
    let proofs = proofs.into_iter().map(|statement| Proof { statement, place: None }).collect();
    Check { id: format!("ready:{id}"), title, severity: Severity::Error, question, proofs }
}

/// `name` or `schema.name` with `*`, as two patterns of LIKE.
fn patterns(name: &str) -> (String, String) {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    (literal(&like(schema)), literal(&like(name)))
}

fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%")
}

/// The list as a table `p(s, n, written)`.
fn list(names: &[Located<String>]) -> String {
    let row = |name: &Located<String>| {
        let (schema, table) = patterns(&name.value);
        format!("({schema}, {table}, {})", literal(&name.value))
    };
    format!("(values {}) as p(s, n, written)", names.iter().map(row).collect::<Vec<_>>().join(", "))
}

/// A block that does `act`, built with `c` and `n` at hand, for everything the pattern matches.
fn for_all(name: &str, kinds: &str, act: &str) -> String {
    let (schema, table) = patterns(name);
    let kinds = kinds.chars().map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
    format!(
        "do $weir$ declare act text; begin for act in select {act} from {RELATIONS}
             where c.relkind in ({kinds}) and n.nspname like {schema} and c.relname like {table} and {SCHEMA}
         loop execute act; end loop; end $weir$"
    )
}

fn required_relations(names: &[Located<String>]) -> Check {
    let query = format!(
        "select format('no relation matches `%s`', written) as violation from {} where not exists (
             select from {RELATIONS} where c.relkind in ('r', 'p', 'v', 'm', 'f')
             and n.nspname like p.s and c.relname like p.n and {SCHEMA})",
        list(names)
    );
    let drop = "format('drop %s if exists %s cascade', case c.relkind when 'v' then 'view'
         when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table' end, c.oid::regclass)";
    // In a transaction that is taken back.
    let proofs = names.iter().map(|name| for_all(&name.value, "rpvmf", drop)).collect();
    check("required-relations", "The required relations exist".into(), Question::Ready(query), proofs)
}

fn public_holds_nothing(names: &[Located<String>]) -> Check {
    let query = format!(
        "with p as (select * from {list}),
         listed as (
             select distinct c.oid, c.relnamespace, c.relkind, c.relacl, c.relowner,
                    format('%s.%s', n.nspname, c.relname) as name
             from {RELATIONS} join p on n.nspname like p.s and c.relname like p.n
             where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and {SCHEMA})
         select format('nothing matches `%s`', written) as violation from p where not exists (
             select from {RELATIONS} where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
             and n.nspname like p.s and c.relname like p.n and {SCHEMA})
         union all
         select format('%s: PUBLIC holds %s', name, x.privilege_type) from listed c, aclexplode({ACL}) x
         where x.grantee = 0
         union all
         select format('%s: PUBLIC holds %s on column %s', name, x.privilege_type, a.attname)
         from listed c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x
         where x.grantee = 0 and not a.attisdropped
         union all
         select distinct format('%s: what %s makes beside it is granted to PUBLIC: %s', min(name),
                                pg_get_userbyid(d.defaclrole), x.privilege_type)
         from pg_default_acl d cross join aclexplode(d.defaclacl) x
         join listed c on d.defaclnamespace in (0, c.relnamespace)
         where x.grantee = 0 and d.defaclobjtype in ('r', 'S')
         group by d.oid, d.defaclrole, x.privilege_type
         order by 1",
        list = list(names)
    );
    let grant = "format('grant select on %s to public', c.oid::regclass)";
    let column = "format('grant select (%I) on %s to public', (select attname from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by attnum limit 1), c.oid::regclass)";
    let default = "format('alter default privileges in schema %I grant select on tables to public', n.nspname)";
    let proofs = names.iter().flat_map(|name| {
        [
            for_all(&name.value, "rpvmfS", grant),
            for_all(&name.value, "rpvmf", column),
            for_all(&name.value, "rpvmfS", default),
        ]
    });
    let proofs = proofs.collect();
    check("public-holds-nothing", "PUBLIC holds nothing on listed relations".into(), Question::Ready(query), proofs)
}

fn append_only(names: &[Located<String>]) -> Check {
    let query = format!(
        "with recursive p as (select * from {list}),
         listed(oid) as (
             select c.oid from {RELATIONS} join p on n.nspname like p.s and c.relname like p.n
             where c.relkind in ('r', 'p') and {SCHEMA}
             union select i.inhrelid from pg_inherits i join listed l on l.oid = i.inhparent),
         tables as (
             select c.oid, c.relkind, c.relacl, c.relowner, format('%s.%s', n.nspname, c.relname) as name
             from {RELATIONS} join listed l on l.oid = c.oid)
         select format('no table matches `%s`', written) as violation from p where not exists (
             select from {RELATIONS} where c.relkind in ('r', 'p') and n.nspname like p.s and c.relname like p.n and {SCHEMA})
         union all
         select format('%s: no enabled trigger refuses %s', name, word)
         from tables c, (values ('UPDATE', 16), ('DELETE', 8), ('TRUNCATE', 32)) as event(word, bit)
         where not exists (
             select from pg_trigger t join pg_proc f on f.oid = t.tgfoid join pg_language l on l.oid = f.prolang
             where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('O', 'A')
               and t.tgtype & bit <> 0 and t.tgqual is null and t.tgattr::text = ''
               and (l.lanname <> 'plpgsql' or f.prosrc ~* '\\mraise\\M(?!\\s+(debug|log|info|notice|warning)\\M)'))
         union all
         select format('%s: %s holds %s', name, {HOLDER}, x.privilege_type) from tables c, aclexplode({ACL}) x
         where x.privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE') and x.grantee <> c.relowner
         union all
         select format('%s: %s holds %s on column %s', name, {HOLDER}, x.privilege_type, a.attname)
         from tables c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x
         where x.privilege_type = 'UPDATE' and x.grantee <> c.relowner and not a.attisdropped
         order by 1",
        list = list(names)
    );
    let acts = [
        "format('alter table %s disable trigger user', c.oid::regclass)",
        "format('grant update on %s to public', c.oid::regclass)",
        "format('grant delete on %s to public', c.oid::regclass)",
        "format('grant truncate on %s to public', c.oid::regclass)",
        "format('grant update (%I) on %s to public', (select attname from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by attnum limit 1), c.oid::regclass)",
    ];
    let proofs = names.iter().flat_map(|name| acts.map(|act| for_all(&name.value, "rp", act))).collect();
    check("append-only", "Rows of listed tables are only ever added".into(), Question::Ready(query), proofs)
}

fn roles(wanted: &std::collections::BTreeMap<String, RoleRule>) -> Check {
    let rows: Vec<String> = wanted
        .iter()
        .map(|(name, rule)| {
            let RoleRule { login, superuser, createdb, createrole, replication, bypassrls, member_of } = rule;
            let groups: Vec<String> = member_of.iter().map(|group| literal(group)).collect();
            format!(
                "({}, {login}, {superuser}, {createdb}, {createrole}, {replication}, {bypassrls}, array[{}]::text[])",
                literal(name),
                groups.join(", ")
            )
        })
        .collect();
    let query = format!(
        "with wanted(name, login, super, createdb, createrole, replication, bypassrls, member_of) as (values {rows}),
         found as (
             select w.*, r.oid, r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
                    array(select distinct g.rolname::text collate \"C\" from pg_auth_members m
                          join pg_roles g on g.oid = m.roleid where m.member = r.oid order by 1) as groups
             from wanted w left join pg_roles r on r.rolname = w.name)
         select format('role %s does not exist', name) as violation from found where oid is null
         union all
         select format('role %s %s %s', name, case when has then 'has' else 'lacks' end, word) from found, lateral (values
             ('LOGIN', login, rolcanlogin), ('SUPERUSER', super, rolsuper), ('CREATEDB', createdb, rolcreatedb),
             ('CREATEROLE', createrole, rolcreaterole), ('REPLICATION', replication, rolreplication),
             ('BYPASSRLS', bypassrls, rolbypassrls)) as attribute(word, should, has) where should <> has
         union all
         select format('role %s is a member of %s', name, one) from found, unnest(groups) one
         where oid is not null and one <> all (member_of)
         union all
         select format('role %s is no member of %s', name, one) from found, unnest(member_of) one
         where oid is not null and one <> all (groups)
         order by 1",
        rows = rows.join(", ")
    );
    let flip = |(name, rule): (&String, &RoleRule)| {
        let word = if rule.login { "nologin" } else { "login" };
        format!("alter role {} {word}", crate::db::mark::quoted(name))
    };
    let proofs = wanted.iter().map(flip).collect();
    check("roles", "Listed roles are exactly what they should be".into(), Question::Ready(query), proofs)
}

/// One of [`crate::config::READY_CHECKS`].
fn of_the_schema(database: &Database, id: &str, except: &[String]) -> Option<Check> {
    let own: Vec<String> = OWN_TABLES.iter().copied().chain([database.ledger.name.as_str()]).map(literal).collect();
    let not_own =
        format!("not (n.nspname = {} and c.relname in ({}))", literal(&database.ledger.schema), own.join(", "));
    let (title, query, proofs) = match id {
        "public-create" => public_create(),
        "definer-search-path" => definer_search_path(),
        "definer-execute" => definer_execute(),
        "valid" => valid(),
        "primary-keys" => primary_keys(&not_own),
        "foreign-key-indexes" => foreign_key_indexes(),
        _ => return None,
    };
    let left_out: Vec<String> = except
        .iter()
        .flat_map(|name| [like(name), format!("public.{}", like(name))])
        .map(|pattern| literal(&pattern))
        .collect();
    let query = format!(
        "select violation from ({query}) as found(object, violation)
         where not object like any (array[{}]::text[]) order by 1",
        left_out.join(", ")
    );
    Some(check(id, title.to_owned(), Question::Ready(query), proofs))
}

/// A title, a query of object and violation, and proofs.
type Parts = (&'static str, String, Vec<String>);

/// No extension made it.
fn made_by_people(class: &str, oid: &str) -> String {
    format!(
        "not exists (select from pg_depend d where d.classid = '{class}'::regclass and d.objid = {oid} and d.deptype = 'e')"
    )
}

fn block(statements: &[&str]) -> String {
    format!("do $weir$ begin {}; end $weir$", statements.join("; "))
}

fn public_create() -> Parts {
    let query = format!(
        "select {HOLDER}, format('%s may create in schema public', {HOLDER})
         from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
         where n.nspname = 'public' and x.privilege_type = 'CREATE' and x.grantee <> n.nspowner"
    );
    let proof = "do $weir$ begin if to_regnamespace('public') is null then create schema public; end if;
         grant create on schema public to public; end $weir$";
    ("No role but the owner may create in schema `public`", query, vec![proof.to_owned()])
}

const DEFINER: &str = "create function weir_gate_proof.definer() returns int language sql security definer
     set search_path = pg_catalog as 'select 1'";

fn definers() -> String {
    format!(
        "from pg_proc f join pg_namespace n on n.oid = f.pronamespace
         where f.prosecdef and {SCHEMA} and {}",
        made_by_people("pg_proc", "f.oid")
    )
}

fn definer_search_path() -> Parts {
    let query = format!(
        "select format('%s.%s', n.nspname, f.proname),
                format('%s is SECURITY DEFINER and does not pin search_path', f.oid::regprocedure)
         {} and not exists (select from unnest(f.proconfig) s where s ~ '^search_path=' and s !~ '\\$user')",
        definers()
    );
    let proofs = vec![
        block(&[MADE_UP, DEFINER, "alter function weir_gate_proof.definer() reset search_path"]),
        block(&[MADE_UP, DEFINER, "alter function weir_gate_proof.definer() set search_path = \"$user\", public"]),
    ];
    ("SECURITY DEFINER functions pin `search_path`", query, proofs)
}

fn definer_execute() -> Parts {
    let query = format!(
        "select format('%s.%s', n.nspname, f.proname),
                format('%s is SECURITY DEFINER and PUBLIC may execute it', f.oid::regprocedure)
         {} and exists (select from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x
                        where x.grantee = 0 and x.privilege_type = 'EXECUTE')",
        definers()
    );
    let proofs = vec![block(&[MADE_UP, DEFINER, "grant execute on function weir_gate_proof.definer() to public"])];
    ("PUBLIC may not execute SECURITY DEFINER functions", query, proofs)
}

fn valid() -> Parts {
    let query = format!(
        "select format('%s.%s', n.nspname, c.relname),
                format('constraint %s of %s.%s is not validated', k.conname, n.nspname, c.relname)
         from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
         where not k.convalidated and {SCHEMA} and {people}
         union all
         select format('%s.%s', n.nspname, t.typname),
                format('constraint %s of domain %s.%s is not validated', k.conname, n.nspname, t.typname)
         from pg_constraint k join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = t.typnamespace
         where not k.convalidated and {SCHEMA}
         union all
         select format('%s.%s', n.nspname, c.relname),
                format('index %s of %s.%s is invalid', i.indexrelid::regclass, n.nspname, c.relname)
         from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
         where not (i.indisvalid and i.indisready and i.indislive) and {SCHEMA} and {people}",
        people = made_by_people("pg_class", "c.oid")
    );
    let proofs = vec![
        block(&[
            MADE_UP,
            "create table weir_gate_proof.t (a int)",
            "alter table weir_gate_proof.t add constraint unvalidated check (a > 0) not valid",
        ]),
        // An index on the parent alone is invalid until its partitions have theirs.
        block(&[
            MADE_UP,
            "create table weir_gate_proof.t (a int) partition by range (a)",
            "create table weir_gate_proof.part partition of weir_gate_proof.t for values from (0) to (1)",
            "create index invalid on only weir_gate_proof.t (a)",
        ]),
    ];
    ("No constraint is unvalidated, no index invalid", query, proofs)
}

fn primary_keys(not_own: &str) -> Parts {
    let query = format!(
        "select format('%s.%s', n.nspname, c.relname), format('%s.%s has no primary key', n.nspname, c.relname)
         from {RELATIONS} where c.relkind in ('r', 'p') and {SCHEMA} and {} and {not_own}
           and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')",
        made_by_people("pg_class", "c.oid")
    );
    ("Every table has a primary key", query, vec![block(&[MADE_UP, "create table weir_gate_proof.t (a int)"])])
}

fn foreign_key_indexes() -> Parts {
    let query = format!(
        "select format('%s.%s', n.nspname, c.relname),
                format('%s.%s: no index begins with the columns of foreign key %s', n.nspname, c.relname, k.conname)
         from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
         where k.contype = 'f' and k.conparentid = 0 and {SCHEMA} and {}
           and not exists (
               select from pg_index i where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
               and array(select unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) order by 1)
                   = array(select unnest(k.conkey) order by 1))",
        made_by_people("pg_class", "c.oid")
    );
    let proof =
        block(&[MADE_UP, "create table weir_gate_proof.t (a int primary key, b int references weir_gate_proof.t (a))"]);
    ("Every foreign key has an index", query, vec![proof])
}
