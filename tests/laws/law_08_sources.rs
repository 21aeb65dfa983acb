//! Law 8: which files are sources, and what of them counts.

use crate::support::Workspace;
use std::time::{Duration, SystemTime};

/// A task `t` with these sources, in TOML.
fn with(sources: &str) -> Workspace {
    Workspace::new(&format!("[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = {sources}"))
}

fn settle(ws: &Workspace) {
    ws.run("t");
    ws.run("t").tasks("t fresh");
}

/// After this change `t` runs, once.
fn reruns(ws: &Workspace, what: &str, change: impl FnOnce()) {
    settle(ws);
    change();
    let ran = ws.run("t");
    assert_eq!(ran.outcome("t"), "ran", "{what} reran nothing");
    ws.run("t").tasks("t fresh");
}

/// After this change `t` is fresh.
fn reruns_nothing(ws: &Workspace, what: &str, change: impl FnOnce()) {
    settle(ws);
    change();
    let ran = ws.run("t");
    assert_eq!(ran.outcome("t"), "fresh", "{what} reran it: {:?}", ran.reasons("t"));
}

fn long_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(1 << 20)
}

#[test]
fn content_decides() {
    for sources in [
        "['src']",
        "['src/**']",
        "['src/**/*.rs']",
        "['src/a/b.rs']",
        "['src/{a,c}/*.rs']",
        "['**/*.rs']",
        "['src/?/[a-c].rs']",
    ] {
        let ws = with(sources);
        ws.write("src/a/b.rs", "one");
        reruns_nothing(&ws, "touch", || ws.set_modified("src/a/b.rs", SystemTime::now()));
        reruns_nothing(&ws, "the same written again", || ws.write("src/a/b.rs", "one"));
        reruns_nothing(&ws, "a new inode with the same content", || {
            ws.write("fresh", "one");
            ws.rename("fresh", "src/a/b.rs");
        });
        reruns(&ws, "other content", || ws.write("src/a/b.rs", "another"));
    }
}

#[test]
fn a_same_size_edit_with_an_old_time_reruns() {
    let ws = with("['src']");
    ws.write("src/a", "one");
    ws.set_modified("src/a", long_ago());
    settle(&ws);
    let before = ws.modified("src/a");
    reruns(&ws, "a same-size edit with the old time", || {
        ws.write("src/a", "two");
        ws.set_modified("src/a", before);
    });
    assert_eq!(ws.modified("src/a"), before);
    reruns(&ws, "the same by a new file", || {
        ws.write("fresh", "six");
        ws.set_modified("fresh", before);
        ws.rename("fresh", "src/a");
    });
}

#[test]
fn edits_of_one_size_right_after_each_other_rerun() {
    // As fast as it goes: the clock that stamps files ticks slowly.
    let ws = with("['src']");
    ws.write("src/a", "00");
    ws.run("t");
    for round in 1..15 {
        ws.write("src/a", format!("{round:02}"));
        ws.run("t").tasks("t ran");
    }
}

#[test]
fn chmod_rename_add_and_delete_rerun() {
    for sources in ["['src']", "['src/**']", "['src/*/*']"] {
        let ws = with(sources);
        ws.write("src/d/a", "one");
        reruns(&ws, "chmod +x", || ws.chmod("src/d/a", 0o755));
        reruns(&ws, "chmod -x", || ws.chmod("src/d/a", 0o644));
        reruns(&ws, "a rename", || ws.rename("src/d/a", "src/d/b"));
        reruns(&ws, "a new file", || ws.write("src/d/c", ""));
        reruns(&ws, "a new folder with a file", || ws.write("src/e/a", ""));
        reruns(&ws, "a deleted file", || ws.remove("src/d/c"));
        reruns(&ws, "a renamed folder", || ws.rename("src/d", "src/f"));
    }
}

#[test]
fn a_folder_stands_for_all_that_is_below() {
    let ws = with("['src']");
    ws.write("src/a/b/c/deep", "one");
    reruns(&ws, "an edit far below", || ws.write("src/a/b/c/deep", "two"));
    reruns(&ws, "a new file far below", || ws.write("src/a/b/c/new", ""));
}

#[test]
fn a_glob_takes_what_it_matches_and_nothing_else() {
    let ws = with("['src/*.rs', 'src/x/**/*.rs', 'top.{a,b}']");
    for file in ["src/a.rs", "src/x/y/z.rs", "top.a", "top.b"] {
        ws.write(file, "one");
    }
    reruns_nothing(&ws, "files that no glob matches", || {
        for file in ["src/a.txt", "src/sub/a.rs", "src/x/a.txt", "top.c", "other/src/a.rs", "src/a.rs.bak"] {
            ws.write(file, "");
        }
    });
    for file in ["src/a.rs", "src/x/y/z.rs", "top.a", "top.b"] {
        reruns(&ws, file, || ws.write(file, "two"));
    }
    reruns(&ws, "`**` matches no folder too", || ws.write("src/x/a.rs", ""));
}

#[test]
fn a_negation_takes_away() {
    let ws = with("['src', '!src/gen', '!src/**/*.md', '!src/one']");
    ws.write("src/a", "one");
    reruns_nothing(&ws, "what is taken away", || {
        for file in ["src/gen/a", "src/x/readme.md", "src/one", "src/readme.md"] {
            ws.write(file, "");
        }
    });
    reruns(&ws, "what is left", || ws.write("src/x/a", ""));
}

#[test]
fn globs_and_folders_honour_ignore_files_below_their_prefix() {
    for sources in ["['src']", "['src/**']", "['**/*.rs', '**/*.log']"] {
        let ws = with(sources);
        ws.write(".gitignore", "*.log\n/src/build/\n!important.log\n");
        ws.write("src/.ignore", "local.rs\n");
        ws.write("src/a.rs", "one");
        ws.write("src/important.log", "");
        reruns_nothing(&ws, "what is ignored", || {
            for file in ["src/a.log", "src/x/a.log", "src/build/a.rs", "src/local.rs"] {
                ws.write(file, "");
            }
        });
        reruns(&ws, "what an exception takes back", || ws.write("src/important.log", "two"));
        reruns(&ws, "what is ignored no more", || ws.write("src/.ignore", ""));
    }
}

#[test]
fn ignore_files_further_down_win() {
    let ws = with("['src']");
    ws.write(".gitignore", "*.gen\n");
    ws.write("src/keep/.gitignore", "!*.gen\n");
    ws.write("src/keep/a.gen", "one");
    ws.write("src/drop/a.gen", "one");
    reruns_nothing(&ws, "an ignored file", || ws.write("src/drop/a.gen", "two"));
    reruns(&ws, "a file taken back further down", || ws.write("src/keep/a.gen", "two"));
}

#[test]
fn the_users_own_ignore_files_do_not_count() {
    let ws = with("['src']");
    ws.write("src/a", "one");
    ws.write("src/mine.tmp", "one");
    std::fs::create_dir_all(ws.outside("home/.config/git")).unwrap();
    std::fs::write(ws.outside("home/.config/git/ignore"), "*.tmp\n").unwrap();
    std::fs::write(ws.outside("home/.gitignore"), "*.tmp\n").unwrap();
    std::fs::write(ws.outside("home/.gitconfig"), "[core]\n\texcludesFile = ~/.gitignore\n").unwrap();
    std::fs::write(ws.outside(".gitignore"), "*.tmp\n").unwrap();
    ws.write(".git/info/exclude", "*.tmp\n");
    reruns(&ws, "a file that only the user ignores", || ws.write("src/mine.tmp", "two"));
}

#[test]
fn a_prefix_that_is_itself_ignored_takes_everything() {
    for sources in ["['build/gen']", "['build/gen/**']", "['build/gen/*.rs']", "['build/**/*.rs']"] {
        let ws = with(sources);
        ws.write(".gitignore", "build/\n*.rs\n");
        ws.write("build/gen/a.rs", "one");
        reruns(&ws, sources, || ws.write("build/gen/a.rs", "two"));
        reruns(&ws, sources, || ws.write("build/gen/b.rs", ""));
    }
}

#[test]
fn a_literal_path_that_is_ignored_is_taken() {
    let ws = with("['src', '.env', 'src/local.cfg']");
    ws.write(".gitignore", ".env\n*.cfg\n");
    ws.write("src/a", "");
    ws.write(".env", "one");
    ws.write("src/local.cfg", "one");
    reruns(&ws, "an ignored file named in full", || ws.write(".env", "two"));
    reruns(&ws, "an ignored file named in full, in a folder that is taken", || ws.write("src/local.cfg", "two"));
    reruns_nothing(&ws, "an ignored file beside it", || ws.write("src/other.cfg", ""));
}

#[test]
fn dotfiles_are_included() {
    for sources in ["['src']", "['src/**']", "['src/*', 'src/.hidden/*']", "['**']"] {
        let ws = with(sources);
        ws.write("src/.dot", "one");
        ws.write("src/.hidden/a", "one");
        reruns(&ws, "a dotfile", || ws.write("src/.dot", "two"));
        reruns(&ws, "a file in a dot folder", || ws.write("src/.hidden/a", "two"));
    }
}

#[test]
fn git_and_weir_folders_are_never_included() {
    for sources in ["['.']", "['**']", "['sub', 'sub/**/*']", "['**/HEAD', 'sub/a']"] {
        let ws = with(sources);
        ws.write("sub/a", "one");
        ws.write(".git/HEAD", "one");
        ws.write("sub/.git/HEAD", "one");
        ws.write("sub/.weir/state", "one");
        // `**/HEAD` needs something to match.
        ws.write("sub/HEAD", "one");
        reruns_nothing(&ws, sources, || {
            ws.write(".git/HEAD", "two");
            ws.write(".git/index", "");
            ws.write("sub/.git/HEAD", "two");
            ws.write("sub/.weir/state", "two");
        });
    }
}

#[test]
fn a_source_inside_an_upstream_tasks_outputs_is_matched_after_that_task() {
    for sources in ["['gen']", "['gen/**']", "['gen/a']", "['in', 'gen/*']"] {
        let ws = Workspace::new(&format!(
            "[tasks.gen]\nrun = 'rm -rf gen; mkdir gen; for f in $(cat in); do echo $f > gen/$f; done'\nsources = ['in']\noutputs = ['gen']\n\
             [tasks.t]\nrun = 'cat gen/* >> ../t.ran'\nsources = {sources}\ndepends = ['gen']"
        ));
        ws.write("in", "a b");
        ws.run("t").tasks("gen ran, t ran");
        ws.run("t").tasks("gen fresh, t fresh");
        ws.write("in", "a c");
        ws.run("t").tasks("gen ran, t ran");
        assert_eq!(std::fs::read_to_string(ws.outside("t.ran")).unwrap(), "a\nb\na\nc\n", "{sources}");
        // Restored, not run: the sources are those that were restored.
        std::fs::remove_dir_all(ws.path("gen")).unwrap();
        ws.run("t").tasks("gen hit, t fresh");
    }
}

#[test]
fn a_symlink_counts_by_its_target_and_the_content_behind_it() {
    for sources in ["['src']", "['src/link']", "['src/l*']"] {
        let ws = with(sources);
        ws.write("src/a", "");
        ws.write("one", "same");
        ws.write("two", "same");
        ws.link("../one", "src/link");
        reruns(&ws, "other content behind it", || ws.write("one", "else"));
        reruns_nothing(&ws, "what it does not point to", || ws.write("two", "else"));
        reruns(&ws, "another target with the same content", || ws.link("../two", "src/link"));
        reruns(&ws, "the content in place of the symlink", || {
            ws.remove("src/link");
            ws.write("src/link", "else");
        });
    }
}

#[test]
fn a_symlink_that_leaves_the_workspace_counts_by_its_content_too() {
    let ws = with("['src']");
    ws.write("src/a", "");
    std::fs::write(ws.outside("far"), "one").unwrap();
    ws.link("../../far", "src/link");
    reruns(&ws, "content outside the workspace", || std::fs::write(ws.outside("far"), "two").unwrap());
    reruns(&ws, "its end", || std::fs::remove_file(ws.outside("far")).unwrap());
}

#[test]
fn a_symlink_to_a_folder_counts_by_all_that_is_behind_it() {
    for sources in ["['src']", "['src/link']", "['src/link/**']"] {
        let ws = with(sources);
        ws.write("lib/x/a", "one");
        std::fs::create_dir(ws.path("src")).unwrap();
        ws.link("../lib", "src/link");
        reruns(&ws, "an edit behind it", || ws.write("lib/x/a", "two"));
        reruns(&ws, "a new file behind it", || ws.write("lib/x/b", ""));
    }
}

#[test]
fn a_symlink_that_leads_back_to_itself_is_an_error() {
    let ws = with("['src']");
    ws.write("src/a", "");
    ws.link("../src", "src/link");
    let ran = ws.try_run("t").says("`src/link`").says("help:");
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.shown());
    assert_eq!(ws.count("t"), 0);
}

#[test]
fn a_source_that_matches_nothing_is_an_error_with_the_nearest_path_as_help() {
    for (source, help) in [
        ("srcs/*.rs", "did you mean `src`?"),
        ("src/lib/mian.rs", "did you mean `src/lib/main.rs`?"),
        ("src/lib/deep/er/*.rs", "the nearest path that exists is `src/lib`"),
        ("src/lib/*.txt", "`src/lib` exists, but nothing in it matches"),
        ("nowhere/at/all", "there is no `nowhere` in the workspace"),
    ] {
        let ws = Workspace::new(&format!(
            "[tasks.first]\nrun = 'echo x >> ../first.ran'\n\
             [tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = ['src', '{source}']\n\
             [tasks.all]\ndepends = ['first', 't']"
        ));
        ws.write("src/lib/main.rs", "");
        ws.try_run("all").exit(2).says(&format!("source `{source}` matches nothing")).says(help).says("tasks.toml:");
        assert_eq!((ws.count("t"), ws.count("first")), (0, 0));
    }
}

#[test]
fn a_source_that_a_dependency_did_not_make_after_all_fails_the_task() {
    let ws = Workspace::new(
        "[tasks.gen]\nrun = 'mkdir -p gen; touch gen/a'\nsources = []\noutputs = ['gen']\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = ['gen/*.rs']\ndepends = ['gen']",
    );
    let ran = ws.try_run("t").exit(1).tasks("gen ran, t failed").says("source `gen/*.rs` matches nothing");
    assert_eq!(ran.failure("t"), "inputs");
    assert_eq!(ws.count("t"), 0);
}

#[test]
fn paths_are_relative_to_the_folder_of_the_declaring_file() {
    let ws = Workspace::new("include = ['api/tasks.toml']");
    ws.write(
        "api/tasks.toml",
        "[tasks.t]\nrun = 'echo x >> ../t.ran; cp api/src/a api/out'\ndir = '..'\nsources = ['src']\noutputs = ['out']",
    );
    ws.write("api/src/a", "one");
    ws.write("src/a", "one");
    ws.run("api:t").tasks("api:t ran");
    ws.write("src/a", "two");
    ws.run("api:t").tasks("api:t fresh");
    ws.write("api/src/a", "two");
    ws.run("api:t").tasks("api:t ran");
}

#[test]
fn names_of_any_kind_are_told_apart() {
    let names = [
        "a b",
        "it's",
        "\"quoted\"",
        "new\nline",
        "\u{fc}n\u{ef}",
        "u\u{308}",
        "-dash",
        "back\\slash",
        "*",
        "[a]",
        "{a}",
        "!a",
        "a!",
        "~",
        "$HOME",
    ];
    let ws = with("['src']");
    ws.write("src/a", "");
    ws.run("t");
    for content in ["one", "two"] {
        for name in names {
            ws.write(&format!("src/{name}"), content);
            ws.run("t").tasks("t ran");
        }
    }
    ws.run("t").tasks("t fresh");
}

#[test]
fn an_escaped_glob_character_stands_for_itself() {
    let ws = with("['src/\\[id\\].rs', 'src/a\\*']");
    ws.write("src/[id].rs", "one");
    ws.write("src/a*", "one");
    reruns_nothing(&ws, "what the glob would match", || {
        ws.write("src/i.rs", "");
        ws.write("src/ab", "");
    });
    reruns(&ws, "the file itself", || ws.write("src/[id].rs", "two"));
    reruns(&ws, "the other file itself", || ws.write("src/a*", "two"));
}
