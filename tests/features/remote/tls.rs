//! The remote through TLS: who is trusted, who is let in, and what is said where that fails.

use super::certificates::{Authority, EXPIRED, Signed, VALID};
use super::farm::Farm;
use super::{PATIENT, TASKS, outputs, remote_notices};
use crate::support::Workspace;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// How the fake server is reached.
const HERE: &str = "IP:127.0.0.1";

fn serving(server: &Signed) -> ServerTlsConfig {
    ServerTlsConfig::new().identity(Identity::from_pem(&server.certificate, &server.key))
}

fn asking(server: &Signed, clients: &Authority) -> ServerTlsConfig {
    serving(server).client_ca_root(Certificate::from_pem(clients.certificate()))
}

/// A checkout of `TASKS`, with the keys of `[remote]` that say what is trusted and shown, and their files.
fn checkout(address: &str, authority: Option<&Authority>, client: Option<&Signed>) -> Workspace {
    let mut keys = format!("endpoint = '{address}'\ntimeout = '{PATIENT}'\n");
    let ws = Workspace::new("");
    if let Some(authority) = authority {
        ws.write("ca.pem", authority.certificate());
        keys.push_str("ca_file = 'ca.pem'\n");
    }
    if let Some(client) = client {
        ws.write("client.pem", &client.certificate);
        ws.write("client.key", &client.key);
        keys.push_str("cert_file = 'client.pem'\nkey_file = 'client.key'\n");
    }
    ws.tasks(&format!("[remote]\n{keys}{TASKS}"));
    ws.write("src/a", "content");
    ws
}

/// Results are shared between two checkouts.
fn shares(make: &dyn Fn() -> Workspace) {
    let (a, b) = (make(), make());
    a.run("gen").tasks("gen ran").says("1 given");
    b.run("gen").tasks("gen hit").says("1 hit");
    assert_eq!(outputs(&a), outputs(&b));
    b.weir(&["doctor"]).ok().says("ok   remote");
}

/// The run goes on without the server, and says why, as does `weir doctor`.
fn is_refused(ws: &Workspace, why: &str, help: &str) {
    let ran = ws.run("gen").tasks("gen ran").says("this run goes on without it");
    let told = remote_notices(&ran);
    assert!(told.len() == 1 && told[0].contains(why), "{why}: {told:?}");
    ws.weir(&["doctor"]).go().exit(1).says("BAD  remote").says(why).says(help);
}

#[test]
fn whom_weir_trusts() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let server = authority.sign(HERE, VALID);
    let farm = Farm::with_tls(serving(&server));
    shares(&|| checkout(&farm.address, Some(&authority), None));
    let unknown = "its certificate is signed by nobody who is trusted here";
    is_refused(&checkout(&farm.address, None, None), unknown, "`ca_file`");
    is_refused(&checkout(&farm.address, Some(&other), None), unknown, "`ca_file`");
    let calls = farm.all_calls();
    let expired = Farm::with_tls(serving(&authority.sign(HERE, EXPIRED)));
    is_refused(&checkout(&expired.address, Some(&authority), None), "its certificate has expired", "clock");
    let elsewhere = Farm::with_tls(serving(&authority.sign("DNS:cache.example", VALID)));
    is_refused(
        &checkout(&elsewhere.address, Some(&authority), None),
        "its certificate is for another name",
        "`endpoint`",
    );
    // Nothing is asked of whoever is not trusted.
    assert_eq!((farm.all_calls(), expired.all_calls(), elsewhere.all_calls()), (calls, 0, 0));
}

#[test]
fn whom_the_server_trusts() {
    let (authority, clients, other) = (Authority::new("authority"), Authority::new("clients"), Authority::new("other"));
    let farm = Farm::with_tls(asking(&authority.sign(HERE, VALID), &clients));
    let client = clients.sign("DNS:builder", VALID);
    shares(&|| checkout(&farm.address, Some(&authority), Some(&client)));
    let calls = farm.all_calls();
    let files = "`cert_file`";
    is_refused(
        &checkout(&farm.address, Some(&authority), None),
        "a server does that wants a certificate and is shown none",
        files,
    );
    let stranger = other.sign("DNS:builder", VALID);
    is_refused(
        &checkout(&farm.address, Some(&authority), Some(&stranger)),
        "a server does that does not accept the certificate in `cert_file`",
        "-enddate",
    );
    let old = clients.sign("DNS:builder", EXPIRED);
    is_refused(
        &checkout(&farm.address, Some(&authority), Some(&old)),
        "a server does that does not accept the certificate in `cert_file`",
        "-enddate",
    );
    let mixed = Signed { certificate: client.certificate, key: old.key };
    is_refused(
        &checkout(&farm.address, Some(&authority), Some(&mixed)),
        "is not that of the certificate in `cert_file`",
        "belong together",
    );
    assert_eq!(farm.all_calls(), calls);
}

#[test]
fn a_scheme_that_the_server_does_not_speak() {
    let authority = Authority::new("authority");
    let (plain, secured) = (Farm::new(), Farm::with_tls(serving(&authority.sign(HERE, VALID))));
    let to_plain = plain.address.replace("grpc://", "grpcs://");
    is_refused(&checkout(&to_plain, Some(&authority), None), "it does not speak TLS", "`grpc://`");
    let to_secured = secured.address.replace("grpcs://", "grpc://");
    is_refused(&checkout(&to_secured, None, None), "a server does that speaks TLS (`grpcs://`)", "");
    assert_eq!((plain.all_calls(), secured.all_calls()), (0, 0));
}

/// A container may have no authorities at all.
#[test]
fn a_system_without_authorities() {
    let authority = Authority::new("authority");
    let farm = Farm::with_tls(serving(&authority.sign(HERE, VALID)));
    let nobody = |ws: &Workspace, words: &[&str]| {
        let nothing = ws.root().join("nothing");
        ws.weir(words).env("SSL_CERT_FILE", &nothing).env("SSL_CERT_DIR", &nothing).go()
    };
    let ws = checkout(&farm.address, Some(&authority), None);
    nobody(&ws, &["run", "gen"]).success().says("1 given");
    let ws = checkout(&farm.address, None, None);
    let ran = nobody(&ws, &["run", "gen"]).success().says("this run goes on without it");
    assert_eq!(remote_notices(&ran).len(), 1);
    nobody(&ws, &["doctor"]).exit(1).says("no authorities").says("`ca_file`");
}

#[test]
fn files_that_hold_something_else() {
    let authority = Authority::new("authority");
    let client = authority.sign("DNS:builder", VALID);
    for (file, content, said) in [
        ("ca.pem", "", "`ca.pem`, the `ca_file` of the remote, holds no certificate"),
        ("ca.pem", "-----BEGIN PRIVATE KEY-----\n", "`ca.pem`, the `ca_file` of the remote, holds no certificate"),
        ("client.pem", "no PEM", "`client.pem`, the `cert_file` of the remote, holds no certificate"),
        ("client.key", "no PEM", "`client.key`, the `key_file` of the remote, holds no key"),
        ("client.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "holds a key that is encrypted"),
    ] {
        let ws = checkout("grpcs://127.0.0.1:1", Some(&authority), Some(&client));
        ws.write(file, content);
        ws.try_run("gen").exit(2).says(said).says("help:");
        ws.weir(&["doctor"]).go().exit(1).says(said);
    }
    let ws = checkout("grpcs://127.0.0.1:1", Some(&authority), Some(&client));
    ws.write("ca.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    is_refused(&ws, "a certificate in `ca_file` or `cert_file` is damaged", "openssl x509");
}
