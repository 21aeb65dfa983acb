//! `[remote]`: the server that results are shared through.

use super::diagnostic::{At, Located};
use super::edges::TEXT;
use super::execute::{PLATFORM, platform};
use super::keys::{Key, Scope, Set, Shape};
use super::values::{Entry, Reader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const FILE: Shape = Shape::Text("file");

/// `[remote]`, profiles applied. Everything in it may be absent: the environment may name the server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Remote {
    /// `grpc://HOST:PORT` or `grpcs://HOST:PORT`, found valid.
    pub endpoint: Option<Located<String>>,
    /// The server's instance.
    pub instance: Option<String>,
    /// What is done with it.
    pub mode: Option<RemoteMode>,
    /// Sent with each call.
    pub headers: BTreeMap<String, String>,
    /// The variable that holds a bearer token.
    pub token_env: Option<String>,
    /// The file that holds a bearer token.
    pub token_file: Option<String>,
    /// Certificates of authorities, in PEM.
    pub ca_file: Option<String>,
    /// The client's certificate, in PEM.
    pub cert_file: Option<Located<String>>,
    /// Its key, in PEM.
    pub key_file: Option<Located<String>>,
    /// How long the server may stay silent.
    pub timeout: Option<Duration>,
    /// It runs what it can run, and not only what says so.
    pub execute: Option<bool>,
    /// Properties of the machines that tasks run on there.
    pub platform: BTreeMap<String, String>,
    /// How blobs cross the line.
    pub compression: Option<Compression>,
}

/// How blobs cross the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// As zstd, where the server offers it.
    Zstd,
    /// As they are.
    None,
}

impl Compression {
    /// As written.
    pub const WORDS: [(&'static str, Self); 2] = [("zstd", Self::Zstd), ("none", Self::None)];
}

/// What is done with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteMode {
    /// Results are taken from it, and given to it.
    ReadWrite,
    /// Results are taken from it.
    ReadOnly,
    /// Nothing.
    Off,
}

impl RemoteMode {
    /// As written.
    pub const WORDS: [(&'static str, Self); 3] =
        [("read-write", Self::ReadWrite), ("read-only", Self::ReadOnly), ("off", Self::Off)];

    /// The one that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, mode)| *mode)
    }
}

/// Whether an endpoint asks for TLS, and the host and port it names.
///
/// # Errors
/// Why it is none.
pub fn parse_endpoint(text: &str) -> Result<(bool, &str), &'static str> {
    let (tls, rest) = match text.split_once("://") {
        Some(("grpc", rest)) => (false, rest),
        Some(("grpcs", rest)) => (true, rest),
        Some(_) => return Err("weir speaks `grpc://` and `grpcs://`"),
        None => return Err("it does not begin with `grpc://` or `grpcs://`"),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("a path has no meaning here; the server's instance is named by `instance`");
    }
    if authority.contains('@') {
        return Err("a user and a password have no meaning here; a token comes from `token_env` or `token_file`");
    }
    let (host, port) = authority.rsplit_once(':').ok_or("it names no port")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => {
            address.contains(':') && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
        }
        None => !host.is_empty() && host.chars().all(plain),
    };
    match (is_host, port.parse::<u16>()) {
        (false, _) => Err("it names no host"),
        (true, Err(_) | Ok(0)) => Err("its port is no number from 1 to 65535"),
        (true, Ok(_)) => Ok((tls, authority)),
    }
}

/// Whether weir itself, or gRPC, uses a header of this name; or nobody can.
fn unusable(name: &str) -> Option<&'static str> {
    let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(token) {
        return Some("use lower-case letters, digits, `-`, `_` and `.`");
    }
    let own = name.starts_with("grpc-") || name.ends_with("-bin") || matches!(name, "te" | "content-type" | "host");
    own.then_some("gRPC uses this name itself")
}

const fn key(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<Remote>,
) -> Key<Set<Remote>> {
    Key::new(name, shape, example, doc, read)
}

/// `[remote]`.
pub(super) static REMOTE: Scope<Set<Remote>> = Scope {
    what: "`[remote]`",
    keys: &[
        key(
            "endpoint",
            TEXT,
            "\"grpcs://cache.example:443\"",
            "The server: `grpc://HOST:PORT`, or `grpcs://HOST:PORT` with TLS. `WEIR_REMOTE` replaces it.",
            |remote, reader, entry| {
                let Some(endpoint) = reader.located(entry.value) else { return };
                match parse_endpoint(&endpoint.value) {
                    Ok(_) => remote.endpoint = Some(endpoint),
                    Err(why) => reader.bad_value(
                        endpoint.at,
                        format!("`{}` is no endpoint: {why}", endpoint.value),
                        "write `grpc://HOST:PORT` or `grpcs://HOST:PORT`",
                    ),
                }
            },
        ),
        key(
            "instance",
            TEXT,
            "\"main\"",
            "The server's instance; none by default. `WEIR_REMOTE_INSTANCE` replaces it.",
            |remote, reader, entry| {
                let Some(instance) = reader.located(entry.value) else { return };
                if instance.value.split('/').any(|part| matches!(part, "blobs" | "uploads" | "")) {
                    let message = format!("`{}` is no name of an instance", instance.value);
                    reader.bad_value(instance.at, message, "no part of it may be empty, `blobs` or `uploads`");
                } else {
                    remote.instance = Some(instance.value);
                }
            },
        ),
        key(
            "mode",
            Shape::Words(&["read-write", "read-only", "off"]),
            "\"read-only\"",
            "What is done with it: results are taken and given (`\"read-write\"`, the default), only taken, or neither. `WEIR_REMOTE_MODE` replaces it.",
            |remote, reader, entry| remote.mode = reader.choice(entry.value, &RemoteMode::WORDS).or(remote.mode),
        ),
        key(
            "headers",
            Shape::Map(&TEXT),
            "{ x-team = \"build\" }",
            "Headers sent with each call. A secret belongs into `token_env` or `token_file`.",
            headers,
        ),
        key(
            "token_env",
            Shape::Text("variable"),
            "\"CACHE_TOKEN\"",
            "The variable that holds a bearer token. `WEIR_REMOTE_TOKEN`, where it is set, is taken before it.",
            |remote, reader, entry| {
                let Some(name) = reader.located(entry.value) else { return };
                if reader.variable(&name.value, name.at, false) {
                    remote.token_env = Some(name.value);
                }
            },
        ),
        key(
            "token_file",
            FILE,
            "\"/run/secrets/cache-token\"",
            "The file that holds a bearer token, absolute or relative to the workspace.",
            |remote, reader, entry| remote.token_file = reader.text(entry.value),
        ),
        key(
            "ca_file",
            FILE,
            "\"/etc/ssl/build-ca.pem\"",
            "Certificates, in PEM, that the server's is checked with beside the system's.",
            |remote, reader, entry| remote.ca_file = reader.text(entry.value),
        ),
        key(
            "cert_file",
            FILE,
            "\"/etc/ssl/build-client.pem\"",
            "The certificate, in PEM, that weir shows the server.",
            |remote, reader, entry| remote.cert_file = reader.located(entry.value),
        ),
        key(
            "key_file",
            FILE,
            "\"/etc/ssl/build-client.key\"",
            "The key of `cert_file`, in PEM.",
            |remote, reader, entry| {
                remote.key_file = reader.located(entry.value);
            },
        ),
        key(
            "timeout",
            Shape::Duration,
            "\"2s\"",
            "How long the server may stay silent before the run goes on without it; 2 s by default.",
            |remote, reader, entry| remote.timeout = reader.duration(entry.value).or(remote.timeout),
        ),
        key(
            "execute",
            Shape::Bool,
            "true",
            "Whether it also runs the tasks that say nothing of `execute` and can be run elsewhere; not by default. `WEIR_REMOTE_EXECUTE` replaces it.",
            |remote, reader, entry| remote.execute = reader.boolean(entry.value).or(remote.execute),
        ),
        key(
            "platform",
            PLATFORM,
            "{ OSFamily = \"linux\" }",
            "Properties of the machines that tasks run on there, below those that a task names in its own `platform`. In no key: a task whose result depends on them names them itself.",
            |remote, reader, entry| remote.platform.extend(platform(reader, entry.value)),
        ),
        key(
            "compression",
            Shape::Words(&["zstd", "none"]),
            "\"zstd\"",
            "How blobs cross the line: as `\"zstd\"` where the server offers it, or as they are (`\"none\"`, the default).",
            |remote, reader, entry| {
                remote.compression = reader.choice(entry.value, &Compression::WORDS).or(remote.compression);
            },
        ),
    ],
    unbuilt: &[],
};

fn headers(remote: &mut Remote, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let Some(table) = reader.table(entry.value) else { return };
    for (name, value) in table {
        let at = reader.at(name.span());
        if let Some(why) = unusable(name.get_ref()) {
            reader.bad_value(at, format!("`{}` is no name of a header", name.get_ref()), why);
            continue;
        }
        let Some(text) = reader.located(value) else { continue };
        if text.value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            remote.headers.insert(name.get_ref().clone().into_owned(), text.value);
        } else {
            reader.bad_value(text.at, "a header holds visible ASCII characters and spaces", "write it so");
        }
    }
}

/// What does not fit together once the file and its profiles are read.
pub(super) fn check_remote(reader: &mut Reader<'_>, remote: &Remote) {
    let mut lone = |there: &Option<Located<String>>, missing: &Option<Located<String>>, what: &str, needed: &str| {
        let at: Option<At> = there.as_ref().filter(|_| missing.is_none()).map(|there| there.at);
        if let Some(at) = at {
            reader.bad_value(
                at,
                format!("`{what}` without `{needed}`"),
                &format!("add `{needed}`, or remove `{what}`"),
            );
        }
    };
    lone(&remote.cert_file, &remote.key_file, "cert_file", "key_file");
    lone(&remote.key_file, &remote.cert_file, "key_file", "cert_file");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, expected) in [
            ("grpc://localhost:8980", Ok((false, "localhost:8980"))),
            ("grpcs://cache.example:443/", Ok((true, "cache.example:443"))),
            ("grpc://[::1]:50051", Ok((false, "[::1]:50051"))),
        ] {
            assert_eq!(parse_endpoint(text), expected, "{text}");
        }
        for bad in [
            "",
            "localhost:1",
            "http://a:1",
            "grpc://",
            "grpc://a",
            "grpc://:1",
            "grpc://a:0",
            "grpc://a:99999",
            "grpc://a:1/x",
            "grpc://u:p@a:1",
            "grpc://[::z]:1",
            "grpc://a b:1",
        ] {
            assert!(parse_endpoint(bad).is_err(), "{bad}");
        }
    }
}
