//! `junit` and `expect`: a task is as good as its test report.

use crate::support::Workspace;

/// A report with so many tests that passed, failed and were skipped.
fn report(passed: usize, failed: usize, skipped: usize) -> String {
    let cases = "<testcase name='a'/>".repeat(passed)
        + &"<testcase name='b'><failure message='x'>at &lt;b&gt;</failure><system-out>text</system-out></testcase>"
            .repeat(failed)
        + &"<testcase name='c'><skipped/></testcase>".repeat(skipped);
    // What a suite says of itself is not believed.
    format!(
        "<?xml version='1.0'?><testsuites tests='999'><testsuite tests='999' skipped='0'>{cases}</testsuite></testsuites>"
    )
}

fn workspace(more: &str) -> Workspace {
    Workspace::new(&format!("[tasks.t]\nrun = 'cp given out.xml; exit $(cat status)'\njunit = 'out.xml'\n{more}"))
}

fn with(ws: &Workspace, given: &str, status: &str) {
    ws.write("given", given);
    ws.write("status", status);
}

#[test]
fn a_report_with_tests_that_passed_is_good() {
    let ws = workspace("");
    with(&ws, &report(3, 0, 2), "0");
    ws.run("t").says("report: 5 tests, 0 failed, 2 skipped");
}

#[test]
fn what_a_report_lacks_fails_a_task_that_says_it_succeeded() {
    let ws = workspace("expect = { min_tests = 3, max_skipped = 1 }");
    for (given, says) in [
        (report(2, 0, 0), "holds 2 tests, fewer than 3"),
        (report(0, 0, 0), "the test report holds no test"),
        (report(3, 1, 0), "holds 1 failed tests, more than 0"),
        (report(3, 0, 2), "holds 2 skipped tests, more than 1"),
        (report(5, 0, 0)[..90].to_owned(), "`out.xml` is no JUnit XML"),
        (String::new(), "it has no `testsuite`"),
        ("<html></html>".to_owned(), "it has no `testsuite`"),
    ] {
        with(&ws, &given, "0");
        ws.try_run("t").exit(1).says(says);
    }
    with(&ws, &report(3, 0, 1), "0");
    ws.run("t");
}

#[test]
fn a_good_report_does_not_save_a_task_that_failed() {
    let ws = workspace("expect = { max_failed = 5 }");
    with(&ws, &report(3, 1, 0), "4");
    ws.try_run("t").exit(1).says("exit status 4").says("report: 4 tests, 1 failed");
    with(&ws, &report(3, 1, 0), "0");
    ws.run("t");
}

#[test]
fn a_report_of_an_earlier_run_says_nothing() {
    let ws = workspace("");
    with(&ws, &report(1, 0, 0), "0");
    ws.run("t");
    ws.tasks("[tasks.t]\nrun = 'true'\njunit = 'out.xml'");
    ws.try_run("t").exit(1).says("the test report `out.xml` was not written by this run");
    ws.remove("out.xml");
    ws.try_run("t").exit(1).says("the test report `out.xml` is missing");
}

#[test]
fn of_several_reports_those_that_were_written_count() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'mkdir -p r; cp given r/a.xml; cp given r/b.xml'\njunit = 'r/*.xml'\nexpect = { min_tests = 4 }",
    );
    ws.write("r/old.xml", report(0, 9, 0));
    ws.write("given", report(2, 0, 0));
    ws.run("t").says("report: 4 tests, 0 failed, 0 skipped");
    ws.write("given", report(1, 0, 0));
    ws.try_run("t").exit(1).says("holds 2 tests, fewer than 4");
}

#[test]
fn what_is_expected_is_part_of_the_key() {
    let tasks = |expect: &str| {
        format!(
            "[tasks.t]\nrun = 'cp given out.xml'\nsources = 'given'\noutputs = 'out.xml'\njunit = 'out.xml'\n{expect}"
        )
    };
    let ws = Workspace::new(&tasks(""));
    ws.write("given", report(2, 0, 1));
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.tasks(&tasks("expect = { max_skipped = 0 }"));
    ws.try_run("t").exit(1).says("1 skipped tests, more than 0");
    ws.tasks(&tasks("expect = { max_skipped = 1 }"));
    ws.run("t").tasks("t ran");
}

#[test]
fn an_expectation_of_no_report_is_refused() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nexpect = { min_tests = 1 }");
    ws.try_run("t").exit(2).says("`expect` without `junit`");
    ws.tasks("[tasks.t]\nrun = 'true'\njunit = 'a'\nexpect = { min_tests = 0 }");
    ws.try_run("t").exit(2).says("expected a positive integer");
    ws.tasks("[tasks.t]\nrun = 'true'\njunit = 'a'\nexpect = { max_skipped = -1 }");
    ws.try_run("t").exit(2).says("expected a whole number");
}
