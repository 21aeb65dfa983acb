//! Law 19: a resumed run skips what succeeded in the run that it resumes, only if its definition and everything upstream are
//! unchanged, and nobody has started it since.

use crate::support::{Puppet, Running, Workspace};
use nix::sys::signal::Signal;
use std::fs;

/// `first` is done, `second` is held, `third` comes after it; none of them is cached.
const CHAIN: &str = "
[tasks.first]
run = 'echo x >> ../first.ran; echo one > first.out'
[tasks.second]
run = 'echo x >> ../second.ran; ../pause second; test ! -e ../fails'
depends = ['first']
[tasks.third]
run = 'echo x >> ../third.ran; cat first.out > third.out'
depends = ['second', 'first']
";

fn counts<const N: usize>(ws: &Workspace, names: [&str; N]) -> [usize; N] {
    names.map(|name| ws.count(name))
}

/// Runs until `name` is held.
fn held(ws: &Workspace, name: &str, words: &[&str]) -> (Running, Puppet) {
    let puppet = ws.puppet(name);
    let weir = ws.weir(words).spawn();
    puppet.arrives();
    (weir, puppet)
}

/// The same, and kills it.
fn killed(ws: &Workspace, name: &str, words: &[&str]) {
    let (weir, puppet) = held(ws, name, words);
    weir.kill();
    puppet.retire();
}

/// The ids of the recorded runs, oldest first.
fn ids(ws: &Workspace) -> Vec<String> {
    let entries = fs::read_dir(ws.path(".weir/runs")).unwrap();
    let mut ids: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    ids.sort();
    ids
}

#[test]
fn killed_it_goes_on_where_it_was() {
    let ws = Workspace::new(CHAIN);
    killed(&ws, "second", &["run", "third"]);
    let run = ids(&ws)[0].clone();
    ws.run("--resume")
        .tasks("first done, second ran, third ran")
        .says(&format!("resumes run {run}"))
        .says(&format!("in run {run}"))
        .says("2 ran, 1 done before");
    assert_eq!(counts(&ws, ["first", "second", "third"]), [1, 2, 1]);
    ws.weir(&["runs", "ls"]).ok().says(&format!("resumes {run}"));
    ws.weir(&["runs", "show"]).ok().says(&format!("resumes run {run}"));
    // It is over: an ordinary run does everything.
    ws.run("third").tasks("first ran, second ran, third ran");
}

#[test]
fn where_the_notes_of_who_started_what_are_lost_or_damaged_all_runs_again() {
    let notes = ".weir/locks/started";
    for what in ["gone", "empty", "cut", "flipped"] {
        let ws = Workspace::new(CHAIN);
        killed(&ws, "second", &["run", "third"]);
        let mut bytes = fs::read(ws.path(notes)).unwrap();
        match what {
            "gone" => ws.remove(notes),
            "empty" => fs::write(ws.path(notes), "").unwrap(),
            "cut" => fs::write(ws.path(notes), &bytes[..bytes.len() - 1]).unwrap(),
            _ => {
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(ws.path(notes), bytes).unwrap();
            }
        }
        ws.run("--resume").says("nobody knows whether it was started again").tasks("first ran, second ran, third ran");
        assert_eq!(counts(&ws, ["first", "second", "third"]), [2, 2, 1], "{what}");
    }
}

#[test]
fn interrupted_it_goes_on_where_it_was() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let ws = Workspace::new(CHAIN);
        let (weir, puppet) = held(&ws, "second", &["run", "third"]);
        weir.signal(signal);
        weir.end().exit(code).tasks("first ran, second failed, third skipped");
        puppet.retire();
        ws.run("--resume").tasks("first done, second ran, third ran");
        assert_eq!(counts(&ws, ["first", "second", "third"]), [1, 2, 1]);
    }
}

#[test]
fn failed_it_goes_on_with_what_failed() {
    let ws = Workspace::new(CHAIN);
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("third").exit(1);
    ws.try_run("--resume").exit(1).tasks("first done, second failed, third skipped");
    fs::remove_file(ws.outside("fails")).unwrap();
    ws.run("--resume").tasks("first done, second ran, third ran");
    assert_eq!(counts(&ws, ["first", "second", "third"]), [1, 3, 1]);
}

#[test]
fn a_chain_of_resumes_loses_nothing() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = 'echo x >> ../a.ran; ../pause a'\n\
         [tasks.b]\nrun = 'echo x >> ../b.ran; ../pause b'\ndepends = ['a']\n\
         [tasks.c]\nrun = 'echo x >> ../c.ran; ../pause c'\ndepends = ['b']\n\
         [tasks.d]\nrun = 'echo x >> ../d.ran'\ndepends = ['c']",
    );
    killed(&ws, "a", &["run", "d"]);
    killed(&ws, "b", &["run", "--resume"]);
    killed(&ws, "c", &["run", "--resume"]);
    killed(&ws, "c", &["run", "--resume"]);
    let ids = ids(&ws);
    // What is known was taken over: the runs before are not needed any more.
    fs::remove_dir_all(ws.path(&format!(".weir/runs/{}", ids[1]))).unwrap();
    let ran = ws.run("--resume").tasks("a done, b done, c ran, d ran");
    ran.says(&format!("in run {}", ids[1]))
        .says(&format!("in run {}", ids[2]))
        .says(&format!("resumes run {}", ids[3]));
    assert_eq!(counts(&ws, ["a", "b", "c", "d"]), [2, 2, 3, 1]);
}

#[test]
fn a_changed_definition_is_noticed_and_said() {
    let ws = Workspace::new(CHAIN);
    killed(&ws, "second", &["run", "third"]);
    ws.tasks(&CHAIN.replace("echo one", "echo two"));
    ws.run("-n --resume").says("would run").says("`run` changed");
    let ran = ws.run("--resume").tasks("first ran, second ran, third ran").says("`run` changed").says("since then");
    assert_eq!(ran.reasons("first")[0], "not_as_before");
    assert_eq!(ws.read("third.out"), "two\n");
    // What does not count changes nothing.
    killed(&ws, "second", &["run", "third"]);
    ws.tasks(&format!("# a comment\n{}", CHAIN.replace("echo one", "echo two")));
    ws.run("--resume").tasks("first done");
}

#[test]
fn what_is_upstream_counts_through_data_edges_only() {
    let tasks = |run: &str| {
        format!(
            "[tasks.up]\nrun = '{run}; echo x >> ../up.ran'\n\
             [tasks.data]\nrun = 'echo x >> ../data.ran'\ndepends = ['group']\n\
             [tasks.group]\ndepends = ['up']\n\
             [tasks.order]\nrun = 'echo x >> ../order.ran'\ndepends = [{{ task = 'up', order_only = true }}]\n\
             [tasks.last]\nrun = '../pause last'\ndepends = ['data', 'order']"
        )
    };
    let ws = Workspace::new(&tasks("true"));
    killed(&ws, "last", &["run", "last"]);
    ws.tasks(&tasks(":"));
    ws.run("--resume").tasks("up ran, data ran, order done, last ran");
    assert_eq!(counts(&ws, ["up", "data", "order"]), [2, 2, 1]);
}

#[test]
fn a_later_step_comes_after_an_earlier_one_each_time() {
    let tasks = |run: &str| {
        format!(
            "[tasks.push]\nrun = '{run}; echo x >> ../push.ran'\n\
             [tasks.steps]\ndepends = ['push']\n\
             [tasks.verify]\nrun = 'echo x >> ../verify.ran'\n\
             [tasks.deploy]\nrun = '../pause deploy'\n\
             [tasks.release]\nsequence = ['steps', 'verify', 'deploy']"
        )
    };
    let ws = Workspace::new(&tasks("true"));
    killed(&ws, "deploy", &["run", "release"]);
    killed(&ws, "deploy", &["run", "--resume"]);
    assert_eq!(counts(&ws, ["push", "verify"]), [1, 1]);
    ws.tasks(&tasks(":"));
    ws.run("-n --resume").says("3 would run");
    ws.run("--resume").tasks("push ran, verify ran, deploy ran");
}

#[test]
fn a_changed_source_makes_an_uncached_task_run_again_and_what_depends_on_it() {
    let ws = Workspace::new(
        "[tasks.reads]\nrun = 'echo x >> ../reads.ran; cp in reads.out'\nsources = ['in']\ncache = false\n\
         [tasks.after]\nrun = 'echo x >> ../after.ran; cp reads.out after.out'\ndepends = ['reads']\n\
         [tasks.aside]\nrun = 'echo x >> ../aside.ran'\n\
         [tasks.last]\nrun = '../pause last'\ndepends = ['after', 'aside']",
    );
    ws.write("in", "a");
    killed(&ws, "last", &["run", "last"]);
    killed(&ws, "last", &["run", "--resume"]);
    assert_eq!(counts(&ws, ["reads", "after", "aside"]), [1, 1, 1]);
    ws.write("in", "b");
    ws.run("--resume").tasks("reads ran, after ran, aside done").says("`in` changed");
    assert_eq!(ws.read("after.out"), "b");
}

#[test]
fn a_source_that_changes_while_it_runs_is_no_success_to_go_on_from() {
    let ws = Workspace::new(
        "[tasks.reads]\nrun = 'echo x >> ../reads.ran; cp in out; ../pause reads'\nsources = ['in']\ncache = false\n\
         [tasks.last]\nrun = '../pause last'\ndepends = ['reads']",
    );
    ws.write("in", "a");
    let (weir, reads) = held(&ws, "reads", &["run", "last"]);
    let last = ws.puppet("last");
    ws.write("in", "b");
    reads.goes_on();
    last.arrives();
    weir.kill();
    reads.retire();
    last.retire();
    ws.run("--resume").tasks("reads ran");
    assert_eq!(ws.read("out"), "b");
}

#[test]
fn what_a_skipped_task_taints_runs_unless_it_had_succeeded_after_it() {
    // `early` and `late` are cacheable, and tainted by `always`.
    let ws = Workspace::new(
        "[tasks.always]\nrun = 'echo x >> ../always.ran; date +%s%N > stamp'\n\
         [tasks.early]\nrun = 'echo x >> ../early.ran; cp stamp early.out'\nsources = []\ndepends = ['always']\n\
         [tasks.late]\nrun = 'echo x >> ../late.ran; ../pause late; cp stamp late.out'\nsources = []\ndepends = ['always', 'early']",
    );
    ws.run("late");
    killed(&ws, "late", &["run", "late"]);
    let stamp = ws.read("stamp");
    let ran = ws.run("--resume").tasks("always done, early done, late ran");
    assert_eq!(ran.reasons("late"), ["tainted"]);
    assert_eq!((ws.read("late.out"), ws.read("early.out")), (stamp.clone(), stamp));
    assert_eq!(counts(&ws, ["always", "early", "late"]), [2, 2, 3]);
}

#[test]
fn cacheable_tasks_go_by_their_keys() {
    let ws = Workspace::new(
        "[tasks.build]\nrun = 'echo x >> ../build.ran; cp in out'\nsources = ['in']\noutputs = ['out']\n\
         [tasks.check]\nrun = 'echo x >> ../check.ran; ../pause check'\nsources = []\noutputs = []\ndepends = ['build']",
    );
    ws.write("in", "a");
    killed(&ws, "check", &["run", "check"]);
    ws.remove("out");
    ws.run("--resume").tasks("build hit, check ran");
    assert_eq!(counts(&ws, ["build", "check"]), [1, 2]);
}

#[test]
fn a_seal_on_what_was_green_before_does_not_answer() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out; ../pause t'\nsources = ['in']\noutputs = ['out']",
    );
    ws.write("in", "a");
    ws.run("t");
    ws.run("t");
    killed(&ws, "t", &["run", "-f", "t"]);
    // `-f` was asked for, and was not done.
    ws.run("--resume").tasks("t ran");
    assert_eq!(ws.count("t"), 3);
    ws.run("t").tasks("t fresh");
}

#[test]
fn a_task_that_another_run_started_since_runs_again() {
    let ws = Workspace::new(CHAIN);
    killed(&ws, "second", &["run", "third"]);
    ws.run("first");
    ws.run("--resume").tasks("first ran, second ran, third ran").says("was started in run");
    assert_eq!(ws.count("first"), 3);
    // Even if nobody recorded how that ended.
    killed(&ws, "second", &["run", "third"]);
    killed(&ws, "second", &["run", "second"]);
    let run = &ids(&ws)[3];
    ws.weir(&["run", "--resume", run]).ok().tasks("first ran, second ran, third ran");
}

#[test]
fn with_other_arguments_it_is_still_that_task() {
    let ws = Workspace::new(
        "[tasks.switch]\nrun = 'echo x >> ../switch.ran; echo $1 > switched'\nargs = [{ name = 'to' }]\n\
         [tasks.a]\ndepends = [{ task = 'switch', args = ['a'] }]\n\
         [tasks.last]\nrun = '../pause last; cp switched out'\ndepends = ['a']",
    );
    killed(&ws, "last", &["run", "last"]);
    ws.weir(&["run", "switch", "--", "b"]).ok();
    ws.run("--resume").tasks("switch a ran, last ran");
    assert_eq!(ws.read("out"), "a\n");
}

#[test]
fn both_of_one_task_count_where_one_of_them_runs_again() {
    let ws = Workspace::new(
        "[tasks.say]\nrun = 'echo x >> ../$1.ran; ../pause $1'\nargs = [{ name = 'what' }]\n\
         [tasks.last]\nrun = 'true'\ndepends = [{ task = 'say', args = ['b'] }, { task = 'aside', order_only = true }]\n\
         [tasks.aside]\nrun = 'true'\ndepends = [{ task = 'say', args = ['a'] }, { task = 'say', args = ['b'], order_only = true }]",
    );
    let puppet = ws.puppet("b");
    let weir = ws.weir(&["run", "last"]).spawn();
    crate::support::wait_until("one has ended, the other runs", || {
        ws.count("a") == 1 && puppet.is_there() && weir.printed().contains("say a")
    });
    weir.kill();
    puppet.retire();
    ws.run("--resume").tasks("say a done, say b ran, aside ran, last ran");
    assert_eq!(counts(&ws, ["a", "b"]), [1, 2]);
}

#[test]
fn outputs_of_an_uncached_task_must_be_as_it_left_them() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; echo out > out'\noutputs = ['out']\n\
         [tasks.last]\nrun = '../pause last'\ndepends = ['t']",
    );
    for (damage, outcome) in [("out\n", "done"), ("other", "ran")] {
        killed(&ws, "last", &["run", "last"]);
        ws.write("out", damage);
        ws.run("--resume").tasks(&format!("t {outcome}"));
    }
    killed(&ws, "last", &["run", "last"]);
    ws.remove("out");
    ws.run("--resume").tasks("t ran");
    assert_eq!(ws.read("out"), "out\n");
}

#[test]
fn what_a_task_writes_must_be_as_it_left_it() {
    let ws = Workspace::new(
        "[tasks.format]\nrun = 'echo x >> ../format.ran; echo good > code'\nwrites = ['code']\n\
         [tasks.last]\nrun = '../pause last'\ndepends = ['format']",
    );
    ws.write("code", "bad");
    killed(&ws, "last", &["run", "last"]);
    killed(&ws, "last", &["run", "--resume"]);
    assert_eq!(ws.count("format"), 1);
    ws.write("code", "edited");
    ws.run("--resume").tasks("format ran").says("the files that it writes are not as it left them");
}

#[test]
fn a_reset_is_kept_while_its_incarnation_is_the_live_one() {
    let ws = Workspace::new(
        "[tasks.wipe]\nrun = 'echo x >> ../wipe.ran; ../pause wipe'\nreset = true\n\
         [tasks.migrate]\nrun = 'echo x >> ../migrate.ran'\ndepends = ['wipe']\nsources = []\noutputs = []\n\
         [tasks.fill]\nrun = 'echo x >> ../fill.ran'\ndepends = ['migrate']\n\
         [tasks.test]\nrun = 'echo x >> ../test.ran; ../pause test'\ndepends = ['fill']",
    );
    // Cut short while it resets, it resets again.
    killed(&ws, "wipe", &["run", "test"]);
    killed(&ws, "test", &["run", "--resume"]);
    ws.run("--resume").tasks("wipe done, migrate fresh, fill done, test ran");
    assert_eq!(counts(&ws, ["wipe", "migrate", "fill", "test"]), [2, 1, 1, 2]);
    killed(&ws, "test", &["run", "test"]);
    ws.run("wipe");
    ws.run("--resume").tasks("wipe ran, migrate ran, fill ran, test ran");
    // The same of one that declares what it leaves.
    for (keys, run) in
        [("outputs = []", "true"), ("outputs = ['out']", "echo 1 > out"), ("state = 'cat state'", "echo 1 > state")]
    {
        let wipe = format!("[tasks.wipe]\nrun = 'echo x >> ../wipe.ran; {run}'\nreset = true\n{keys}\n");
        let ws = Workspace::new(&format!("{wipe}[tasks.test]\nrun = '../pause test'\ndepends = ['wipe']"));
        killed(&ws, "test", &["run", "test"]);
        ws.run("--resume").tasks("wipe done, test ran");
        killed(&ws, "test", &["run", "test"]);
        ws.run("wipe");
        ws.run("--resume").tasks("wipe ran, test ran");
        assert_eq!(ws.count("wipe"), 4, "{keys}");
    }
}

#[test]
fn after_the_cache_was_cleared_nothing_is_done() {
    let ws = Workspace::new(CHAIN);
    killed(&ws, "second", &["run", "third"]);
    ws.weir(&["cache", "clear"]).ok();
    ws.try_run("--resume").exit(2).says("no run is recorded");
    // Once there is something again, the runs from before are seen, and do not count.
    fs::create_dir(ws.path(".weir/state")).unwrap();
    ws.run("--resume").tasks("first ran, second ran, third ran");
}

#[test]
fn keep_going_is_kept() {
    let ws = Workspace::new(
        "[tasks.bad]\nrun = 'echo x >> ../bad.ran; test ! -e ../fails'\n\
         [tasks.good]\nrun = 'echo x >> ../good.ran'\n\
         [tasks.worse]\nrun = 'echo x >> ../worse.ran; test ! -e ../fails'\n\
         [tasks.after]\nrun = 'echo x >> ../after.ran'\ndepends = ['bad']",
    );
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("-k -j 1 good bad worse after").exit(1).tasks("good ran, bad failed, worse failed, after skipped");
    ws.try_run("--resume").exit(1).tasks("good done, bad failed, worse failed, after skipped");
    fs::remove_file(ws.outside("fails")).unwrap();
    ws.run("--resume").tasks("good done, bad ran, worse ran, after ran");
    assert_eq!(counts(&ws, ["good", "bad", "worse", "after"]), [1, 3, 3, 1]);
}

#[test]
fn what_is_forced_runs_and_so_it_does_in_a_run_that_resumes_that_one() {
    let ws = Workspace::new(CHAIN);
    killed(&ws, "second", &["run", "third"]);
    killed(&ws, "second", &["run", "--resume", "--force-all"]);
    assert_eq!(counts(&ws, ["first", "second"]), [2, 2]);
    ws.run("--resume").tasks("first done, second ran, third ran");
    // A forced target only.
    killed(&ws, "second", &["run", "second"]);
    ws.run("--resume -f").tasks("first done, second ran");
}

#[test]
fn a_dry_run_says_what_would_be_skipped_and_writes_nothing() {
    let ws = Workspace::new(CHAIN);
    killed(&ws, "second", &["run", "third"]);
    let before = ws.weir_contents();
    let ran = ws.run("-n --resume");
    assert_eq!(ws.weir_contents(), before);
    assert!(!ran.recorded());
    ran.says("done").says("because it succeeded in run").says("2 would run, 1 done before");
}

#[test]
fn arguments_profile_and_folder_are_those_of_the_run() {
    let ws = Workspace::new(
        "include = ['sub/tasks.toml']\n[profile.special.env]\nWHO = 'special'\n\
         [tasks.first]\nrun = 'echo x >> ../first.ran; echo $WHO'\n",
    );
    ws.write(
        "sub/tasks.toml",
        "[tasks.t]\nrun = '../../pause t; echo \"$1\" > out'\nargs = [{ name = 'a' }]\ndepends = ['//first']\n",
    );
    killed(&ws, "t", &["-C", "sub", "run", "t", "--profile", "special", "--", "word"]);
    ws.run("--resume").tasks("first done");
    assert_eq!(ws.read("sub/out"), "word\n");
    assert_eq!(ws.count("first"), 1);
}

#[test]
fn a_gate_that_had_passed_is_evidence_of_that_run() {
    let ws = Workspace::new(
        "[tasks.gate]\nrun = 'echo x >> ../gate.ran; echo said'\ngate = { id = 'g1' }\n\
         [tasks.last]\nrun = '../pause last'\ndepends = ['gate']",
    );
    killed(&ws, "last", &["run", "last"]);
    let first = ids(&ws)[0].clone();
    ws.run("--resume").tasks("gate done");
    let ids = ids(&ws);
    let read = |id: &str| -> serde_json::Value {
        serde_json::from_str(&ws.read(&format!(".weir/runs/{id}/evidence/g1.json"))).unwrap()
    };
    let (before, now) = (read(&first), read(&ids[1]));
    assert_eq!((now["status"].as_str(), now["replayed_from"].as_str()), (Some("pass"), Some(first.as_str())));
    assert_eq!(now["log_digest"], before["log_digest"]);
    assert_eq!(ws.count("gate"), 1);
}

#[test]
fn a_cleanup_that_had_not_run_runs() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran'\ndepends_post = ['clean']\n\
         [tasks.clean]\nrun = 'echo x >> ../clean.ran; ../pause clean'\n\
         [tasks.last]\nrun = '../pause last'\ndepends = ['t']\nwait_for = ['clean']",
    );
    killed(&ws, "clean", &["run", "t"]);
    ws.run("--resume").tasks("t done, clean ran");
    killed(&ws, "last", &["run", "last"]);
    assert_eq!(ws.count("clean"), 3);
    ws.run("--resume").tasks("t done, clean done, last ran");
}

#[test]
fn what_a_cleanup_undid_is_done_again() {
    let ws = Workspace::new(
        "[tasks.build]\nrun = 'echo x >> ../build.ran'\noutputs = []\n\
         [tasks.up]\nrun = 'echo x >> ../up.ran; touch is-up'\ndepends = ['build']\n\
         [tasks.down]\nrun = 'echo x >> ../down.ran; rm -f is-up'\n\
         [tasks.test]\nrun = 'test -e is-up; test ! -e ../fails'\ndepends = ['up']\ndepends_post = ['down']\n\
         [tasks.last]\nrun = 'echo x >> ../last.ran; ../pause last'\ndepends = ['test']\nwait_for = ['down']",
    );
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("last").exit(1).tasks("up ran, test failed, down ran");
    fs::remove_file(ws.outside("fails")).unwrap();
    ws.run("-n --resume").says("1 done before");
    killed(&ws, "last", &["run", "--resume"]);
    assert_eq!(counts(&ws, ["build", "up", "down"]), [1, 2, 2]);
    // Now that the test has passed nothing of that is needed.
    ws.run("--resume").tasks("build done, up done, test done, down done, last ran");
}

#[test]
fn nothing_is_journalled_where_nothing_runs() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []\nrequires = ['bash']");
    ws.run("t");
    let journals = || ws.files(".weir/runs").into_iter().filter(|file| file.ends_with("/journal")).count();
    assert_eq!(journals(), 1);
    ws.run("t").tasks("t fresh");
    assert_eq!(journals(), 1);
}
