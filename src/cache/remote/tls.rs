//! TLS, and what went wrong with it in words: it is said in the first call, if at all.

use super::breaker::Fault;
use crate::cache::sharing::RemoteSettings;
use std::error::Error;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// What TLS says, what that means, and what to do.
const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "UnknownIssuer",
        "its certificate is signed by nobody who is trusted here",
        "name the certificate of its authority in `ca_file`",
    ),
    (
        "BadSignature",
        "its certificate is signed by nobody who is trusted here",
        "name the certificate of its authority in `ca_file`",
    ),
    (
        "certificate expired",
        "its certificate has expired",
        "tell whoever runs that server, and look at this machine's clock",
    ),
    (
        "not valid yet",
        "its certificate is not valid yet",
        "tell whoever runs that server, and look at this machine's clock",
    ),
    ("not valid for", "its certificate is for another name", "write a name that is in its certificate into `endpoint`"),
    ("InvalidContentType", "it does not speak TLS", "write `grpc://` if it is meant to be without TLS"),
    ("native certs", "there are no authorities on this system", "name the certificate of its authority in `ca_file`"),
    (
        "parsing TLS certificate",
        "a certificate in `ca_file` or `cert_file` is damaged",
        "`openssl x509 -noout -subject -in FILE` reads it if it is whole",
    ),
    (
        "parsing TLS private key",
        "the key in `key_file` is damaged, or of a kind that is not known",
        "`openssl pkey -noout -in FILE` reads it if it is whole",
    ),
    (
        "KeyMismatch",
        "the key in `key_file` is not that of the certificate in `cert_file`",
        "name the two that belong together",
    ),
];
/// How TLS says that the client's certificate is not liked.
const ALERTS: &[&str] = &[
    "CertificateRequired",
    "HandshakeFailure",
    "BadCertificate",
    "UnknownCA",
    "CertificateExpired",
    "CertificateUnknown",
    "DecryptError",
    "AccessDenied",
];
/// How a connection says that the other side has broken it off. Often it is all that is left of an alert.
const BREAKS: &[&str] =
    &["connection closed", "connection error", "onnection reset", "roken pipe", "frame with invalid size"];

/// The innermost reason: that of the transport says only that it failed.
pub(super) fn innermost(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// With the system's authorities and those that are named. A system may have none.
pub(super) fn secured(endpoint: Endpoint, settings: &RemoteSettings) -> Result<Endpoint, Fault> {
    let mut config = ClientTlsConfig::new();
    if let Some(pem) = &settings.authorities {
        config = config.ca_certificate(Certificate::from_pem(pem));
    }
    if let Some((certificate, key)) = &settings.identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    let secured = match endpoint.clone().tls_config(config.clone().with_native_roots()) {
        Err(_) if settings.authorities.is_some() => endpoint.tls_config(config),
        other => other,
    };
    secured.map_err(|error| {
        let said = innermost(&error);
        meaning(&said).unwrap_or_else(|| Fault::Unfit(format!("the certificates: {said}")))
    })
}

/// What a fault of the first call means. `shows`: there is TLS, and whether the client shows a certificate.
pub(super) fn read(fault: Fault, shows: Option<bool>) -> Fault {
    let Fault::Status(_, said) = &fault else { return fault };
    let holds = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    let Some(shows) = shows else {
        if holds(BREAKS) {
            let does = "which is what a server does that speaks TLS (`grpcs://`), or something else than gRPC";
            return Fault::Unfit(format!("it breaks off ({said}), {does}"));
        }
        return fault;
    };
    if let Some(meaning) = meaning(said) {
        return meaning;
    }
    if !holds(ALERTS) && !holds(BREAKS) {
        return fault;
    }
    let (which, help) = if shows {
        (
            "does not accept the certificate in `cert_file`",
            "`openssl x509 -noout -issuer -enddate -in FILE` says who signed it and how long it is valid",
        )
    } else {
        ("wants a certificate and is shown none", "name one in `cert_file`, and its key in `key_file`")
    };
    Fault::Untrusted(format!("it breaks off ({said}), which is what a server does that {which}"), help)
}

fn meaning(said: &str) -> Option<Fault> {
    let (_, what, help) = MEANINGS.iter().find(|(part, ..)| said.contains(part))?;
    Some(Fault::Untrusted((*what).to_owned(), help))
}
