//! A task's commands as one errand for another machine: a script for its `/bin/sh`, which finds the folder it is in, makes
//! sure that the machine is what the key says, and runs the commands as they would be run here.

use crate::config::{Action, Execute, Task};
use crate::model::{FailReason, Observation, PartKind, TaskName};
use crate::node::{Errand, Travel};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Where programs are looked for, unless the task sets PATH itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The digest of a program's file; a shell's own command of that name is none.
const DIGEST_OF: &str = "weir_digest_of() {
  case $1 in */*) sha256sum <\"$1\"; return ;; esac
  set -f; IFS=:
  for weir_at in $PATH; do
    if [ -f \"$weir_at/$1\" ] && [ -x \"$weir_at/$1\" ]; then sha256sum <\"$weir_at/$1\"; return; fi
  done
}
";
/// What the script ends with where the machine is another than the key says.
const UNLIKE: i32 = 86;

/// Whether a task with a command may be run elsewhere.
pub(super) fn travel(task: &Task) -> Travel {
    match (task.execute.as_ref().map(|said| said.value), task.bound_here()) {
        (Some(Execute::Here), _) => Travel::Never(Some("it has `execute = false`".into())),
        (_, Some(bound)) => Travel::Never(Some(bound.describe())),
        (Some(Execute::There { .. }), None) => Travel::Always,
        (None, None) => Travel::IfAsked,
    }
}

/// A task with a command, on its way elsewhere.
pub(super) struct Elsewhere<'a> {
    pub(super) task: &'a Task,
    pub(super) name: &'a TaskName,
    pub(super) arguments: &'a [String],
    pub(super) timeout: Duration,
}

impl Elsewhere<'_> {
    /// The errand, with this environment.
    pub(super) fn errand(
        &self,
        mut env: BTreeMap<String, String>,
        observed: &[Observation],
    ) -> Result<Errand, FailReason> {
        let path = env.remove("PATH").unwrap_or_else(|| PATH.to_owned());
        let unlike = "weir: this is not the machine that the key was made on: ".to_owned();
        let script = self.script(&path, observed, &unlike)?;
        Ok(Errand {
            arguments: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
            env: env.into_iter().collect(),
            dir: self.task.dir.value.clone(),
            timeout: self.timeout,
            platform: self.task.platform.clone(),
            secrets: self.task.execute.as_ref().is_some_and(|said| said.value == Execute::There { secrets: true }),
            unlike,
        })
    }

    fn script(&self, path: &str, observed: &[Observation], unlike: &str) -> Result<String, FailReason> {
        let mut script = String::from("exec 2>&1 </dev/null\nWEIR_WORKSPACE=$PWD PATH=");
        for folder in &self.task.path {
            let _ = write!(script, "\"$PWD\"/{}:", quoted(folder.as_str()));
        }
        let _ = writeln!(script, "{}\nexport WEIR_WORKSPACE PATH", quoted(path));
        let dir = &self.task.dir.value;
        if !dir.is_root() {
            let _ = writeln!(script, "cd {} || exit", quoted(&format!("./{}", dir.as_str())));
        }
        if observed.iter().any(|observation| observation.kind == PartKind::Program) {
            script += DIGEST_OF;
        }
        for observation in observed {
            script += &self.check(observation, unlike)?;
        }
        let commands: Vec<String> = match &self.task.action {
            Action::Shell(texts) => texts.iter().map(|text| self.shell(text)).collect(),
            Action::Exec(words) => vec![listed(words.iter().chain(self.arguments))],
            Action::Uses(_) | Action::Soak(_) | Action::Group { .. } => vec![],
        };
        script += &commands.join(" &&\n");
        script.push('\n');
        Ok(script)
    }

    /// A command for the task's shell, arguments as `"$@"`.
    fn shell(&self, text: &str) -> String {
        let own = [text.to_owned(), self.name.as_str().to_owned()];
        listed(self.task.shell.iter().chain(&own).chain(self.arguments))
    }

    /// Lines that go on only where the same is observed there.
    fn check(&self, observation: &Observation, unlike: &str) -> Result<String, FailReason> {
        let Observation { kind, name, value } = observation;
        let no = |what: &str| format!("{{ printf '%s\\n' {}; exit {UNLIKE}; }}\n", quoted(&format!("{unlike}{what}")));
        match kind {
            PartKind::Program => {
                let (version, digest) = value.rsplit_once(' ').unwrap_or(("", value));
                let program = quoted(name);
                let no = no(&format!("program `{name}`"));
                let mut lines =
                    format!("[ \"$(weir_digest_of {program})\" = {} ] || {no}", quoted(&format!("{digest}  -")));
                // One file may stand for several programs: a version manager's shim.
                if version != "(tells no version)" {
                    let _ = write!(
                        lines,
                        "[ \"$({program} --version 2>&1 | head -c 4096 | sed -e 's/[[:space:]]*$//')\" = {} ] || {no}",
                        quoted(&lines_trimmed(version))
                    );
                }
                Ok(lines)
            }
            PartKind::Probe => {
                let no = no(&format!("what `{name}` prints"));
                let printed = value.trim_end_matches('\n');
                Ok(format!("[ \"$({} 2>&1)\" = {} ] || {no}", self.shell(name), quoted(printed)))
            }
            _ => Err(FailReason::Inputs {
                message: format!("`{name}` is in its key, and is only known on this machine"),
                help: Some("`execute = false` runs the task here".into()),
            }),
        }
    }
}

fn lines_trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// Words for a shell.
fn listed<'w>(words: impl Iterator<Item = &'w String>) -> String {
    words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word for a shell, in single quotes.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use std::path::Path;

    fn errand(task: &str, arguments: &[&str], observed: &[Observation]) -> Errand {
        let text = format!("version = 1\n[tasks.\"it's\"]\nsources = ['a']\noutputs = ['o']\n{task}");
        let loaded = load_text(Path::new("/nowhere/tasks.toml"), &text, &[]);
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let task = &loaded.config.tasks[0];
        assert_eq!(travel(task), Travel::IfAsked);
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let elsewhere = Elsewhere { task, name: &task.name, arguments: &arguments, timeout: Duration::from_secs(1) };
        elsewhere.errand(BTreeMap::from([("A".to_owned(), "b c".to_owned())]), observed).unwrap()
    }

    /// In a folder of its own: what it prints, and how it ends.
    fn run(errand: &Errand) -> (String, Option<i32>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(errand.dir.under(folder.path())).unwrap();
        let output = std::process::Command::new(&errand.arguments[0])
            .args(&errand.arguments[1..])
            .env_clear()
            .envs(errand.env.iter().cloned())
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "both streams are one: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let real = folder.path().canonicalize().unwrap();
        let printed = printed.replace(real.to_str().unwrap(), "ROOT");
        (printed.replace(folder.path().to_str().unwrap(), "ROOT"), output.status.code())
    }

    #[test]
    fn words_arrive_as_they_are() {
        let task = "run = ['''printf '<%s>' \"$0\" \"$@\" \"$A\"; echo''', 'echo err >&2; pwd; echo $WEIR_WORKSPACE']\ndir = 'it s'\n";
        let (printed, code) = run(&errand(task, &["a b", "c'd", "", "$A"], &[]));
        assert_eq!(printed, "<it's><a b><c'd><><$A><b c>\nerr\nROOT/it s\nROOT\n");
        assert_eq!(code, Some(0));
        let (printed, _) = run(&errand("exec = ['printf', '%s.']", &["x y", "'"], &[]));
        assert_eq!(printed, "x y.'.");
    }

    #[test]
    fn the_first_failure_ends_it() {
        let (printed, code) = run(&errand("run = ['echo a', 'exit 7', 'echo b']", &[], &[]));
        assert_eq!((printed.as_str(), code), ("a\n", Some(7)));
        // The task's shell is told of a failing pipe, the script's need not know one.
        assert_eq!(run(&errand("run = 'false | true'", &[], &[])).1, Some(1));
        assert_eq!(run(&errand("run = 'false | true'\nshell = ['sh', '-c']", &[], &[])).1, Some(0));
    }

    #[test]
    fn its_own_path_comes_first() {
        let task = "run = 'echo $PATH'\npath = ['bin', 'b c']";
        assert_eq!(run(&errand(task, &[], &[])).0, format!("ROOT/bin:ROOT/b c:{PATH}\n"));
    }

    #[test]
    fn another_machine_than_the_key_says_is_told() {
        let observation =
            |kind, name: &str, value: &str| Observation { kind, name: name.to_owned(), value: value.to_owned() };
        let probe = |value: &str| observation(PartKind::Probe, "echo '1  2'; echo 3", value);
        let task = "run = 'echo ran'";
        assert_eq!(run(&errand(task, &[], &[probe("1  2\n3\n")])), ("ran\n".to_owned(), Some(0)));
        let other = errand(task, &[], &[probe("1 2\n3\n")]);
        assert_eq!(run(&other), (format!("{}what `echo '1  2'; echo 3` prints\n", other.unlike), Some(UNLIKE)));
        let sh = which::which_in("sh", Some(PATH), "/").unwrap();
        let digest = crate::fingerprint::digest_file(&sh).unwrap().digest;
        let program = |value: String| observation(PartKind::Program, "sh", &value);
        assert_eq!(run(&errand(task, &[], &[program(format!("(tells no version) {digest}"))])).0, "ran\n");
        for wrong in [format!("(tells no version) {}", "0".repeat(64)), format!("weirsh 1.0 {digest}")] {
            let other = errand(task, &[], &[program(wrong)]);
            assert_eq!(run(&other), (format!("{}program `sh`\n", other.unlike), Some(UNLIKE)));
        }
    }
}
