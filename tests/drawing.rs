//! `weir tasks deps --format svg|html`: the picture and the page, the latter in a real browser.

use crate::browser::Browser;
use crate::support::{Ran, Workspace};
use serde_json::{Value, json};

const TASKS: &str = r#"
[policy]
entry = ["ci"]

[tasks.gen]
description = "<script>window.evil = 1</script><!-- & </script> \"quoted\""
run = "../pause gen; echo x >> ../gen.ran; echo made > gen.txt"
sources = []
outputs = ["gen.txt"]
timeout = "1m"

[tasks.build]
description = "Compiles"
run = "cat gen.txt > out.txt; echo hunter2-\u0074oken > /dev/null"
depends = ["gen"]
sources = ["gen.txt", "src"]
outputs = ["out.txt"]
env = { TOKEN = "hunter2-token", LEVEL = 3 }
redact = ["TOKEN", "FROM_OUTSIDE"]
alias = "b"
timeout = "1m"

[tasks."test:unit"]
run = "exit 3"
depends = ["build"]
sources = ["nowhere.txt", "out.txt"]
depends_post = ["tidy"]
outputs = []
timeout = "1m"

[tasks.tidy]
run = "true"
timeout = "1m"

[tasks.wipe]
run = "true"
reset = true
wait_for = ["gen"]

[tasks.deploy]
run = "true"
manual = true

[tasks.api]
run = "sleep 600"
service = {}

[tasks.e2e]
run = "true"
depends = ["api"]

[tasks."e2e:soak"]
soak = { task = "e2e", runs = 3 }
manual = true

[tasks."a-name-that-is-much-too-long-for-one-line:of-any-box"]
run = "true"
depends = [{ task = "gen", order_only = true }]

[tasks.ci]
sequence = ["build", ["test:unit"]]
"#;

fn workspace() -> Workspace {
    let ws = Workspace::new(TASKS);
    ws.write("src/a", "a");
    ws
}

fn page(ws: &Workspace) -> Browser {
    let file = ws.outside("tasks.html");
    ws.weir(&["tasks", "deps", "--format", "html", "-o", file.to_str().unwrap()]).ok();
    Browser::open(&file)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

/// The part of the picture that is seen: x, y, width, height.
fn view(browser: &mut Browser) -> [f64; 4] {
    let view = browser.eval("document.getElementById('graph').getAttribute('viewBox').split(' ').map(Number)");
    [0, 1, 2, 3].map(|at| number(&view[at]))
}

/// Waits until the view stands still at something else than `before`.
fn moved(browser: &mut Browser, before: [f64; 4]) -> [f64; 4] {
    let mut last = before;
    crate::support::wait_until("the view moves and stands still", || {
        browser.eval("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))");
        let now = view(browser);
        let still = now == last && now != before;
        last = now;
        still
    });
    last
}

/// The selector of a task's box.
fn task(browser: &mut Browser, name: &str) -> String {
    let found = browser.eval(&format!(
        "JSON.parse(document.getElementById('data').textContent).tasks.findIndex((task) => task.name === {name:?})"
    ));
    format!("#n{found}")
}

#[test]
fn a_task_is_clicked_and_tells_all_that_is_known_of_it() {
    let ws = workspace();
    ws.run("build").success();
    ws.try_run("ci").exit(1);
    let mut browser = page(&ws);
    assert_eq!(browser.eval("document.getElementById('panel').hidden"), json!(true));
    let build = task(&mut browser, "build");
    browser.click(&build);
    browser.wait_for("!document.getElementById('panel').hidden");
    assert_eq!(browser.text("#name"), "build");
    let panel = browser.text("#panel");
    for expected in [
        "Compiles",
        "also b",
        "tasks.toml:13:8",
        "[tasks.build]",
        "depends = [\"gen\"]",
        "TOKEN = \"***\"",
        "LEVEL = 3",
        // Its last result.
        "src/a",
        "weir explain build",
        // Its last runs.
        "ran",
        "fresh",
    ] {
        assert!(panel.contains(expected), "`{expected}` is not in\n{panel}");
    }
    assert!(!panel.lines().any(|line| line == "null") && !panel.contains("undefined"), "{panel}");
    let counted = "document.querySelectorAll('#panel tr td.good').length";
    assert!(number(&browser.eval(counted)) >= 2.0, "{panel}");
    // What stands before it and after it is marked, and nothing else.
    let marked = |browser: &mut Browser, class: &str| -> Vec<String> {
        let names = browser.eval(&format!(
            "(() => {{ const tasks = JSON.parse(document.getElementById('data').textContent).tasks; \
             return [...document.querySelectorAll('#graph .node.{class}')].map((node) => tasks[Number(node.id.slice(1))].name).sort(); }})()"
        ));
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(marked(&mut browser, "before"), ["gen"]);
    assert_eq!(marked(&mut browser, "after"), ["ci", "test:unit", "tidy"]);
    // A failed task with findings, reached over a link of the panel.
    browser.click("#panel .links[aria-label='needed by'] button");
    browser.wait_for("document.getElementById('name').innerText === 'test:unit'");
    let panel = browser.text("#panel");
    for expected in ["failed", "error:", "nowhere.txt", "graph::no-match", "help:"] {
        assert!(panel.contains(expected), "`{expected}` is not in\n{panel}");
    }
    let tidy = task(&mut browser, "tidy");
    browser
        .eval(&format!("document.querySelector('{tidy}').dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))"));
    browser.wait_for("document.getElementById('name').innerText === 'tidy'");
    assert!(browser.text("#panel").contains("It always runs"), "{}", browser.text("#panel"));
    let unit = task(&mut browser, "test:unit");
    browser
        .eval(&format!("document.querySelector('{unit}').dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))"));
    browser.wait_for("document.getElementById('name').innerText === 'test:unit'");
    // The code of a finding opens what it means.
    browser.click("#panel .finding.error summary");
    browser.wait_for("document.querySelector('#panel .finding.error details').open");
    assert!(browser.text("#panel .finding.error").contains("Correct the path."));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_view_is_moved_and_zoomed_by_mouse_and_keyboard() {
    let ws = workspace();
    let mut browser = page(&ws);
    let start = view(&mut browser);
    // Dragging the ground moves everything by as much, and opens nothing.
    let (x, y) = (40.0, 600.0);
    browser.mouse("mousePressed", (x, y), json!({}));
    browser.mouse("mouseMoved", (x + 60.0, y - 30.0), json!({ "buttons": 1 }));
    browser.mouse("mouseMoved", (x + 120.0, y - 50.0), json!({ "buttons": 1 }));
    browser.mouse("mouseReleased", (x + 120.0, y - 50.0), json!({}));
    let dragged = moved(&mut browser, start);
    let scale = number(&browser.eval("document.getElementById('stage').clientWidth")) / start[2];
    assert!((start[0] - dragged[0] - 120.0 / scale).abs() < 1.0, "{start:?} {dragged:?}");
    assert!((start[1] - dragged[1] + 50.0 / scale).abs() < 1.0, "{start:?} {dragged:?}");
    assert_eq!(browser.eval("document.getElementById('panel').hidden"), json!(true));
    // The wheel zooms, and what is under the pointer stays there.
    let gen_task = task(&mut browser, "gen");
    let before = browser.middle(&gen_task);
    browser.mouse("mouseWheel", before, json!({ "deltaX": 0, "deltaY": -240, "button": "none" }));
    let closer = moved(&mut browser, dragged);
    assert!(closer[2] < dragged[2]);
    let after = browser.middle(&gen_task);
    assert!((before.0 - after.0).abs() < 1.5 && (before.1 - after.1).abs() < 1.5, "{before:?} {after:?}");
    // Keys and buttons.
    browser.press("-");
    let further = moved(&mut browser, closer);
    assert!(further[2] > closer[2]);
    browser.press("+");
    let again = moved(&mut browser, further);
    assert!(again[2] < further[2]);
    browser.press("0");
    let all = moved(&mut browser, again);
    assert!((all[2] - start[2]).abs() < 1.0 && (all[0] - start[0]).abs() < 1.0, "{start:?} {all:?}");
    browser.click("#in");
    assert!(moved(&mut browser, all)[2] < all[2]);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_task_is_opened_by_keyboard_and_found_by_name() {
    let ws = workspace();
    let mut browser = page(&ws);
    // Tab reaches the boxes, after the header.
    crate::support::wait_until("a box has the focus", || {
        browser.press("Tab");
        browser.eval("document.activeElement?.classList.contains('node')") == json!(true)
    });
    let focused = browser.eval("document.activeElement.id").as_str().unwrap().to_owned();
    browser.press("Enter");
    browser.wait_for("!document.getElementById('panel').hidden");
    browser.press("Escape");
    browser.wait_for("document.getElementById('panel').hidden");
    assert_eq!(browser.eval("document.activeElement.id"), json!(focused), "the focus is given back");
    // Searching: `/`, part of a name, Enter.
    browser.press("/");
    browser.wait_for("document.activeElement.id === 'search'");
    for key in ["u", "n", "i"] {
        browser.press(key);
    }
    browser.wait_for("document.querySelectorAll('#matches li').length === 1");
    assert_eq!(browser.text("#matches"), "test:unit");
    browser.press("Enter");
    browser.wait_for("document.getElementById('name')?.innerText === 'test:unit'");
    // It stands in the middle of what is seen.
    let unit = task(&mut browser, "test:unit");
    crate::support::wait_until("the task is in the middle", || {
        let (x, _) = browser.middle(&unit);
        let stage = number(&browser.eval("document.getElementById('stage').clientWidth"));
        (x - stage / 2.0).abs() < 3.0
    });
    // Nothing was run yet.
    let panel = browser.text("#panel");
    assert!(panel.contains("Nothing is recorded") && panel.contains("none of the recorded runs"), "{panel}");
    browser.press("/");
    browser.press("?");
    browser.wait_for("document.querySelector('#matches li.none')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn texts_do_nothing_and_secrets_are_not_in_it() {
    let ws = workspace();
    ws.run("build").success();
    let html = |ws: &Workspace| {
        let weir = ws.weir(&["tasks", "deps", "--format", "html"]);
        weir.env("FROM_OUTSIDE", "outer-secret").ok().out
    };
    let text = html(&ws);
    assert!(!text.contains("hunter2") && !text.contains("outer-secret"));
    let mut browser = page(&ws);
    let evil = task(&mut browser, "gen");
    browser.click(&evil);
    browser.wait_for("!document.getElementById('panel').hidden");
    assert_eq!(
        browser.text("#panel .about"),
        "<script>window.evil = 1</script><!-- & </script> \"quoted\"",
        "it is shown as it stands"
    );
    assert_eq!(browser.eval("typeof window.evil"), json!("undefined"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_picture_shows_kinds_of_tasks_and_of_edges() {
    let ws = workspace();
    let svg = ws.weir(&["tasks", "deps", "--format", "svg"]).ok().out;
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    let legend = svg.split("<g class=\"legend\">").nth(1).unwrap();
    for class in ["command", "group", "always", "service", "soak", "reset", "manual"] {
        assert!(svg.contains(&format!("class=\"node {class}\" id=")), "no {class}");
        assert!(legend.contains(&format!("class=\"node {class}\">")), "no {class} in the legend");
    }
    assert!(svg.contains("<title>api (service: runs while others need it)</title>"));
    assert!(svg.contains("<title>e2e:soak (soak of e2e: runs only with -f, manual: only ever run by name)</title>"));
    for class in ["data", "sequence", "order", "wait", "cleanup"] {
        assert!(svg.contains(&format!("class=\"edge {class}\" id=")), "no {class}");
    }
    assert!(svg.contains("prefers-color-scheme:dark") && svg.contains("role=\"img\""));
    assert!(svg.contains("<title>build depends on gen</title>"));
    // A browser takes it for a picture, and every box is inside of it.
    let file = ws.outside("tasks.svg");
    ws.weir(&["tasks", "deps", "--format", "svg", "--output", file.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), svg);
    let mut browser = Browser::open(&file);
    let inside = "(() => { const all = document.documentElement.viewBox.baseVal; \
         return [...document.querySelectorAll('.node')].every((node) => { const b = node.getBBox(); \
         return b.x >= 0 && b.y >= 0 && b.x + b.width <= all.width && b.y + b.height <= all.height; }); })()";
    assert_eq!(browser.eval(inside), json!(true));
    // Long names are in their boxes.
    let fits = "[...document.querySelectorAll('.node')].every((node) => { \
         const box = node.querySelector('.body').getBBox(); \
         return [...node.querySelectorAll('text')].every((text) => node.closest('.legend') || text.getBBox().width <= box.width - 8); })";
    assert_eq!(browser.eval(fits), json!(true));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn text_for_other_programs_says_what_is_a_service_and_what_a_soak() {
    let ws = workspace();
    let text = |format: &str| ws.weir(&["tasks", "deps", "--format", format]).ok().out;
    let dot = text("dot");
    assert!(dot.contains("  \"api\" [shape = component, label = \"api\\nservice\"];\n"), "{dot}");
    assert!(dot.contains("  \"e2e:soak\" [shape = box3d, label = \"e2e:soak\\nsoak\"];\n"), "{dot}");
    assert!(dot.contains("  \"e2e\";\n") && dot.contains("  \"api\" -> \"e2e\";\n"), "{dot}");
    let mermaid = text("mermaid");
    assert!(mermaid.contains("[[\"api<br/>service\"]]\n"), "{mermaid}");
    assert!(mermaid.contains("[/\"e2e:soak<br/>soak\"/]\n"), "{mermaid}");
}

#[test]
fn a_part_of_the_graph_is_drawn() {
    let ws = workspace();
    let names = |words: &[&str]| -> Vec<String> {
        let ran: Ran = ws.weir(&[&["tasks", "deps", "--json"], words].concat()).ok();
        let all: Value = serde_json::from_str(&ran.out).unwrap();
        all.as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["build", "--down"]), ["gen", "build"]);
    assert_eq!(names(&["build"]), ["gen", "build"]);
    assert_eq!(names(&["build", "--up"]), ["build", "test:unit", "ci"]);
    assert_eq!(names(&["test:unit"]), ["gen", "build", "test:unit", "tidy"], "its cleanup is brought in");
    ws.weir(&["tasks", "deps", "build", "--up", "--down"]).go().exit(2);
    let svg = ws.weir(&["tasks", "deps", "build", "--up", "--format", "svg"]).ok().out;
    assert_eq!(svg.matches("id=\"n").count(), 3);
    ws.weir(&["tasks", "deps", "--format", "svg", "-o", "no/such/folder.svg"]).go().exit(1).says("failed to write");
    assert!(Workspace::new("").weir(&["tasks", "deps", "--format", "svg"]).ok().out.contains("no tasks"));
}

#[test]
fn too_many_tasks_are_refused() {
    let tasks: String = (0..2001).map(|task| format!("[tasks.t{task}]\nrun = 'true'\n")).collect();
    let ws = Workspace::new(&tasks);
    ws.weir(&["tasks", "deps", "--format", "svg"]).go().exit(2).says("2001 tasks are too many").says("name a task");
    assert_eq!(ws.weir(&["tasks", "deps", "t7", "--format", "svg"]).ok().out.matches("id=\"n").count(), 1);
}
