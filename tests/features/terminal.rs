//! weir on a real terminal: questions, and the lines of what runs.

use crate::support::{Terminal, Workspace};

fn guarded() -> Workspace {
    Workspace::new("[tasks.deploy]\nrun = 'echo x >> ../deploy.ran'\nconfirm = 'to production?'\nalias = 'd'")
}

#[test]
fn a_question_is_asked_and_answered() {
    for (typed, code, count) in [
        ("y\n", 0, 1),
        ("YES\n", 0, 1),
        ("n\n", 3, 0),
        ("\n", 3, 0),
        ("yellow\n", 3, 0),
        // Ctrl-D: no answer.
        ("\u{4}", 3, 0),
    ] {
        let ws = guarded();
        let mut terminal = Terminal::weir(&ws, &["run", "d"]);
        terminal.shows("deploy: to production? [y/N]");
        assert_eq!(ws.count("deploy"), 0, "asked before anything runs");
        terminal.types(typed);
        let (ended, lines) = terminal.ends();
        assert_eq!((ended, ws.count("deploy")), (Some(code), count), "{typed:?}: {lines:?}");
        // Whatever is typed, weir speaks on a line of its own.
        assert!(lines[0].starts_with("deploy: to production? [y/N]") && !lines[0].contains("error"), "{lines:?}");
        let said = lines.concat();
        assert_eq!(said.contains("was not confirmed; nothing was run"), code == 3, "{said}");
        assert_eq!(said.contains("--confirm deploy"), code == 3, "{said}");
    }
}

#[test]
fn what_was_confirmed_ahead_is_not_asked() {
    let ws = guarded();
    let (code, lines) = Terminal::weir(&ws, &["run", "deploy", "--confirm", "deploy"]).ends();
    assert_eq!((code, ws.count("deploy")), (Some(0), 1));
    assert!(!lines.join("\n").contains("production?"), "{lines:?}");
}

#[test]
fn running_tasks_are_on_the_screen_and_gone_at_the_end() {
    let ws = Workspace::new(
        "[tasks.quick]\nrun = 'echo quick says this'\n[tasks.slow]\nrun = '../pause slow; echo slow says that'\n\
         [tasks.after]\nrun = 'true'\ndepends = ['slow']\n[tasks.all]\ndepends = ['quick', 'slow', 'after']",
    );
    let puppet = ws.puppet("slow");
    let mut terminal = Terminal::weir(&ws, &["run", "-j2", "all"]);
    puppet.arrives();
    terminal.shows("running  slow");
    terminal.shows("1 of 3 done, 1 running, 1 left");
    let lines = terminal.screen();
    let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{lines:?}"));
    assert!(at("quick says this") < at("running  slow"), "what is done stands above: {lines:?}");
    puppet.goes_on();
    let (code, lines) = terminal.ends();
    assert_eq!(code, Some(0), "{lines:?}");
    let said = lines.join("\n");
    for gone in ["running", " left", "of 3 done"] {
        assert!(!said.contains(gone), "`{gone}` is left on the screen:\n{said}");
    }
    for there in ["quick says this", "slow says that", "3 ran"] {
        assert!(said.contains(there), "`{there}` is not on the screen:\n{said}");
    }
}

#[test]
fn a_picture_is_not_written_on_a_terminal() {
    let ws = guarded();
    for format in ["svg", "html"] {
        let (code, lines) = Terminal::weir(&ws, &["tasks", "deps", "--format", format]).ends();
        let said = lines.join("\n");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("`--format {format}` is for a file")), "{said}");
        assert!(said.contains(&format!("--output tasks.{format}")), "{said}");
    }
    let (code, lines) = Terminal::weir(&ws, &["tasks", "deps", "--format", "svg", "-o", "out.svg"]).ends();
    assert_eq!((code, lines.len()), (Some(0), 0), "{lines:?}");
    assert!(ws.read("out.svg").starts_with("<svg"));
}
