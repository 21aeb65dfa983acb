//! A recorded result as the Remote Execution API knows results: an Action that stands for the key, and an
//! ActionResult whose output tree keeps every blob alive on a server that forgets what nobody names.

use crate::cache::outputs::{Entry, EntryKind, Manifest};
use crate::cache::store::StoredResult;
use crate::model::Digest;
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::protobuf::{Timestamp, UInt32Value};
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The output that is the recorded result itself.
pub(super) const RESULT: &str = ".weir/result";
/// A recorded result is not larger than this.
pub(super) const LARGEST_RESULT: u64 = 64 << 20;

/// A message and the digest of its bytes.
pub(super) struct Encoded {
    /// Of the bytes.
    pub(super) digest: Digest,
    /// The message.
    pub(super) bytes: Vec<u8>,
}

impl Encoded {
    pub(super) fn of(message: &impl prost::Message) -> Self {
        let bytes = message.encode_to_vec();
        Self { digest: Digest::of(&bytes), bytes }
    }

    pub(super) fn named(&self) -> re::Digest {
        digest(&self.digest, self.bytes.len() as u64)
    }
}

/// A digest, on the wire.
pub(super) fn digest(of: &Digest, size: u64) -> re::Digest {
    re::Digest { hash: of.to_hex(), size_bytes: i64::try_from(size).unwrap_or(i64::MAX) }
}

/// Back from the wire.
pub(super) fn parse_digest(from: &re::Digest) -> Option<(Digest, u64)> {
    Some((from.hash.parse().ok()?, u64::try_from(from.size_bytes).ok()?))
}

/// The Action that stands for a key, and what it names. What a task depends on is all in the key,
/// which no server could make out of files: so the Action names the key, as its salt, and no files.
pub(super) struct KeyAction {
    /// The Action itself.
    pub(super) action: Encoded,
    /// Its Command: says for people, and for tools that show actions, what this is.
    pub(super) command: Encoded,
    /// Its input root: empty.
    pub(super) root: Encoded,
}

impl KeyAction {
    /// Of a key. The same for everybody, always.
    pub(super) fn new(key: &Digest) -> Self {
        let root = Encoded::of(&re::Directory::default());
        let command = Encoded::of(&re::Command {
            arguments: ["weir", "result", "1", &key.to_hex()].map(str::to_owned).to_vec(),
            output_paths: vec![RESULT.to_owned()],
            ..re::Command::default()
        });
        let action = Encoded::of(&re::Action {
            command_digest: Some(command.named()),
            input_root_digest: Some(root.named()),
            salt: key.as_bytes().to_vec(),
            ..re::Action::default()
        });
        Self { action, command, root }
    }

    /// Its name on the wire.
    pub(super) fn name(&self) -> re::Digest {
        self.action.named()
    }
}

/// The ActionResult of a recorded result.
pub(super) struct Packed {
    /// To be stored under the Action.
    pub(super) result: re::ActionResult,
    /// The recorded result.
    pub(super) record: Encoded,
    /// The tree of its outputs and each folder in it, for servers that go through either; nothing where
    /// there are no outputs.
    pub(super) trees: Vec<Encoded>,
}

/// Packs a recorded result, whose bytes as they are stored are `record`.
pub(super) fn pack(stored: &StoredResult, record: Vec<u8>) -> Packed {
    let record = Encoded { digest: Digest::of(&record), bytes: record };
    let outputs = &stored.recorded.outputs;
    let mut trees = Vec::new();
    let mut output_directories = Vec::new();
    if !outputs.0.is_empty() {
        let tree = tree(outputs, true);
        let root = Encoded::of(&tree.root.clone().unwrap_or_default());
        let whole = Encoded::of(&tree);
        output_directories.push(re::OutputDirectory {
            tree_digest: Some(whole.named()),
            root_directory_digest: Some(root.named()),
            ..re::OutputDirectory::default()
        });
        trees.extend([whole, root]);
        trees.extend(tree.children.iter().map(Encoded::of));
    }
    let ended = SystemTime::now();
    let started = ended.checked_sub(Duration::from_millis(stored.recorded.duration_ms)).unwrap_or(ended);
    let result = re::ActionResult {
        output_files: vec![re::OutputFile {
            path: RESULT.to_owned(),
            digest: Some(record.named()),
            ..re::OutputFile::default()
        }],
        output_directories,
        stdout_digest: stored.recorded.log.map(|(log, size)| digest(&log, size)),
        execution_metadata: Some(re::ExecutedActionMetadata {
            worker: concat!("weir ", env!("CARGO_PKG_VERSION")).to_owned(),
            execution_start_timestamp: timestamp(started),
            execution_completed_timestamp: timestamp(ended),
            ..re::ExecutedActionMetadata::default()
        }),
        ..re::ActionResult::default()
    };
    Packed { result, record, trees }
}

fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    let (seconds, nanos) = (i64::try_from(since.as_secs()).ok()?, i32::try_from(since.subsec_nanos()).ok()?);
    Some(Timestamp { seconds, nanos })
}

/// Where an ActionResult has the recorded result, and its bytes, if they came along.
pub(super) fn record_of(result: &re::ActionResult) -> Option<(Digest, u64, &[u8])> {
    let file = result.output_files.iter().find(|file| file.path == RESULT)?;
    let (digest, size) = parse_digest(file.digest.as_ref()?)?;
    Some((digest, size, &file.contents))
}

/// A folder in the making.
#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    leaves: Vec<(&'a str, &'a EntryKind)>,
}

/// The tree of all these paths, from the workspace's root; `modes`: with permissions beside the executable bit.
pub(super) fn tree(outputs: &Manifest, modes: bool) -> re::Tree {
    let mut root = Folder::default();
    for Entry { path, kind } in &outputs.0 {
        let mut here = &mut root;
        let mut parts = path.as_str().split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_some() || matches!(kind, EntryKind::Folder) {
                here = here.folders.entry(part).or_default();
            } else {
                here.leaves.push((part, kind));
            }
        }
    }
    let mut children = BTreeMap::new();
    let root = directory(&root, modes, &mut children);
    re::Tree { root: Some(root), children: children.into_values().collect() }
}

/// A folder as a Directory, everything in it sorted by name; those below it are added to `children`.
fn directory(folder: &Folder<'_>, modes: bool, children: &mut BTreeMap<Digest, re::Directory>) -> re::Directory {
    let mut directory = re::Directory::default();
    for (name, below) in &folder.folders {
        let below = self::directory(below, modes, children);
        let encoded = Encoded::of(&below);
        directory.directories.push(re::DirectoryNode { name: (*name).to_owned(), digest: Some(encoded.named()) });
        children.insert(encoded.digest, below);
    }
    for (name, kind) in &folder.leaves {
        let name = (*name).to_owned();
        match kind {
            EntryKind::File { digest: content, size, mode } => directory.files.push(re::FileNode {
                name,
                digest: Some(digest(content, *size)),
                is_executable: mode & 0o111 != 0,
                node_properties: modes.then(|| re::NodeProperties {
                    unix_mode: Some(UInt32Value { value: *mode }),
                    ..re::NodeProperties::default()
                }),
            }),
            EntryKind::Link { target } => {
                directory.symlinks.push(re::SymlinkNode { name, target: target.clone(), node_properties: None });
            }
            EntryKind::Folder => {}
        }
    }
    directory.files.sort_by(|a, b| a.name.cmp(&b.name));
    directory.symlinks.sort_by(|a, b| a.name.cmp(&b.name));
    directory
}

/// Who asks, as servers like to know.
pub(super) fn metadata() -> Vec<u8> {
    re::RequestMetadata {
        tool_details: Some(re::ToolDetails {
            tool_name: "weir".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        }),
        ..re::RequestMetadata::default()
    }
    .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WsPath;

    fn file(path: &str, content: &str, mode: u32) -> Entry {
        let kind = EntryKind::File { digest: Digest::of(content.as_bytes()), size: content.len() as u64, mode };
        Entry { path: WsPath::from_clean(path), kind }
    }

    #[test]
    fn a_tree_is_canonical_and_holds_each_folder_once() {
        let link = Entry { path: WsPath::from_clean("out/a/z"), kind: EntryKind::Link { target: "../b".into() } };
        let empty = Entry { path: WsPath::from_clean("out/e"), kind: EntryKind::Folder };
        let manifest = Manifest(vec![
            file("out/a/x", "x", 0o755),
            file("out/a/y", "y", 0o644),
            link,
            file("out/b/same", "s", 0o644),
            file("out/c/same", "s", 0o644),
            empty,
        ]);
        let tree = tree(&manifest, true);
        let root = tree.root.unwrap();
        assert_eq!(root.directories.len(), 1);
        let find = |node: &re::DirectoryNode| {
            let (wanted, _) = parse_digest(node.digest.as_ref().unwrap()).unwrap();
            tree.children.iter().find(|child| Encoded::of(*child).digest == wanted).unwrap()
        };
        let out = find(&root.directories[0]);
        let names: Vec<&str> = out.directories.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "e"]);
        let a = find(&out.directories[0]);
        assert_eq!(
            a.files.iter().map(|file| (file.name.as_str(), file.is_executable)).collect::<Vec<_>>(),
            [("x", true), ("y", false)]
        );
        assert_eq!(a.symlinks[0].target, "../b");
        assert_eq!(out.directories[1].digest, out.directories[2].digest);
        assert_eq!(find(&out.directories[3]), &re::Directory::default());
        // out, a, b (and c), e.
        assert_eq!(tree.children.len(), 4);
    }

    /// Other versions of weir, and other machines, must find what this one left.
    #[test]
    fn the_action_of_a_key_stays() {
        let action = KeyAction::new(&Digest::of(b"weir"));
        assert_eq!(action.root.digest, Digest::of(b""));
        assert_eq!(action.action.digest.to_hex(), "6fdaa7aa168dc1292a1b2bdfc9ec865defaf52f667116c1ba0eb05025e6ab540");
    }
}
