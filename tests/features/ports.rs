//! `ports`: which number a task is given, that it has it for itself, and that only the name counts.

use crate::support::Workspace;
use std::collections::BTreeSet;
use std::net::TcpListener;

/// A task that writes its port down, and is held by the puppet `NAME`.
fn held(name: &str, ports: &str) -> String {
    format!("[tasks.{name}]\nrun = 'echo $PORT > ../{name}.port; ../pause {name}'\nports = {ports}\n")
}

fn port(ws: &Workspace, name: &str) -> u16 {
    std::fs::read_to_string(ws.outside(&format!("{name}.port"))).unwrap().trim().parse().unwrap()
}

#[test]
fn a_free_port_outside_the_ephemeral_range_is_given() {
    let ws = Workspace::new(&held("t", "['PORT', 'ADMIN']"));
    ws.run("t");
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or("32768 60999".into());
    let range: Vec<u16> = range.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(!(range[0]..=range[1]).contains(&port(&ws, "t")) || range[0] < 2024);
}

#[test]
fn no_two_runs_on_the_machine_are_given_the_same() {
    // Far apart, and of different users' making: what they share is the machine.
    let (one, other) = (Workspace::new(&held("t", "{ PORT = 23457 }")), Workspace::new(&held("t", "{ PORT = 23457 }")));
    let puppets = [one.puppet("t"), other.puppet("t")];
    let first = one.weir(&["run", "t"]).spawn();
    puppets[0].arrives();
    let second = other.weir(&["run", "t"]).spawn();
    puppets[1].arrives();
    assert_eq!(port(&one, "t"), 23457);
    assert_ne!(port(&other, "t"), 23457);
    puppets.iter().for_each(|puppet| puppet.goes_on());
    first.end().success().says_nothing_of("port-taken").says_nothing_of("prefers");
    let ran = second.end().success();
    ran.says("`PORT` prefers 23457, but another task that weir runs has it; it gets");
    // Given back at the end.
    puppets.into_iter().for_each(|puppet| puppet.retire());
    other.run("t");
    assert_eq!(port(&other, "t"), 23457);
}

#[test]
fn tasks_side_by_side_have_different_ports() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let tasks: String = names.iter().map(|name| held(name, "'PORT'")).collect();
    let ws = Workspace::new(&tasks);
    let puppets = names.map(|name| ws.puppet(name));
    let run = ws.weir(&["run", "-j", "6", "a", "b", "c", "d", "e", "f"]).spawn();
    for puppet in &puppets {
        puppet.arrives();
    }
    let ports: BTreeSet<u16> = names.iter().map(|name| port(&ws, name)).collect();
    assert_eq!(ports.len(), names.len());
    puppets.iter().for_each(|puppet| puppet.goes_on());
    run.end().success();
}

#[test]
fn a_killed_weir_holds_no_port() {
    let ws = Workspace::new(&held("t", "{ PORT = 23459 }"));
    let puppet = ws.puppet("t");
    let run = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    run.kill();
    puppet.retire();
    let other = Workspace::new(&held("t", "{ PORT = 23459 }"));
    other.run("t").says_nothing_of("prefers");
    assert_eq!(port(&other, "t"), 23459);
}

#[test]
fn the_variable_from_outside_wins_and_a_taken_one_is_told() {
    let ws = Workspace::new(&held("t", "{ PORT = 23461 }"));
    ws.weir(&["run", "t"]).env("PORT", "23463").ok().says_nothing_of("used as told");
    assert_eq!(port(&ws, "t"), 23463);
    let foreign = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = foreign.local_addr().unwrap().port();
    let ran = ws.weir(&["run", "t"]).env("PORT", taken.to_string()).ok();
    let said = format!("`PORT` is set to {taken}, which is used as told, though something uses it already");
    assert_eq!(ran.notices("t"), [("port-taken".to_owned(), said)]);
    assert_eq!(port(&ws, "t"), taken);
    ws.weir(&["run", "t"]).env("PORT", "http").go().exit(1).says("`PORT` is set to `http`, which is no port");
}

#[test]
fn a_preferred_port_that_a_foreign_process_has_is_not_used() {
    for address in ["127.0.0.1", "0.0.0.0", "::1"] {
        let Ok(foreign) = TcpListener::bind((address, 0)) else { continue };
        let taken = foreign.local_addr().unwrap().port();
        let ws = Workspace::new(&held("t", &format!("{{ PORT = {taken} }}")));
        let ran = ws.run("t");
        assert_ne!(port(&ws, "t"), taken);
        ran.says(&format!("`PORT` prefers {taken}, but something uses it already; it gets {}", port(&ws, "t")));
    }
}

#[test]
fn an_edge_that_sets_the_variable_counts_like_the_outside() {
    let text = held("t", "['PORT']") + "[tasks.all]\ndepends = [{ task = 't', env = { PORT = 23467 } }]\n";
    let ws = Workspace::new(&text);
    ws.run("all");
    assert_eq!(port(&ws, "t"), 23467);
}

#[test]
fn only_the_name_is_in_the_key() {
    let text = |ports: &str| held("t", ports) + "sources = []\noutputs = []\n";
    let ws = Workspace::new(&text("['PORT']"));
    ws.run("t").tasks("t ran").says_nothing_of("hidden");
    ws.weir(&["run", "t"]).env("PORT", "23469").ok().tasks("t fresh");
    ws.tasks(&text("{ PORT = 23471 }"));
    ws.run("t").tasks("t fresh");
    ws.weir(&["run", "-f", "t"]).env("PORT", "23469").ok().tasks("t ran").says_nothing_of("does not see it");
    assert_eq!(port(&ws, "t"), 23469);
    ws.tasks(&text("['PORT', 'ADMIN']"));
    ws.run("t").tasks("t ran");
}
