//! The live region, on a terminal that a library plays.

use super::*;

/// The lines of the screen and what scrolled off it, right-trimmed, without empty ones at the end.
fn screen(bytes: &[u8]) -> (Vec<String>, (u16, u16)) {
    let size = |n| std::num::NonZero::new(n).unwrap();
    let mut terminal = vt100::Parser::new(size(40), size(60), 0);
    // A terminal moves to the first column at a newline that a program writes.
    let mut cooked = Vec::new();
    for byte in bytes {
        if *byte == b'\n' {
            cooked.push(b'\r');
        }
        cooked.push(*byte);
    }
    terminal.process(&cooked);
    let screen = terminal.screen();
    let mut lines: Vec<String> = screen.rows(0, 60).map(|line| line.trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    assert!(!screen.hide_cursor() && !screen.alternate_screen());
    (lines, screen.cursor_position())
}

fn live(change: impl FnOnce(&mut Options)) -> Scene {
    Scene::new(|options| {
        options.live = true;
        options.width = Some(60);
        change(options);
    })
}

#[test]
fn running_tasks_stand_below_what_is_done() {
    let mut scene = live(|_| {});
    scene.event(start(vec![planned("a", &[]), planned("b", &[]), planned("c", &[])]));
    scene.event(started("a", vec![]));
    scene.event(started("b", vec![]));
    scene.sink.tick();
    scene.finish(ended("a", Outcome::Ran, 5), b"no final newline");
    scene.sink.tick();
    let (lines, cursor) = screen(&scene.out.bytes());
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "── ran       a       5ms");
    assert_eq!(lines[1], "no final newline");
    assert!(lines[2].starts_with("   running  b"), "{lines:?}");
    assert_eq!(lines[3], "   1 of 3 done, 1 running, 1 left");
    assert_eq!(cursor, (4, 0), "a prompt would come below the region");
}

#[test]
fn nothing_of_the_region_remains_at_the_end() {
    for mode in [Mode::Grouped, Mode::Prefixed, Mode::Quiet, Mode::Stream] {
        let mut plain = Scene::new(|options| options.mode = mode);
        mixed(&mut plain);
        let mut scene = live(|options| options.mode = mode);
        scene.sink.tick();
        mixed(&mut scene);
        scene.sink.tick();
        let text = |scene: &Scene| {
            let folder = scene.dir.path().display().to_string();
            let shown = String::from_utf8_lossy(&scene.out.bytes()).replace(&folder, "RUN");
            screen(shown.as_bytes()).0
        };
        assert_eq!(text(&scene), text(&plain), "{mode}");
    }
}

#[test]
fn hostile_output_does_not_garble() {
    let hostile: [&[u8]; 7] = [
        b"\x1b[31mred",
        b"\x1b]0;a title without an end",
        b"\x1b[?25lhidden cursor",
        b"10%\r20%\r100%",
        b"\x00\xff\xfe\x0e\x9b",
        b"ends in escape\x1b",
        b"\x1b[12",
    ];
    for (mode, bytes) in [Mode::Grouped, Mode::Prefixed].into_iter().flat_map(|mode| hostile.map(|bytes| (mode, bytes)))
    {
        let mut scene = live(|options| options.mode = mode);
        scene.event(start(vec![planned("a", &[]), planned("b", &[])]));
        scene.event(started("b", vec![]));
        scene.sink.output(&name("a"), bytes);
        scene.sink.tick();
        scene.finish(ended("a", Outcome::Ran, 5), bytes);
        scene.sink.tick();
        scene.finish(ended("b", Outcome::Ran, 5), b"");
        let totals = Totals { ran: 2, ..Totals::default() };
        scene.event(Event::RunFinished(Box::new(over(totals, None))));
        let (lines, cursor) = screen(&scene.out.bytes());
        assert_eq!(lines.last().unwrap(), "2 ran in 3.21s", "{bytes:?} {lines:?}");
        assert_eq!(lines.iter().filter(|line| line.contains("running")).count(), 0, "{bytes:?} {lines:?}");
        assert_eq!(usize::from(cursor.0), lines.len());
    }
}

#[test]
fn an_interactive_task_has_the_terminal_to_itself() {
    let mut scene = live(|_| {});
    scene.event(start(vec![PlannedTask { interactive: true, ..planned("sh", &[]) }, planned("b", &[])]));
    scene.event(started("b", vec![]));
    scene.sink.tick();
    scene.event(started("sh", vec![]));
    let before = scene.out.bytes();
    assert!(screen(&before).0.is_empty());
    scene.sink.tick();
    assert_eq!(scene.out.bytes(), before);
    scene.finish(ended("sh", Outcome::Ran, 5), b"");
    scene.sink.tick();
    assert!(screen(&scene.out.bytes()).0.last().unwrap().ends_with("1 running, 0 left"));
}

#[test]
fn a_sink_that_is_dropped_takes_its_region_along() {
    let mut scene = live(|_| {});
    scene.event(start(vec![planned("a", &[])]));
    scene.event(started("a", vec![]));
    scene.sink.tick();
    assert_eq!(screen(&scene.out.bytes()).0.len(), 2);
    let out = scene.out.clone();
    drop(scene);
    assert!(screen(&out.bytes()).0.is_empty());
}
