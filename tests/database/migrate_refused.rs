//! What `db.migrate` refuses before it applies anything, and what it says when a statement fails.

use super::migrating::Site;
use crate::support::{Ran, Workspace};

const A: (&str, &str) = ("0001_a", "create table a (id int primary key);");

/// Refused, with nothing applied of what is new: `b` is not there.
fn refused(site: &Site, says: &[&str]) -> Ran {
    let ran = site.run().exit(1).tasks("migrate failed, after skipped");
    let shown = ran.shown();
    for text in says {
        assert!(shown.contains(text), "`{text}` is not said: {shown}");
    }
    assert!(!site.has("b"), "{shown}");
    ran
}

/// A site on which `0001_a` is applied.
fn applied() -> Site {
    let site = Site::new(&[A]);
    site.run().success();
    site
}

#[test]
fn an_applied_file_was_edited() {
    let site = applied();
    let before = site.database.sql("select checksum_sha256 from schema_migrations");
    site.file("0001_a", "create table a (id bigint primary key);");
    site.file("0002_b", "create table b (id int);");
    let now = weir::model::Digest::of(b"create table a (id bigint primary key);").to_hex();
    refused(&site, &["schema/migrations/0001_a.sql:1: it was edited", &before, &now, "undo the edit"]);
    site.file("0001_a", A.1);
    site.run().success();
    assert!(site.has("b"));
}

#[test]
fn an_applied_file_is_gone_or_renamed() {
    let site = applied();
    site.file("0002_b", "create table b (id int);");
    site.ws.rename("schema/migrations/0001_a.sql", "schema/migrations/0001_other.sql");
    refused(&site, &["0001_other.sql:1: it was renamed after it was applied as `0001_a`"]);
    site.ws.remove("schema/migrations/0001_other.sql");
    refused(&site, &["`0001_a` was applied at", "its file is gone"]);
}

#[test]
fn a_new_file_is_older_than_the_newest_applied() {
    let site = Site::new(&[("0005_a", "create table a (id int);")]);
    site.run().success();
    site.file("0003_b", "create table b (id int);");
    refused(&site, &["0003_b.sql:1: it is new, and older than the newest applied, `0005_a`", "`0006_b.sql`"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let site = applied();
    site.file("0001_a", "edited");
    site.file("0002_b", "begin; create table b (id int);\ncommit;");
    refused(&site, &["it was edited"]);
    site.file("0001_a", A.1);
    refused(&site, &["0002_b.sql:1:1: `begin` begins or ends", "0002_b.sql:2:1: `commit` begins", "(and 1 more)"]);
}

#[test]
fn two_files_of_one_version_and_names_that_do_not_fit() {
    let site = Site::new(&[A, ("00001_b", "create table b (id int);")]);
    refused(&site, &["00001_b.sql", "have the same version", "0001_a.sql"]);
    for name in ["2_b.sql", "0002b.sql", "0002_b.sql.orig", "b.sql", "0002_.sql"] {
        let site = Site::new(&[A]);
        site.ws.write(&format!("schema/migrations/{name}"), "create table b (id int);");
        refused(&site, &[&format!("schema/migrations/{name}` is no migration"), "NNNN_description.sql"]);
        assert!(!site.has("a"));
    }
}

#[test]
fn transaction_control_is_found_by_parsing() {
    for (text, at) in [
        ("create table b (id int);\n  COMMIT;", "2:3"),
        ("create table b (id int); /* x */ start transaction;", "1:34"),
        ("savepoint a; create table b (id int);", "1:1"),
        ("create table b (id int);\nend;", "2:1"),
        ("create table b (id int);\nprepare transaction 'x';", "2:1"),
        ("-- weir:no-tx\nbegin;\ncreate table b (id int);\ncommit", "2:1"),
    ] {
        let site = Site::new(&[("0002_b", text)]);
        refused(&site, &[&format!("0002_b.sql:{at}: `"), "begins or ends a transaction"]);
    }
    let site = Site::new(&[(
        "0001_b",
        "create function f() returns int language plpgsql as $$ begin return 1; end $$;\n\
         create function g() returns int begin atomic; select 1; end;\n\
         do $$ begin perform f(); exception when others then null; end $$;\n\
         create table b (id int); comment on table b is 'commit; begin';",
    )]);
    site.run().success();
}

/// Where strings know backslashes, a text that weir takes for one string holds a COMMIT for the server.
#[test]
fn a_commit_that_is_hidden_in_a_string() {
    let hidden = "create table b (id int); select 'a\\'b'; commit; select 'c\\'d';";
    let site = Site::new(&[("0001_a", "set standard_conforming_strings = off;"), ("0002_b", hidden)]);
    site.database.sql(&format!("alter database \"{}\" set standard_conforming_strings = off", site.database.name));
    refused(&site, &["0002_b.sql:1:", "syntax error"]);
    assert_eq!(site.ledger(), "1|a");
}

/// And should the transaction be another one all the same, then its row is not written.
#[test]
fn a_row_of_the_ledger_needs_the_transaction_that_weir_began() {
    let site = Site::new(&[("0001_b", "create table b (id int); select set_config('weir.migration', '', true);")]);
    refused(&site, &["schema/migrations/0001_b.sql: it ended the transaction that weir began for it"]);
    assert_eq!(site.ledger(), "");
    let site = Site::new(&[("0001_b", "do $$ begin commit; end $$; create table b (id int);")]);
    refused(&site, &["invalid transaction termination", "0001_b.sql:1:"]);
}

#[test]
fn what_can_not_run_in_a_transaction_or_in_a_file() {
    for (text, says) in [
        (
            "create table b (id int);\ncreate index concurrently i on b (id);",
            "0001_b.sql:2:1: `create index concurrently i on b (id)` can't run in a transaction",
        ),
        ("vacuum", "`-- weir:no-tx`"),
        ("copy b from stdin;\n1\n\\.\n", "needs a client that sends the rows"),
        ("\\i other.sql", "is a command of psql"),
        ("-- nothing here\n", "0001_b.sql:1: it holds no statement"),
    ] {
        refused(&Site::new(&[("0001_b", text)]), &[says]);
    }
    let site = Site::new(&[("0001_b", "create table b (id int);\n-- weir:no-tx\nvacuum;")]);
    refused(&site, &["0001_b.sql:2: `-- weir:no-tx` stands after the first statement"]);
}

#[test]
fn a_folder_that_is_empty_missing_or_unreadable() {
    let site = Site::new(&[]);
    refused(&site, &["failed to read the migrations folder `schema/migrations`: No such file", "weir db new"]);
    std::fs::create_dir_all(site.ws.path("schema/migrations")).unwrap();
    refused(&site, &["there is no migration in `schema/migrations`", "weir db new"]);
    site.ws.remove_folder_and_write("schema/migrations");
    refused(&site, &["failed to read the migrations folder `schema/migrations`: Not a directory"]);
}

trait More {
    fn remove_folder_and_write(&self, path: &str);
}

impl More for Workspace {
    fn remove_folder_and_write(&self, path: &str) {
        std::fs::remove_dir(self.path(path)).unwrap();
        self.write(path, "a file");
    }
}

#[test]
fn a_file_that_is_not_text() {
    let site = Site::new(&[A]);
    site.file("0002_b", b"create table b (id int);\n-- caf\xe9\n");
    refused(&site, &["`schema/migrations/0002_b.sql` is not UTF-8: line 2, byte 31"]);
    site.file("0002_b", "create table b (id int);\n\0");
    refused(&site, &["holds a zero byte in line 2"]);
    site.ws.remove("schema/migrations/0002_b.sql");
    std::fs::create_dir(site.ws.path("schema/migrations/0002_b.sql")).unwrap();
    refused(&site, &["0002_b.sql` is not a file"]);
    std::fs::remove_dir(site.ws.path("schema/migrations/0002_b.sql")).unwrap();
    site.ws.link("nowhere.sql", "schema/migrations/0002_b.sql");
    let ran = site.run();
    assert_ne!(ran.code, 0, "{}", ran.shown());
    ran.says("0002_b.sql");
    assert!(!site.has("a"), "nothing is applied");
}

#[test]
fn objects_without_a_ledger() {
    let site = Site::new(&[A]);
    site.database.sql("create table theirs (id int); create function f() returns int language sql as 'select 1'");
    refused(&site, &["database `app` holds `public.f`, `public.theirs`, and no ledger", "weir db adopt --up-to"]);
    assert!(!site.has("schema_migrations") && !site.has("weir_database"), "nothing is written");
    // An extension's are nobody's.
    let site = Site::new(&[A]);
    site.database.sql("create schema empty; create extension if not exists plpgsql");
    site.run().success();
}

#[test]
fn a_ledger_of_another_tool_is_left_alone() {
    let site = Site::new(&[A]);
    site.database.sql("create table schema_migrations (version varchar primary key)");
    refused(&site, &["`public.schema_migrations` is no ledger of weir", "ledger = \"public.weir_migrations\""]);
    assert_eq!(site.database.sql("select count(*) from schema_migrations"), "0");
}

#[test]
fn a_syntax_error_in_line_40() {
    let mut text: String = (1..=38).map(|line| format!("create table t{line} (id int); -- ü\n")).collect();
    text.push_str("create table u (\n\tid int, näme tex,, x int\n);\nselect 1;\n");
    let site = Site::new(&[("0001_a", "create table a (id int);"), ("0002_b", &text)]);
    site.run()
        .exit(1)
        .tasks("migrate failed, after skipped")
        .says("0002_b.sql:40:19: syntax error at or near \",\" (SQLSTATE 42601)")
        .says(" 39 | create table u (\n 40 |     id int, näme tex,, x int\n    |                      ^ syntax error")
        .says("nothing of `0002_b` stays applied");
    assert_eq!(site.ledger(), "1|a");
    assert!(!site.has("t1"));
    site.file("0002_b", text.replace("tex,,", "text,"));
    site.run().success();
    assert!(site.has("u"));
}

#[test]
fn errors_without_a_position_name_their_statement() {
    let site = Site::new(&[(
        "0001_a",
        "create table a (id int primary key);\ninsert into a values (1);\n\n  insert into a\n  values (1);\nselect 1;",
    )]);
    site.run()
        .exit(1)
        .says("0001_a.sql:4:3: duplicate key value violates unique constraint \"a_pkey\" (SQLSTATE 23505)")
        .says("detail:  Key (id)=(1) already exists.");
}

#[test]
fn errors_inside_functions_and_blocks() {
    let site = Site::new(&[(
        "0001_a",
        "create function f(n int) returns int language plpgsql as $$\nbegin\n  return (select n / 0 from nowhere);\nend $$;\n\
         select 1;\nselect f(1);",
    )]);
    site.run()
        .exit(1)
        .says("0001_a.sql:6:1: relation \"nowhere\" does not exist (SQLSTATE 42P01)")
        .says("in: (select n / 0 from nowhere)")
        .says("context: PL/pgSQL function f(integer) line 3 at RETURN");
    let site = Site::new(&[(
        "0001_a",
        "select 1;\ndo $$\nbegin\n  perform 1;\n    raise exception 'no %', 'way' using hint = 'go home', detail = 'd';\nend $$;",
    )]);
    site.run()
        .exit(1)
        .says("0001_a.sql:5:5: no way (SQLSTATE P0001)")
        .says("5 |     raise exception")
        .says("go home")
        .says("detail:  d");
}

#[test]
fn a_constraint_that_is_checked_at_the_end() {
    let site = Site::new(&[(
        "0001_a",
        "create table a (id int primary key, b int references a deferrable initially deferred);\ninsert into a values (1, 2);",
    )]);
    site.run().exit(1).says("violates foreign key constraint").says("nothing of `0001_a` stays applied");
    assert_eq!(site.ledger(), "");
}
