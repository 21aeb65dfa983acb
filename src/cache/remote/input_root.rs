//! What a server is to do, as an Action: the Command, and the input root, folder by folder, with exactly the files that are
//! named.

use super::proto::{self, Encoded};
use super::transfer::{Content, Given};
use crate::cache::outputs::{Entry, EntryKind, Manifest};
use crate::cache::sharing::Order;
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::protobuf::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An Action, and all that it names.
pub(super) struct Prepared {
    /// Its name on the wire.
    pub(super) name: re::Digest,
    /// The Action, its Command, the folders of its input root, and their files.
    pub(super) blobs: BTreeMap<crate::model::Digest, Given>,
}

/// Prepares an order; `platform` lies below its own.
pub(super) fn prepare(order: &Order<'_>, platform: &BTreeMap<String, String>) -> Prepared {
    let mut blobs = BTreeMap::new();
    let root = input_root(order, &mut blobs);
    let mut properties = platform.clone();
    properties.extend(order.errand.platform.clone());
    let properties =
        properties.into_iter().map(|(name, value)| re::platform::Property { name, value }).collect::<Vec<_>>();
    let platform = (!properties.is_empty()).then_some(re::Platform { properties });
    let mut command = re::Command {
        arguments: order.errand.arguments.clone(),
        environment_variables: order
            .errand
            .env
            .iter()
            .map(|(name, value)| re::command::EnvironmentVariable { name: name.clone(), value: value.clone() })
            .collect(),
        output_paths: order.outputs.iter().map(|path| path.as_str().to_owned()).collect(),
        ..re::Command::default()
    };
    // Servers of version 2.1 and before read it here.
    #[allow(deprecated, reason = "as above")]
    {
        command.platform = platform.clone();
    }
    let command = Encoded::of(&command);
    let action = Encoded::of(&re::Action {
        command_digest: Some(command.named()),
        input_root_digest: Some(root),
        timeout: Some(Duration {
            seconds: i64::try_from(order.errand.timeout.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(order.errand.timeout.subsec_nanos()).unwrap_or_default(),
        }),
        platform,
        ..re::Action::default()
    });
    let name = action.named();
    put(&mut blobs, command);
    put(&mut blobs, action);
    Prepared { name, blobs }
}

fn put(blobs: &mut BTreeMap<crate::model::Digest, Given>, message: Encoded) {
    let (digest, size) = (message.digest, message.bytes.len() as u64);
    blobs.insert(digest, Given { digest, size, content: Content::Bytes(Arc::new(message.bytes)) });
}

/// The input root; adds its folders and files to `blobs`.
fn input_root(order: &Order<'_>, blobs: &mut BTreeMap<crate::model::Digest, Given>) -> re::Digest {
    for Entry { path, kind } in &order.inputs.0 {
        if let EntryKind::File { digest, size, .. } = kind {
            let content = Content::Lies(path.under(order.root));
            blobs.entry(*digest).or_insert(Given { digest: *digest, size: *size, content });
        }
    }
    let dir = &order.errand.dir;
    let known = order.inputs.0.iter().any(|entry| entry.path.is_within(dir));
    let tree = if dir.is_root() || known {
        proto::tree(order.inputs, false)
    } else {
        let mut inputs: Manifest = order.inputs.clone();
        inputs.0.push(Entry { path: dir.clone(), kind: EntryKind::Folder });
        proto::tree(&inputs, false)
    };
    let root = Encoded::of(&tree.root.unwrap_or_default());
    let name = root.named();
    put(blobs, root);
    tree.children.iter().map(Encoded::of).for_each(|folder| put(blobs, folder));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, WsPath};
    use crate::node::Errand;
    use std::path::Path;

    fn order<'a>(errand: &'a Errand, inputs: &'a Manifest, outputs: &'a [WsPath]) -> Order<'a> {
        Order { errand, inputs, root: Path::new("/ws"), outputs, keeps: &|_| true, anew: false }
    }

    fn errand() -> Errand {
        Errand {
            arguments: vec!["/bin/sh".into()],
            env: vec![("A".into(), "1".into())],
            dir: WsPath::from_clean("sub/dir"),
            timeout: std::time::Duration::from_millis(1500),
            platform: BTreeMap::from([("OSFamily".into(), "linux".into())]),
            secrets: false,
            unlike: "weir: ".into(),
        }
    }

    fn decode<M: prost::Message + Default>(prepared: &Prepared, digest: Option<&re::Digest>) -> M {
        let (digest, _) = proto::parse_digest(digest.unwrap()).unwrap();
        match &prepared.blobs[&digest].content {
            Content::Bytes(bytes) => M::decode(bytes.as_slice()).unwrap(),
            _ => panic!("no message"),
        }
    }

    #[test]
    fn an_action_holds_what_it_was_given_and_nothing_else() {
        let file = |path: &str, mode| Entry {
            path: WsPath::from_clean(path),
            kind: EntryKind::File { digest: Digest::of(path.as_bytes()), size: 5, mode },
        };
        let link = Entry { path: WsPath::from_clean("src/l"), kind: EntryKind::Link { target: "a".into() } };
        let inputs = Manifest(vec![file("src/a", 0o640), file("src/x", 0o700), link]);
        let (errand, outputs) = (errand(), [WsPath::from_clean("out")]);
        let prepared = prepare(&order(&errand, &inputs, &outputs), &BTreeMap::from([("pool".into(), "big".into())]));
        let action: re::Action = decode(&prepared, Some(&prepared.name));
        let command: re::Command = decode(&prepared, action.command_digest.as_ref());
        assert_eq!(
            (command.output_paths.as_slice(), command.working_directory.as_str()),
            (&["out".to_owned()][..], "")
        );
        let properties = action.platform.unwrap().properties;
        assert_eq!(properties.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["OSFamily", "pool"]);
        assert_eq!(action.timeout, Some(Duration { seconds: 1, nanos: 500_000_000 }));
        let root: re::Directory = decode(&prepared, action.input_root_digest.as_ref());
        let names: Vec<&str> = root.directories.iter().map(|folder| folder.name.as_str()).collect();
        assert_eq!(names, ["src", "sub"]);
        let src: re::Directory = decode(&prepared, root.directories[0].digest.as_ref());
        // Two checkouts with other umasks ask for the same.
        assert!(src.files.iter().all(|file| file.node_properties.is_none()));
        assert_eq!(src.files.iter().map(|file| file.is_executable).collect::<Vec<_>>(), [false, true]);
        assert_eq!(src.symlinks[0].target, "a");
        assert_eq!(prepared.blobs.len(), 2 + 2 + 4, "files, messages, root, src, sub and sub/dir");
    }

    #[test]
    fn the_same_order_is_the_same_action() {
        let (errand, inputs) = (errand(), Manifest::default());
        let name =
            |errand: &Errand, outputs: &[WsPath]| prepare(&order(errand, &inputs, outputs), &BTreeMap::new()).name;
        assert_eq!(name(&errand, &[]), name(&errand, &[]));
        assert_ne!(name(&errand, &[]), name(&errand, &[WsPath::from_clean("o")]));
        assert_ne!(name(&errand, &[]), name(&Errand { env: vec![], ..errand.clone() }, &[]));
    }
}
