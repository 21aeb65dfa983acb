//! What an action left, from the ActionResult and the Trees it names: verified, bounded, and never anything that was not
//! asked for.

use super::Inner;
use super::breaker::Fault;
use super::proto::parse_digest;
use crate::cache::outputs::{Entry, EntryKind, Manifest};
use crate::cache::sharing::Order;
use crate::model::{Digest, WsPath};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use prost::Message as _;
use std::collections::BTreeMap;

/// Paths that one action may leave.
const MOST: usize = 1 << 20;
/// Bytes of a path.
const LONGEST: usize = 4096;
/// Permissions, as a umask of 022 leaves them.
const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// All that an action left of what was ordered, sorted by path.
pub(super) fn outputs_of(inner: &Inner, result: &re::ActionResult, order: &Order<'_>) -> Result<Manifest, Fault> {
    let mut left = Left { order, entries: BTreeMap::new() };
    for file in &result.output_files {
        left.add(left.ordered(&file.path)?, file_kind(file.digest.as_ref(), file.is_executable)?)?;
    }
    // Servers of version 2.0 tell of links to files and to folders apart.
    #[allow(deprecated, reason = "as above")]
    let older = result.output_file_symlinks.iter().chain(&result.output_directory_symlinks);
    for link in result.output_symlinks.iter().chain(older) {
        left.add(left.ordered(&link.path)?, EntryKind::Link { target: link.target.clone() })?;
    }
    for folder in &result.output_directories {
        let path = left.ordered(&folder.path)?;
        let (digest, size) =
            folder.tree_digest.as_ref().and_then(parse_digest).ok_or_else(|| odd("a folder without a tree"))?;
        let bytes = if size == 0 { vec![] } else { inner.take_bytes(&digest, size)? };
        let tree = re::Tree::decode(bytes.as_slice()).map_err(|_| odd("a folder that is no Tree"))?;
        left.tree(&path, &tree)?;
    }
    Ok(Manifest(left.entries.into_iter().map(|(path, kind)| Entry { path, kind }).collect()))
}

fn odd(what: &str) -> Fault {
    Fault::Corrupt(format!("the result of a task has {what}"))
}

fn file_kind(digest: Option<&re::Digest>, executable: bool) -> Result<EntryKind, Fault> {
    let (digest, size) = digest.and_then(parse_digest).ok_or_else(|| odd("a file without a digest"))?;
    Ok(EntryKind::File { digest, size, mode: if executable { EXECUTABLE } else { PLAIN } })
}

struct Left<'a> {
    order: &'a Order<'a>,
    entries: BTreeMap<WsPath, EntryKind>,
}

impl Left<'_> {
    /// A path that was ordered, and not another.
    fn ordered(&self, path: &str) -> Result<WsPath, Fault> {
        let ordered = self.order.outputs.iter().find(|ordered| ordered.as_str() == path);
        ordered.cloned().ok_or_else(|| odd("a path that was not ordered"))
    }

    fn add(&mut self, path: WsPath, kind: EntryKind) -> Result<(), Fault> {
        if !(self.order.keeps)(&path) {
            return Ok(());
        }
        if self.entries.len() >= MOST {
            return Err(odd("more paths than any task leaves"));
        }
        if self.entries.insert(path, kind).is_some() { Err(odd("a path twice")) } else { Ok(()) }
    }

    /// Everything below a folder.
    fn tree(&mut self, path: &WsPath, tree: &re::Tree) -> Result<(), Fault> {
        let root = tree.root.as_ref().ok_or_else(|| odd("a Tree without a root"))?;
        let children: BTreeMap<Digest, &re::Directory> =
            tree.children.iter().map(|child| (Digest::of(&child.encode_to_vec()), child)).collect();
        let mut rest = vec![(path.clone(), root)];
        // A few folders that name each other many times over can make up very many paths.
        let mut folders = 0;
        while let Some((path, folder)) = rest.pop() {
            folders += 1;
            if folders > MOST {
                return Err(odd("more folders than any task leaves"));
            }
            if folder.files.is_empty() && folder.symlinks.is_empty() && folder.directories.is_empty() {
                self.add(path, EntryKind::Folder)?;
                continue;
            }
            for file in &folder.files {
                self.add(inside(&path, &file.name)?, file_kind(file.digest.as_ref(), file.is_executable)?)?;
            }
            for link in &folder.symlinks {
                self.add(inside(&path, &link.name)?, EntryKind::Link { target: link.target.clone() })?;
            }
            for below in &folder.directories {
                let (digest, _) =
                    below.digest.as_ref().and_then(parse_digest).ok_or_else(|| odd("a folder without a digest"))?;
                let child = children.get(&digest).ok_or_else(|| odd("a folder that its Tree lacks"))?;
                rest.push((inside(&path, &below.name)?, child));
            }
        }
        Ok(())
    }
}

/// A name in a folder, and nothing that leads out of it.
fn inside(folder: &WsPath, name: &str) -> Result<WsPath, Fault> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    if plain && folder.as_str().len() + name.len() < LONGEST {
        Ok(folder.join(name))
    } else {
        Err(odd("a name that no file has"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::remote::Remote;
    use crate::cache::sharing::RemoteSettings;
    use crate::node::Errand;
    use std::path::Path;
    use std::time::Duration;

    fn digest(of: &[u8]) -> Option<re::Digest> {
        Some(crate::cache::remote::proto::digest(&Digest::of(of), of.len() as u64))
    }

    fn file(name: &str) -> re::FileNode {
        re::FileNode { name: name.into(), digest: digest(name.as_bytes()), ..re::FileNode::default() }
    }

    fn folder(name: &str, of: &re::Directory) -> re::DirectoryNode {
        re::DirectoryNode { name: name.into(), digest: digest(&of.encode_to_vec()) }
    }

    /// Below `out`, where `out/no` is not wanted.
    fn left(tree: &re::Tree) -> Result<Vec<String>, String> {
        let errand = Errand {
            arguments: vec![],
            env: vec![],
            dir: WsPath::root(),
            timeout: Duration::ZERO,
            platform: BTreeMap::new(),
            secrets: false,
            unlike: String::new(),
        };
        let outputs = [WsPath::from_clean("out")];
        let keeps = |path: &WsPath| path.as_str() != "out/no";
        let order = Order {
            errand: &errand,
            inputs: &Manifest::default(),
            root: Path::new("/"),
            outputs: &outputs,
            keeps: &keeps,
            anew: false,
        };
        let mut left = Left { order: &order, entries: BTreeMap::new() };
        left.tree(&outputs[0], tree).map_err(|fault| format!("{fault:?}"))?;
        Ok(left.entries.into_keys().map(|path| path.as_str().to_owned()).collect())
    }

    #[test]
    fn a_tree_is_walked_to_its_leaves() {
        let deep = re::Directory { files: vec![file("x")], ..re::Directory::default() };
        let empty = re::Directory::default();
        let link = re::SymlinkNode { name: "l".into(), target: "x".into(), node_properties: None };
        let root = re::Directory {
            files: vec![file("a"), file("no")],
            directories: vec![folder("d", &deep), folder("e", &empty), folder("f", &deep)],
            symlinks: vec![link],
            ..re::Directory::default()
        };
        let tree = re::Tree { root: Some(root), children: vec![deep, empty] };
        assert_eq!(left(&tree).unwrap(), ["out/a", "out/d/x", "out/e", "out/f/x", "out/l"]);
    }

    #[test]
    fn what_leads_out_or_never_ends_is_refused() {
        for name in ["..", ".", "", "a/b", "/etc/passwd"] {
            let root = re::Directory { files: vec![file(name)], ..re::Directory::default() };
            assert!(left(&re::Tree { root: Some(root), children: vec![] }).is_err(), "{name}");
        }
        let twice = re::Directory { files: vec![file("a"), file("a")], ..re::Directory::default() };
        assert!(left(&re::Tree { root: Some(twice), children: vec![] }).unwrap_err().contains("twice"));
        let lost =
            re::Directory { directories: vec![folder("d", &re::Directory::default())], ..re::Directory::default() };
        assert!(left(&re::Tree { root: Some(lost), children: vec![] }).unwrap_err().contains("lacks"));
        // Each folder holds the one before it twice: 2^40 paths in 40 messages.
        let mut children = vec![re::Directory { files: vec![file("x")], ..re::Directory::default() }];
        for _ in 0..40 {
            let last = children.last().unwrap();
            let both = vec![folder("a", last), folder("b", last)];
            children.push(re::Directory { directories: both, ..re::Directory::default() });
        }
        let bomb = re::Tree { root: children.pop(), children };
        assert!(left(&bomb).unwrap_err().contains("more"));
    }

    #[test]
    fn only_what_was_ordered_is_taken() {
        let errand = Errand {
            arguments: vec![],
            env: vec![],
            dir: WsPath::root(),
            timeout: Duration::ZERO,
            platform: BTreeMap::new(),
            secrets: false,
            unlike: String::new(),
        };
        let order = Order {
            errand: &errand,
            inputs: &Manifest::default(),
            root: Path::new("/"),
            outputs: &[WsPath::from_clean("out/a")],
            keeps: &|_| true,
            anew: false,
        };
        let remote = Remote::new(RemoteSettings {
            endpoint: "grpc://127.0.0.1:1".into(),
            instance: String::new(),
            writes: false,
            headers: vec![],
            authorities: None,
            identity: None,
            patience: Duration::from_secs(1),
            compression: false,
            required: false,
            platform: BTreeMap::new(),
        });
        let named = |path: &str| re::ActionResult {
            output_files: vec![re::OutputFile { path: path.into(), digest: digest(b"x"), ..re::OutputFile::default() }],
            ..re::ActionResult::default()
        };
        let taken = outputs_of(&remote.inner, &named("out/a"), &order).unwrap();
        assert_eq!(taken.0.len(), 1);
        for path in ["out/b", "out", "../out/a", "/etc/passwd", ""] {
            assert!(outputs_of(&remote.inner, &named(path), &order).is_err(), "{path}");
        }
    }
}
