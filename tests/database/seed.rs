//! `db.seed`: each seed once, in a transaction, by checksum; rows from documents, fail closed.

use crate::support::postgres::Database;
use crate::support::{Ran, Workspace};

const SEED: &str = "[db.app]\nprovider = \"url\"\n[tasks.seed]\nuses = \"db.seed\"\n";
const ROWS: &str = "[db.app]\nprovider = \"url\"\n[[db.app.seed]]\nfrom = { json = \"policy.json\" }\ninto = \"policies\"\n\
    row = { version = \"$.policyVersion\", status = \"=ACTIVE\", checksum = \"sha256(jcs)\", document = \"$\" }\n\
    key = \"version\"\n[tasks.seed]\nuses = \"db.seed\"\n";
const TABLES: &str = "create table currencies (code text primary key, name text, digits int);
    create table notes (id int primary key, tags text[], body jsonb, at timestamptz);
    create table policies (version text primary key, status varchar(10) not null, checksum text not null, document jsonb)";

fn workspace(tasks: &str, files: &[(&str, &str)]) -> (Workspace, Database) {
    let (ws, database) = (Workspace::new(tasks), Database::new());
    database.sql(TABLES);
    for (path, content) in files {
        ws.write(path, content);
    }
    (ws, database)
}

fn run(ws: &Workspace, database: &Database) -> Ran {
    ws.weir(&["run", "seed"]).env("DATABASE_URL", database.url()).go()
}

#[test]
fn seeds_go_in_once_and_in_order() {
    let (ws, database) = workspace(
        SEED,
        &[
            ("schema/seeds/010_public.currencies.csv", "\u{feff}code,digits,name\nEUR,2,\"Euro, the\"\nJPY,0,\n"),
            (
                "schema/seeds/020_notes.jsonl",
                "{\"id\": 1, \"tags\": [\"a\\\"b\", null], \"body\": {\"x\": [1]}}\n{\"id\":2,\"body\":null,\"tags\":null}\n",
            ),
            (
                "schema/seeds/030_more.sql",
                "-- after the others\ninsert into currencies select 'X' || id, 'x;y', id from notes;\n",
            ),
        ],
    );
    run(&ws, &database).success().tasks("seed ran").says("3 seeds: 3 applied, 0 as they were");
    assert_eq!(database.sql("select * from currencies order by code"), "EUR|Euro, the|2\nJPY||0\nX1|x;y|1\nX2|x;y|2");
    assert_eq!(database.sql("select id, tags, body from notes order by id"), "1|{\"a\\\"b\",NULL}|{\"x\": [1]}\n2||");
    run(&ws, &database).success().tasks("seed fresh");
    // What it left is part of what counts: without it the task runs, and brings it back.
    database.sql("delete from currencies; delete from notes; delete from weir_seeds");
    run(&ws, &database).success().tasks("seed ran").says("3 applied");
    // Forced, it changes nothing.
    let forced = ws.weir(&["run", "-f", "seed"]).env("DATABASE_URL", database.url()).ok();
    forced.says("3 seeds: 0 applied, 3 as they were");
    assert_eq!(database.sql("select count(*) from currencies"), "4");
    // Formatting is no content.
    ws.write(
        "schema/seeds/020_notes.jsonl",
        "{\"body\":{\"x\":[1.0]},\"tags\":[\"a\\\"b\",null],\"id\":1}\n{\"id\":2,\"body\":null,\"tags\":null}\n",
    );
    run(&ws, &database).success().tasks("seed ran").says("0 applied, 3 as they were");
}

#[test]
fn an_edited_seed_is_an_error_that_names_both_checksums_unless_it_may_be_reapplied() {
    let (ws, database) = workspace(
        SEED,
        &[
            ("schema/seeds/1_currencies.reapply.csv", "code,name\nEUR,Euro\nUSD,Dollar\n"),
            ("schema/seeds/2_x.sql", "insert into currencies values ('A', 'a', 1)"),
            (
                "schema/seeds/3_y.sql",
                "-- weir:reapply\ninsert into currencies values ('B', 'b', 1) on conflict do nothing",
            ),
        ],
    );
    run(&ws, &database).success();
    let before = database.sql("select checksum_sha256 from weir_seeds where name = '2_x.sql'");
    ws.write("schema/seeds/1_currencies.reapply.csv", "code,name\nEUR,the Euro\nGBP,Pound\n");
    ws.write("schema/seeds/2_x.sql", "insert into currencies values ('C', 'c', 1)");
    let ran = run(&ws, &database).exit(1).says("schema/seeds/2_x.sql: it changed after it was applied").says(&before);
    ran.says("weir:reapply");
    assert_eq!(
        database.sql("select count(*) from currencies where name = 'the Euro' or code = 'C'"),
        "0",
        "nothing was done"
    );
    ws.write("schema/seeds/2_x.sql", "insert into currencies values ('A', 'a', 1)");
    run(&ws, &database).success().says("1 applied, 2 as they were");
    assert_eq!(
        database.sql("select code, name from currencies where length(code) = 3 order by 1"),
        "EUR|the Euro\nGBP|Pound\nUSD|Dollar"
    );
}

#[test]
fn what_is_no_good_is_told_with_its_place_and_leaves_nothing() {
    let (ws, database) = workspace(SEED, &[("schema/seeds/1_ok.sql", "insert into notes (id) values (1)")]);
    let cases: [(&str, &[u8], &str); 12] = [
        ("2_currencies.csv", b"code,nam\nEUR,x\n", "2_currencies.csv:1: column \"nam\""),
        (
            "2_currencies.csv",
            b"code,digits\nEUR,2\nUSD,two\n",
            "2_currencies.csv:3: invalid input syntax for type integer",
        ),
        ("2_currencies.csv", b"code,name\nEUR,Eur\xff\n", "2_currencies.csv:2: the file is not UTF-8"),
        ("2_currencies.csv", b"", "there is no header"),
        ("2_nothing.csv", b"a\n1\n", "there is no table `public.nothing`"),
        ("2_currencies.jsonl", b"{\"code\":\"A\"}\n{\"code\":\"B\"\n", "2_currencies.jsonl:2: column"),
        ("2_currencies.jsonl", b"{\"code\":\"A\",\"code\":\"B\"}\n", "the key `code` is there twice"),
        ("2_currencies.jsonl", b"{\"code\":\"A\"}\n{\"code\":\"A\"}\n", "2_currencies.jsonl:2: duplicate key"),
        ("2_a.sql", b"insert into notes (id)\n  valuse (2);", "2_a.sql:2:3: syntax error"),
        ("2_a.sql", b"insert into notes (id) values (2);\ncommit;\n", "2_a.sql:2:1: a seed can't do this: `commit`"),
        ("2_a.sql", b"-- nothing\n", "holds no statement"),
        ("2_a.txt", b"x", "`schema/seeds/2_a.txt` is no seed"),
    ];
    for (name, content, said) in cases {
        let path = format!("schema/seeds/{name}");
        ws.write(&path, content);
        run(&ws, &database).exit(1).says(said);
        ws.remove(&path);
        let left = database.sql("select (select count(*) from currencies), (select count(*) from notes where id <> 1)");
        assert_eq!(left, "0|0", "{name}");
    }
}

#[test]
fn a_row_from_a_document_fails_closed() {
    let (ws, database) =
        workspace(ROWS, &[("policy.json", "{\"policyVersion\": \"v1\", \"limits\": {\"b\": 1, \"a\": 2.0}}")]);
    run(&ws, &database).success().says("public.policies[version=v1]: added");
    let canonical = "{\"limits\":{\"a\":2,\"b\":1},\"policyVersion\":\"v1\"}";
    let row = database.sql(&format!("select status, checksum = encode(sha256('{canonical}'), 'hex') from policies"));
    assert_eq!(row, "ACTIVE|t");
    // Reformatted it is the same document; with other content it is not.
    ws.write("policy.json", "{\"limits\": {\"a\": 2, \"b\": 1},\n \"policyVersion\": \"v1\"}");
    run(&ws, &database).success().says("0 applied, 1 as they were");
    ws.write("policy.json", "{\"limits\": {\"a\": 3, \"b\": 1}, \"policyVersion\": \"v1\"}");
    let ran = run(&ws, &database).exit(1).says("the row `public.policies[version=v1]` is there with other content");
    ran.says("\"a\": 2").says("\"a\": 3");
    for (content, said) in [
        ("{\"limits\": 1}", "has nothing at `$.policyVersion`: `$` has no `policyVersion`, only `limits`"),
        ("{\"policyVersion\": \"v2\"", "is not valid JSON"),
        ("{\"policyVersion\": \"\"}", "gives the key `version` no value"),
    ] {
        ws.write("policy.json", content);
        ws.write("schema/seeds/1_x.sql", "insert into notes (id) values (9)");
        run(&ws, &database).exit(1).says(said);
        assert_eq!(database.sql("select count(*) from notes"), "0", "nothing is written before all is judged");
    }
    assert_eq!(database.sql("select count(*) from policies"), "1");
}

#[test]
fn a_document_in_a_variable_is_keyed_and_not_shown() {
    let (ws, database) = workspace(&ROWS.replace("json = \"policy.json\"", "env = \"POLICY\""), &[]);
    let run = |policy: Option<&str>| {
        let weir = ws.weir(&["run", "seed"]).env("DATABASE_URL", database.url());
        policy.into_iter().fold(weir, |weir, policy| weir.env("POLICY", policy)).go()
    };
    run(None).exit(1).says("the variable `POLICY` is not set");
    run(Some("{\"policyVersion\": \"v1\", \"s\": \"hidden-1\"}")).success().tasks("seed ran");
    run(Some("{\"policyVersion\": \"v1\", \"s\": \"hidden-1\"}")).success().tasks("seed fresh");
    let ran = run(Some("{\"policyVersion\": \"v1\", \"s\": \"hidden-2\"}")).exit(1).says("other content");
    ran.says_nothing_of("hidden-");
}
