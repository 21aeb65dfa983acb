//! Who descends from whom, read from `/proc`. Elsewhere than on Linux nobody is found, and only
//! process groups are reached.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A process as the system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Its main thread has ended. (Others may run on: such a process can still be signalled.)
    pub(super) zombie: bool,
    /// Its short name.
    pub(super) name: OsString,
}

/// Everything that descends from `ancestor`, without the branches that begin with one of `spared`.
pub(super) fn descendants(ancestor: i32, spared: &[i32]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut branches = vec![ancestor];
    while let Some(parent) = branches.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            if !spared.contains(&child.pid) {
                branches.push(child.pid);
                found.push(child);
            }
        }
    }
    found
}

/// Every process there is; one that ends meanwhile is left out.
fn all() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        entry.file_name().to_str()?.parse::<i32>().ok()?;
        parse(&std::fs::read(entry.path().join("stat")).ok()?)
    })
}

/// `proc_pid_stat(5)`: `pid (name) state parent group …`; the name may hold anything, `)` too.
fn parse(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?;
    let mut rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?.split_ascii_whitespace();
    let zombie = rest.next()? == "Z";
    let parent = rest.next()?.parse().ok()?;
    let group = rest.next()?.parse().ok()?;
    let name = OsString::from_vec(stat.get(open + 1..close)?.to_vec());
    Some(Process { pid, parent, group, zombie, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let name = OsString::from("a) (b\n");
        let process = Process { pid: 12, parent: 3, group: 4, zombie: true, name };
        assert_eq!(parse(b"12 (a) (b\n) Z 3 4 5 0 -1"), Some(process));
        assert_eq!(parse(b"12 (a"), None);
        assert_eq!(parse(b""), None);
    }
}
