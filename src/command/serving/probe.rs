//! What tells that a service is ready: an address that answers, a line of its output, a command that succeeds.

use super::listener;
use crate::config;
use crate::model::{FailReason, format_duration};
use crate::node::Context;
use crate::process::{Command, Exit, capture};
use regex::Regex;
use std::ffi::OsString;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one question may take: a probe that hangs is asked again, on a new line.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to see that nobody is there yet.
const GLANCE: Duration = Duration::from_millis(500);
/// How much of an answer is read.
const ANSWER: usize = 4096;

/// What tells that a service is ready, its variables filled in.
#[derive(Debug, Clone)]
pub enum Probe {
    /// `GET` of a path, answered with 2xx or 3xx.
    Http {
        /// Where.
        address: Address,
        /// From the `/` on.
        path: String,
    },
    /// A connection is taken.
    Tcp(Address),
    /// A line of the output matches.
    Log(Regex),
    /// A command succeeds; as it was written, and as it is run.
    Command(String, Box<Command>),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// `HOST:PORT`, `[HOST]:PORT`, or a port of this machine.
    fn parse(text: &str, port: Option<u16>) -> Option<Self> {
        let (host, port) = match (text.rsplit_once(':'), port) {
            _ if text.ends_with(']') => (text, port?),
            (Some((host, given)), _) => (host, given.parse().ok()?),
            (None, Some(port)) => (text, port),
            (None, None) => ("", text.parse().ok()?),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        (port != 0).then(|| Self { host: host.to_owned(), port })
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect((self.host.as_str(), self.port)).await
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Probe {
    /// As declared, for a service with these variables; `shell` makes a command of what `ready` says.
    ///
    /// # Errors
    /// It names a variable that the service does not have, or no address.
    pub fn new(
        declared: &config::Probe,
        env: &[(OsString, OsString)],
        shell: impl FnOnce(&str) -> Result<Command, FailReason>,
    ) -> Result<Self, FailReason> {
        let address = |text: &str, port, whole: &str| {
            Address::parse(text, port).ok_or_else(|| FailReason::Inputs {
                message: format!("`{whole}` in `ready` names no host and port"),
                help: Some("write `HOST:PORT`, with a port from 1 to 65535".into()),
            })
        };
        match declared {
            config::Probe::Http(url) => {
                let url = fill(url, env)?;
                let rest = url.trim_start_matches("http://");
                let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (place, path) = rest.split_at(at);
                let path = path.split('#').next().unwrap_or_default();
                let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
                Ok(Self::Http { address: address(place, Some(80), &url)?, path: path.replace(' ', "%20") })
            }
            config::Probe::Tcp(text) => {
                let text = fill(text, env)?;
                Ok(Self::Tcp(address(&text, None, &text)?))
            }
            config::Probe::Log(pattern) => {
                let filled = fill_known(pattern, env, regex::escape).0;
                Regex::new(&filled).map(Self::Log).map_err(|error| FailReason::Inputs {
                    message: format!("`{filled}` in `ready` is no regular expression: {error}"),
                    help: None,
                })
            }
            config::Probe::Command(text) => Ok(Self::Command(text.clone(), Box::new(shell(text)?))),
        }
    }

    /// What was waited for, for people.
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Http { address, path } => format!("`http://{address}{path}` does not answer with 2xx or 3xx"),
            Self::Tcp(address) => format!("`{address}` takes no connection"),
            Self::Log(pattern) => format!("it printed no line that matches `{pattern}`"),
            Self::Command(text, _) => format!("`{text}` does not succeed"),
        }
    }

    /// Before the start: somebody else is at its address, and would be taken for it.
    pub(super) async fn taken(&self) -> Option<FailReason> {
        let (Self::Http { address, .. } | Self::Tcp(address)) = self else { return None };
        let there = timeout(GLANCE, address.connect()).await.is_ok_and(|connected| connected.is_ok());
        there.then(|| {
            let who = listener::who(address.port).map(|who| format!(": {who}")).unwrap_or_default();
            FailReason::Node {
                message: format!("not started: something else listens on `{address}` already{who}"),
                help: Some("end that, or give the service another port".into()),
            }
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why it is not ready.
    pub(super) async fn ask(&self, context: &Context) -> Result<(), String> {
        let late = format!("no answer within {}", format_duration(PATIENCE));
        match self {
            Self::Http { address, path } => timeout(PATIENCE, get(address, path)).await.unwrap_or(Err(late)),
            Self::Tcp(address) => {
                let connected = timeout(PATIENCE, address.connect()).await;
                connected.map_or(Err(late), |connected| connected.map(drop).map_err(|error| words(&error)))
            }
            Self::Log(_) => Ok(()),
            Self::Command(_, command) => match capture(&context.guard, (**command).clone(), PATIENCE, ANSWER).await {
                Ok(ended) if ended.timed_out => Err(late),
                Ok(ended) => match ended.exit {
                    Exit::Code(0) => Ok(()),
                    Exit::Code(code) => {
                        let said = String::from_utf8_lossy(&ended.output);
                        let last = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
                        Err(format!("exit status {code}{last}"))
                    }
                    Exit::Signal(name) => Err(format!("ended by {name}")),
                },
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

/// One request; the status line of the answer decides.
async fn get(address: &Address, path: &str) -> Result<(), String> {
    let mut stream = address.connect().await.map_err(|error| words(&error))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: weir\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| words(&error))?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < ANSWER {
        if stream.read_buf(&mut answer).await.map_err(|error| words(&error))? == 0 {
            break;
        }
    }
    match status(&answer) {
        Some(200..400) => Ok(()),
        Some(status) => Err(format!("it answers with {status}")),
        None if answer.is_empty() => Err("it ends the connection without an answer".into()),
        None => Err("its answer is no HTTP".into()),
    }
}

/// `HTTP/1.1 200 OK`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

/// What went wrong, without the system's number.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => error.to_string(),
    }
}

/// `text` with its variables.
fn fill(text: &str, env: &[(OsString, OsString)]) -> Result<String, FailReason> {
    let (filled, unknown) = fill_known(text, env, str::to_owned);
    match unknown {
        None => Ok(filled),
        Some(name) => Err(FailReason::Inputs {
            message: format!("`{text}` in `ready` names `${name}`, which is not set for the service"),
            help: Some(format!("add `env = {{ {name} = … }}` or `env_inputs = [\"{name}\"]`, or correct the name")),
        }),
    }
}

/// `text` with the variables there are, each made fit by `with`, and the first name that is none. `$$` is a dollar.
fn fill_known(text: &str, env: &[(OsString, OsString)], with: impl Fn(&str) -> String) -> (String, Option<String>) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut filled = String::new();
    let mut unknown = None;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, next) = match braced {
            Some((name, next)) => (name, next),
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_name);
        // The last of equal names counts.
        let value = env.iter().rev().find(|(known, _)| starts && known.to_str() == Some(name));
        if let Some((_, value)) = value {
            filled.push_str(&with(&value.to_string_lossy()));
            rest = next;
        } else if let Some(next) = after.strip_prefix('$') {
            filled.push('$');
            rest = next;
        } else {
            if starts {
                unknown.get_or_insert_with(|| name.to_owned());
            }
            filled.push('$');
            rest = after;
        }
    }
    filled.push_str(rest);
    (filled, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Vec<(OsString, OsString)> {
        [("PORT", "3000"), ("HOST", "a.b"), ("PORT", "4000")].map(|(name, value)| (name.into(), value.into())).into()
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, filled) in [
            ("http://$HOST:$PORT/x", "http://a.b:4000/x"),
            ("${HOST}x:${PORT}0", "a.bx:40000"),
            ("$$PORT $ $1 100%", "$PORT $ $1 100%"),
            ("plain", "plain"),
        ] {
            assert_eq!(fill(text, &env()).unwrap(), filled, "{text}");
        }
        assert!(fill("http://$HOSTS/", &env()).unwrap_err().describe().contains("`$HOSTS`"));
    }

    #[test]
    fn of_a_pattern_only_what_is_known_is_filled_in_literally() {
        assert_eq!(fill_known("^on $HOST:$PORT$", &env(), regex::escape).0, r"^on a\.b:4000$");
        assert_eq!(fill_known("a$|b$c", &env(), regex::escape).0, "a$|b$c");
    }

    #[test]
    fn addresses() {
        let parse = |text, port| Address::parse(text, port).map(|address| address.to_string());
        for (text, port, address) in [
            ("3000", None, Some("127.0.0.1:3000")),
            (":3000", None, Some("127.0.0.1:3000")),
            ("localhost:1", None, Some("localhost:1")),
            ("[::1]:80", None, Some("[::1]:80")),
            ("[::1]", Some(80), Some("[::1]:80")),
            ("localhost", Some(80), Some("localhost:80")),
            ("localhost", None, None),
            ("localhost:x", Some(80), None),
            ("localhost:0", None, None),
            ("localhost:70000", None, None),
        ] {
            assert_eq!(parse(text, port).as_deref(), address, "{text}");
        }
    }

    #[test]
    fn urls() {
        let probe = |url: &str| Probe::new(&config::Probe::Http(url.into()), &env(), |_| unreachable!());
        let parts = |url: &str| match probe(url) {
            Ok(Probe::Http { address, path }) => format!("{address} {path}"),
            other => format!("{other:?}"),
        };
        assert_eq!(parts("http://$HOST:$PORT"), "a.b:4000 /");
        assert_eq!(parts("http://x/health?a=b#c"), "x:80 /health?a=b");
        assert_eq!(parts("http://x?a b"), "x:80 /?a%20b");
        assert!(probe("http://:x/").is_err());
    }

    #[test]
    fn the_status_line_decides() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\nx: y\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        assert_eq!(status(b"SSH-2.0 200"), None);
        assert_eq!(status(b""), None);
    }
}
