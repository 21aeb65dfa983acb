//! A call of `weir run` as it is to be typed again, with something more: the one place that writes such a command for people.

use super::args::RunArgs;
use super::project::Place;
use crate::model::shell_word;
use clap::ValueEnum as _;
use std::path::Path;

/// The command that was typed, with these arguments in place of those that were. Only `-n` is left out: what is offered
/// is there to do something.
pub fn again(place: &Place, args: &RunArgs) -> String {
    // By name each: one that is added has to find its place here.
    let RunArgs {
        tasks,
        force,
        force_all,
        jobs,
        dry_run: _,
        keep_going,
        explain,
        profile,
        output,
        report,
        iteration,
        resume,
        confirm,
        evidence_key,
        destroy,
        require_remote,
        remote_exec,
        isolated,
        arguments,
    } = args;
    let mut words = Words(vec!["weir".into()]);
    place.directories.iter().for_each(|folder| words.path("-C", Some(folder)));
    words.0.push("run".into());
    words.flag("-f", *force);
    words.flag("--force-all", *force_all);
    words.all(tasks);
    words.each("--profile", profile);
    words.each("--confirm", confirm);
    words.each("--destroy", destroy);
    words.option("--iteration", iteration.map(|number| number.to_string()));
    words.option("-j", jobs.map(|jobs| jobs.to_string()));
    words.flag("-k", *keep_going);
    words.flag("--explain", *explain);
    // What is the default is not said.
    let mode = output.to_possible_value().filter(|_| *output != super::args::OutputMode::Grouped);
    words.option("--output", mode.map(|mode| mode.get_name().to_owned()));
    words.path("--report", report.as_deref());
    words.path("--evidence-key", evidence_key.as_deref());
    words.flag("--require-remote", *require_remote);
    words.flag("--remote-exec", *remote_exec);
    words.flag("--isolated", *isolated);
    // Last of the flags: without a run it would take a task for one.
    words.flag("--resume", resume.is_some());
    words.all(resume.as_slice().iter().filter(|run| !run.is_empty()));
    words.flag("--", !arguments.is_empty());
    words.all(arguments);
    words.0.join(" ")
}

/// Words, quoted where a shell needs that.
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str, given: bool) {
        self.0.extend(given.then(|| name.to_owned()));
    }

    fn option(&mut self, name: &str, value: Option<String>) {
        self.each(name, value.as_slice());
    }

    fn path(&mut self, name: &str, path: Option<&Path>) {
        self.option(name, path.map(|path| path.to_string_lossy().into_owned()));
    }

    fn each(&mut self, name: &str, values: &[String]) {
        self.0.extend(values.iter().flat_map(|value| [name.to_owned(), shell_word(value)]));
    }

    fn all<'a>(&mut self, words: impl IntoIterator<Item = &'a String>) {
        self.0.extend(words.into_iter().map(|word| shell_word(word)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::{Cli, Command, command, directories};
    use super::*;
    use clap::FromArgMatches as _;
    use std::sync::Arc;

    fn parsed(words: &[&str]) -> (Place, RunArgs) {
        let matches = command().try_get_matches_from(words).unwrap();
        let Cli { command: Some(Command::Run(args)) } = Cli::from_arg_matches(&matches).unwrap() else {
            panic!("{words:?} is no run")
        };
        (Place { folder: "/".into(), directories: directories(&matches), outside: Arc::default() }, *args)
    }

    #[test]
    fn what_was_typed_is_typed_again() {
        for typed in [
            "weir run all",
            "weir -C sub -C dir run -f a b --profile ci --profile fast",
            "weir run --force-all s --confirm a --confirm b --destroy app --iteration 3 -j 4 -k --explain --output quiet \
             --report out.xml --evidence-key key.pem --require-remote --remote-exec --resume",
            "weir run t --isolated",
            "weir run --resume 20261121",
            "weir run t --resume -- -x --profile",
        ] {
            let (place, args) = parsed(&typed.split(' ').collect::<Vec<_>>());
            assert_eq!(again(&place, &args), typed);
        }
        let (place, args) = parsed(&["weir", "run", "-n", "test:*", "--", "it's", ""]);
        assert_eq!(again(&place, &args), r"weir run 'test:*' -- 'it'\''s' ''");
    }

    #[test]
    fn no_flag_is_forgotten() {
        let command = command();
        let run = command.find_subcommand("run").unwrap();
        let (place, args) = parsed(&[
            "weir",
            "-C",
            "d",
            "run",
            "-f",
            "--force-all",
            "t",
            "-j",
            "2",
            "-k",
            "--explain",
            "--profile",
            "p",
            "--output",
            "stream",
            "--report",
            "r.json",
            "--iteration",
            "1",
            "--confirm",
            "c",
            "--evidence-key",
            "k",
            "--destroy",
            "d",
            "--require-remote",
            "--remote-exec",
            "--resume",
            "1",
            "--",
            "a",
        ]);
        let text = again(&place, &args);
        // That one excludes another.
        for flag in run.get_opts().filter(|flag| !["dry_run", "help", "isolated"].contains(&flag.get_id().as_str())) {
            let long = flag.get_long().map(|long| format!(" --{long}"));
            let short = flag.get_short().map(|short| format!(" -{short}"));
            assert!(long.into_iter().chain(short).any(|flag| text.contains(&flag)), "{flag}: {text}");
        }
    }
}
