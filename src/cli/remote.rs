//! The server that results are shared through, as tasks.toml and the environment name it.

use super::error::CliError;
use super::project::Place;
use crate::cache::{RemoteSettings, RemoteStore};
use crate::config::{Compression, Config, RemoteMode, parse_endpoint};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may stay silent, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server, not talked to yet.
pub struct Opened {
    /// It.
    pub store: Arc<dyn RemoteStore>,
    /// Where it is.
    pub endpoint: String,
}

/// The server that is configured, if one is and may be used.
///
/// # Errors
/// What is configured does not hold, or what it names is not there.
pub fn open(place: &Place, config: &Config, required: bool) -> Result<Option<Opened>, CliError> {
    let Some(settings) = settings(place, config, required)? else {
        if required {
            let help = "`[remote]` in tasks.toml names one, or `WEIR_REMOTE`; `mode = \"off\"` takes it away";
            return Err(CliError::usage("`--require-remote`, and no remote is configured", help));
        }
        return Ok(None);
    };
    let endpoint = settings.endpoint.clone();
    Ok(Some(Opened { store: connect(settings)?, endpoint }))
}

#[cfg(feature = "remote")]
fn connect(settings: RemoteSettings) -> Result<Arc<dyn RemoteStore>, CliError> {
    Ok(Arc::new(crate::cache::Remote::new(settings)))
}

#[cfg(not(feature = "remote"))]
fn connect(settings: RemoteSettings) -> Result<Arc<dyn RemoteStore>, CliError> {
    let message = format!("the remote `{}` can't be used: this weir was built without it", settings.endpoint);
    Err(CliError::usage(message, "build it with the feature `remote`, or set `WEIR_REMOTE_MODE=off`"))
}

fn settings(place: &Place, config: &Config, required: bool) -> Result<Option<RemoteSettings>, CliError> {
    let remote = &config.remote;
    let variable = |name: &str| place.outside.get(name).filter(|value| !value.is_empty());
    let mode = match variable("WEIR_REMOTE_MODE") {
        Some(word) => RemoteMode::parse(&word).ok_or_else(|| {
            CliError::usage(format!("`WEIR_REMOTE_MODE` is `{word}`"), "it is `read-write`, `read-only` or `off`")
        })?,
        None => remote.mode.unwrap_or(RemoteMode::ReadWrite),
    };
    let endpoint = match variable("WEIR_REMOTE") {
        Some(endpoint) => match parse_endpoint(&endpoint) {
            Ok(_) => Some(endpoint),
            Err(why) => {
                let message = format!("`WEIR_REMOTE` is `{endpoint}`, which is no endpoint: {why}");
                return Err(CliError::usage(message, "write `grpc://HOST:PORT` or `grpcs://HOST:PORT`"));
            }
        },
        None => remote.endpoint.as_ref().map(|endpoint| endpoint.value.clone()),
    };
    let Some(endpoint) = endpoint.filter(|_| mode != RemoteMode::Off) else { return Ok(None) };
    let read = |what: &str, path: &str| read(&config.root, what, path);
    let pem = |what: &str, path: &str, holds: Pem| {
        let bytes = read(what, path)?;
        holds.check(&bytes).map(|()| bytes).map_err(|why| {
            let message = format!("`{path}`, the `{what}` of the remote, {why}");
            CliError::usage(message, format!("`{what}` names {}", holds.named()))
        })
    };
    let mut headers: Vec<(String, String)> =
        remote.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let token = match (variable("WEIR_REMOTE_TOKEN"), &remote.token_env, &remote.token_file) {
        (Some(token), ..) => Some(token),
        (None, Some(name), _) => Some(variable(name).ok_or_else(|| {
            let message = format!("`{name}`, which holds the token for the remote, is not set");
            CliError::usage(message, format!("set `{name}`, or do without: `WEIR_REMOTE_MODE=off`"))
        })?),
        (None, None, Some(path)) => {
            let bytes = read("token_file", path)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        (None, None, None) => None,
    };
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    headers.extend(token.iter().map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
    let authorities = remote.ca_file.as_ref().map(|path| pem("ca_file", path, Pem::Certificates)).transpose()?;
    let identity = match (&remote.cert_file, &remote.key_file) {
        (Some(certificate), Some(key)) => {
            Some((pem("cert_file", &certificate.value, Pem::Certificates)?, pem("key_file", &key.value, Pem::Key)?))
        }
        _ => None,
    };
    let settings = RemoteSettings {
        endpoint,
        instance: variable("WEIR_REMOTE_INSTANCE").or_else(|| remote.instance.clone()).unwrap_or_default(),
        writes: mode == RemoteMode::ReadWrite,
        headers,
        authorities,
        identity,
        patience: remote.timeout.unwrap_or(PATIENCE),
        compression: remote.compression == Some(Compression::Zstd),
        required,
        platform: remote.platform.clone(),
    };
    Ok(Some(settings))
}

fn read(root: &Path, what: &str, path: &str) -> Result<Vec<u8>, CliError> {
    std::fs::read(root.join(path)).map_err(|error| {
        let message = format!("failed to read `{path}`, the `{what}` of the remote: {error}");
        CliError::usage(message, "make it readable, or do without: `WEIR_REMOTE_MODE=off`")
    })
}

/// What a file in PEM has to hold. A library that finds nothing in it says so late, or not at all.
#[derive(Clone, Copy)]
enum Pem {
    Certificates,
    Key,
}

impl Pem {
    fn named(self) -> &'static str {
        match self {
            Self::Certificates => "a file with certificates in PEM: `-----BEGIN CERTIFICATE-----`",
            Self::Key => "a file with a key in PEM, not encrypted: `-----BEGIN PRIVATE KEY-----`",
        }
    }

    fn check(self, bytes: &[u8]) -> Result<(), &'static str> {
        let text = String::from_utf8_lossy(bytes);
        let begins = |what: fn(&str) -> bool| {
            text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")).any(what)
        };
        match self {
            Self::Certificates if !begins(|what| what == "CERTIFICATE") => Err("holds no certificate"),
            Self::Key if begins(|what| what == "ENCRYPTED PRIVATE KEY") => Err("holds a key that is encrypted"),
            Self::Key if !begins(|what| what.ends_with("PRIVATE KEY")) => Err("holds no key"),
            _ => Ok(()),
        }
    }
}
