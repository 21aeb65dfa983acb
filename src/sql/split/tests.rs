use super::*;
use proptest::prelude::*;

fn texts(text: &str) -> Vec<&str> {
    split(text).iter().map(|statement| statement.of(text)).collect()
}

fn kinds(text: &str) -> Vec<Kind> {
    split(text).iter().map(|statement| statement.kind).collect()
}

#[test]
fn semicolons_that_end_nothing() {
    assert_eq!(texts("select 1; select 2"), ["select 1", "select 2"]);
    assert_eq!(texts("select ';'; -- ; \n /* ; /* ; */ ; */ select E'\\';' ;"), ["select ';'", "select E'\\';'"]);
    assert_eq!(texts("do $$ begin null; end $$; select \";\""), ["do $$ begin null; end $$", "select \";\""]);
    assert_eq!(texts("do $a$ x; $$ y; $b$ $a$; select 1").len(), 2);
    assert_eq!(texts(";;\n;"), [""; 0]);
    assert_eq!(texts("create rule r as on insert to t do (select 1; select 2); select 3").len(), 2);
}

#[test]
fn bodies_of_sql_functions() {
    let text = "create or replace function f(a int) returns int begin atomic select case a when 1 then 2 end; \
                select 2; end; select 3";
    assert_eq!(texts(text).len(), 2, "{:?}", texts(text));
    let text = "create procedure p() language sql begin atomic insert into t values (1); end; commit";
    assert_eq!(kinds(text), [Kind::Plain, Kind::Transaction]);
    // A column of this name opens no block.
    assert_eq!(texts("create function f(\"begin\" int) returns int language sql return 1; select 1").len(), 2);
}

#[test]
fn transaction_control() {
    for text in [
        "begin",
        "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "start transaction",
        "commit",
        "COMMIT AND CHAIN",
        "end",
        "End Work",
        "rollback to a",
        "abort",
        "savepoint a",
        "release a",
        "release savepoint a",
        "prepare transaction 'x'",
        "commit prepared 'x'",
        "/* x */ commit -- y\n",
        "rollback prepared 'x'",
    ] {
        assert_eq!(kinds(text), [Kind::Transaction], "{text}");
    }
    for text in [
        "do $$ begin commit; end $$",
        "create function f() returns void language plpgsql as 'begin end'",
        "prepare p as select 1",
        "select 'commit; begin'",
        "comment on table t is 'commit'",
        "select begin from t",
        "\"commit\"",
        "set transaction isolation level serializable",
    ] {
        assert_eq!(kinds(text), [Kind::Plain], "{text}");
    }
}

#[test]
fn statements_that_stand_alone() {
    for text in [
        "create index concurrently i on t (a)",
        "create unique index concurrently if not exists i on t (a)",
        "drop index concurrently i",
        "reindex index concurrently i",
        "reindex (verbose, concurrently) table t",
        "reindex schema s",
        "vacuum full t",
        "create database d",
        "drop database d",
        "alter system set work_mem = '1MB'",
        "create tablespace t location '/x'",
        "alter table t detach partition p concurrently",
        "discard all",
    ] {
        assert_eq!(kinds(text), [Kind::Alone], "{text}");
    }
    for text in [
        "create index i on t (\"concurrently\")",
        "create index i on concurrently (a)",
        "reindex table t",
        "alter table t add column concurrently int",
    ] {
        assert_eq!(kinds(text), [Kind::Plain], "{text}");
    }
    assert_eq!(kinds("copy t from stdin; copy t to stdout; copy t from '/x'"), [Kind::Copy, Kind::Copy, Kind::Plain]);
    assert_eq!(kinds("\\connect other"), [Kind::Shell]);
    assert_eq!(kinds("reset all; reset role"), [Kind::Forgets, Kind::Plain]);
}

#[test]
fn what_does_not_end_is_told() {
    for text in ["select 'a", "select \"a", "do $$ begin", "select 1; /* x", "select 1; /* x /* y */"] {
        assert!(split(text).last().unwrap().unterminated, "{text}");
    }
    assert!(split("select 'a'; -- '").iter().all(|statement| !statement.unterminated));
}

#[test]
fn comments_are_told_from_strings() {
    let text = "\u{feff}-- weir:no-tx\n/* b */ select '-- c' -- d";
    let found: Vec<_> = comments(text).iter().map(|comment| (comment.text, comment.leads)).collect();
    assert_eq!(found, [("weir:no-tx", true), ("b", true), ("d", false)]);
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}",
        Just("'it''s; x'".to_owned()),
        Just("E'\\'; -- '".to_owned()),
        Just("$$ ; ' -- $$".to_owned()),
        Just("$t$ $$ ; /* $t$".to_owned()),
        Just("\"a;\"\"b\"".to_owned()),
        Just("(1; 2)".to_owned()),
        Just("/* a ; /* ; ' */ b */".to_owned()),
        Just("-- ; ' $$ \n".to_owned()),
        Just("é €".to_owned()),
        Just("1.5".to_owned()),
    ]
}

proptest! {
    /// Statements put together with `;` between them come apart at just these places.
    #[test]
    fn what_was_joined_comes_apart(statements in prop::collection::vec(prop::collection::vec(piece(), 1..6), 0..6)) {
        let joined: Vec<String> = statements.iter().map(|pieces| format!("x {} y", pieces.join(" "))).collect();
        let text = joined.join("\n;\t");
        let expected: Vec<&str> = joined.iter().map(String::as_str).collect();
        prop_assert_eq!(texts(&text), expected);
    }

    /// Any text at all: ranges are in order, on boundaries of characters, and leave out nothing but blanks, comments
    /// and semicolons.
    #[test]
    fn nothing_is_lost(text in "[a-z;'\"$()/*\\-\\\\ \\néE€\u{feff}]{0,80}") {
        let mut at = 0;
        let mut left_out = String::new();
        for statement in split(&text) {
            prop_assert!(statement.range.start >= at);
            left_out.push_str(&text[at..statement.range.start]);
            at = statement.range.end;
        }
        left_out.push_str(&text[at..]);
        let mut broken = false;
        let meant = words(&left_out, &mut broken);
        prop_assert!(meant.iter().all(|word| word.kind == TokenKind::Semi), "{:?} of {:?}", left_out, text);
    }
}
