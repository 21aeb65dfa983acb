//! Several files.

use super::*;

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.config.tasks.iter().map(|task| task.name.as_str()).collect()
}

#[test]
fn names_folders_and_variables_of_included_files() {
    let loaded = load_files(
        &[
            (
                "tasks.toml",
                "version = 1\ninclude = ['infra/tasks.toml', 'services/*/tasks.toml', 'more.toml']\n[env]\nA = 'root'\nB = 'root'\n[settings]\nshell = ['sh', '-c']\n[profile.p.env]\nB = 'root-p'\n[tasks.t]\nrun = 'x'",
            ),
            ("more.toml", "[tasks.m]\nrun = 'x'"),
            (
                "infra/tasks.toml",
                "version = 1\ninclude = 'deep/tasks.toml'\n[env]\nA = 'infra'\nB = 'infra'\n[tasks.up]\nrun = 'x'\nsources = ['../schema/*.sql', 'a']\ndir = '.'\n[profile.p.tasks.up]\nquiet = true",
            ),
            ("infra/deep/tasks.toml", "[env]\nA = 'deep'\n[tasks.d]\nrun = 'x'"),
            ("services/b/tasks.toml", "[tasks.test]\nrun = 'x'"),
            ("services/a/tasks.toml", "[tasks.test]\nrun = 'x'"),
            ("services/.hidden/tasks.toml", "[tasks.test]\nrun = 'x'"),
        ],
        &["p"],
    );
    assert_eq!(said(&loaded), Vec::<String>::new());
    assert_eq!(names(&loaded), ["t", "infra:up", "infra/deep:d", "services/a:test", "services/b:test", "m"]);
    let files: Vec<&str> = loaded.config.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        files,
        [
            "tasks.toml",
            "infra/tasks.toml",
            "infra/deep/tasks.toml",
            "services/a/tasks.toml",
            "services/b/tasks.toml",
            "more.toml"
        ]
    );
    let up = named(&loaded.config, "infra:up");
    assert_eq!(
        (up.env["A"].as_str(), up.env["B"].as_str()),
        ("infra", "root-p"),
        "a profile is stronger than any [env]"
    );
    assert!(up.quiet && up.shell == ["sh", "-c"] && up.dir.value.as_str() == "infra");
    let sources: Vec<String> = up.sources.as_ref().unwrap().value.iter().map(|p| p.value.full()).collect();
    assert_eq!(sources, ["schema/*.sql", "infra/a"]);
    assert_eq!(under(&loaded.config, up.at), "up");
    assert_eq!(named(&loaded.config, "infra/deep:d").env["A"], "deep");
    assert_eq!(named(&loaded.config, "services/a:test").env["A"], "root");
}

/// Paths and texts.
type Files = &'static [(&'static str, &'static str)];

/// The root's include, further files, and what is said of it.
const BAD: &[(&str, Files, &str)] = &[
    (
        "'servics/api/tasks.toml'",
        &[("services/api/tasks.toml", "")],
        "config::bad-include «'servics/api/tasks.toml'» there is no file `servics/api/tasks.toml` / did you mean `services`?",
    ),
    (
        "'services/web/tasks.toml'",
        &[("services/api/tasks.toml", "")],
        "config::bad-include «'services/web/tasks.toml'» there is no file `services/web/tasks.toml` / `services` exists, and holds no `web`",
    ),
    (
        "'infra'",
        &[("infra/tasks.toml", "")],
        "config::bad-include «'infra'» `infra` is a directory / name the file: `infra/tasks.toml`",
    ),
    (
        "'../x.toml'",
        &[],
        "config::bad-include «'../x.toml'» `../x.toml` is a path outside the workspace / write a path inside the workspace, relative to the folder of this file",
    ),
    ("'a/*.toml'", &[], "config::empty-include «'a/*.toml'» `a/*.toml` matches no file"),
    ("'!a'", &[], "config::bad-include «'!a'» `!a`: `include` takes no negations / list the files to include instead"),
    ("'a['", &[], "config::bad-include «'a['»"),
    (
        "'tasks.toml'",
        &[],
        "config::include-cycle «'tasks.toml'» files include each other: `tasks.toml` → `tasks.toml` / remove one of these includes",
    ),
    (
        "'a/t.toml'",
        &[("a/t.toml", "include = 'b.toml'"), ("a/b.toml", "include = '../tasks.toml'")],
        "config::include-cycle «'../tasks.toml'» files include each other: `tasks.toml` → `a/t.toml` → `a/b.toml` → `tasks.toml` / remove one of these includes",
    ),
    (
        "['a.toml', './a.toml']",
        &[("a.toml", "")],
        "config::included-twice «'./a.toml'» «'a.toml'» `a.toml` is included twice / remove one of the two",
    ),
    (
        "'a.toml'",
        &[("a.toml", "[tasks.t]\nrun = 'y'")],
        "config::duplicate-task «t» «t» `t` is declared twice / rename one of them, or move its file to another folder",
    ),
    (
        "'a/x.toml'",
        &[("a/x.toml", "[settings]\njobs = 1")],
        "config::root-only «settings» `settings` in an included file / move it to the `tasks.toml` of the workspace root",
    ),
    (
        "'a/x.toml'",
        &[("a/x.toml", "[profile.p.settings]\njobs = 1")],
        "config::root-only «settings» `settings` in a profile of an included file / move it to the `tasks.toml` of the workspace root",
    ),
    (
        "'a/x.toml'",
        &[("a/x.toml", "version = 2")],
        "config::newer-version «2» version `2` is written for a newer weir / use a newer weir, or write `version = 1`",
    ),
    (
        "'a b/x.toml'",
        &[("a b/x.toml", "")],
        "config::bad-include «'a b/x.toml'» the folder `a b` can't stand in the names of tasks: it holds ` ` / rename the folder: tasks of included files are called `FOLDER:TASK`",
    ),
];

#[test]
fn bad_includes_say_where_and_what() {
    for (include, files, expected) in BAD {
        let root = format!("version = 1\ninclude = {include}\n[tasks.t]\nrun = 'x'");
        let mut all = vec![("tasks.toml", root.as_str())];
        all.extend_from_slice(files);
        let loaded = load_files(&all, &[]);
        let said = said(&loaded);
        assert_eq!(said.len(), 1, "{include}: {said:#?}");
        assert!(said[0].starts_with(expected), "{said:#?}\nexpected {expected}");
        assert_eq!(names(&loaded)[0], "t", "what can be read is there");
        assert_eq!(loaded.has_errors(), !expected.starts_with("config::empty-include"));
    }
}

#[test]
fn globs_that_match_their_own_file_skip_it() {
    let loaded = load_files(
        &[
            ("tasks.toml", "version = 1\ninclude = '**/tasks.toml'"),
            ("a/b/tasks.toml", "[tasks.t]\nrun = 'x'"),
            ("c/tasks.toml", ""),
        ],
        &[],
    );
    assert_eq!((said(&loaded), names(&loaded)), (vec![], vec!["a/b:t"]));
    let braces = load_files(
        &[
            ("tasks.toml", "version = 1\ninclude = '{a/b,c}/tasks.toml'"),
            ("a/b/tasks.toml", "[tasks.t]\nrun = 'x'"),
            ("c/tasks.toml", ""),
        ],
        &[],
    );
    assert_eq!((said(&braces), braces.config.files.len()), (vec![], 3));
}

#[test]
fn a_folder_prefix_can_clash_with_a_name() {
    let loaded = load_files(
        &[
            ("tasks.toml", "version = 1\ninclude = 'infra/tasks.toml'\n[tasks.'infra:up']\nrun = 'x'"),
            ("infra/tasks.toml", "[tasks.up]\nrun = 'x'"),
        ],
        &[],
    );
    assert!(said(&loaded)[0].starts_with("config::duplicate-task «up» «'infra:up'» `infra:up` is declared twice"));
}

#[test]
fn diagnostics_are_sorted_by_file_and_place() {
    let loaded = load_files(
        &[
            ("tasks.toml", "version = 1\ninclude = 'a/x.toml'\n[tasks.t]\nrun = 3"),
            ("a/x.toml", "zzz = 1\n[tasks.t]\nrun = 3"),
        ],
        &["nope"],
    );
    let places: Vec<_> = loaded.diagnostics.iter().map(|d| d.labels.first().map(|label| label.at)).collect();
    assert_eq!(places.len(), 4);
    assert!(places.is_sorted());
}

#[test]
fn an_included_file_that_is_no_text_is_reported_at_the_include() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tasks.toml"), "version = 1\ninclude = 'a.toml'").unwrap();
    std::fs::write(dir.path().join("a.toml"), b"\xff").unwrap();
    let loaded = load(&dir.path().join("tasks.toml"), &[], &crate::config::Looked::default());
    assert_eq!(
        said(&loaded),
        ["config::not-utf8 «'a.toml'» `a.toml` is not UTF-8: byte 0, on line 1 / save the file as UTF-8"]
    );
}
