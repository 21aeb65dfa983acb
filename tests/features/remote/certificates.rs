//! Certificates for tests, made by `openssl`: an authority, and what it signs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Who signs.
pub struct Authority {
    folder: tempfile::TempDir,
}

/// A certificate with its key, in PEM.
pub struct Signed {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// From when to when it is valid, as `openssl ca` reads it.
pub const VALID: (&str, &str) = ("20200101000000Z", "20990101000000Z");
pub const EXPIRED: (&str, &str) = ("20200101000000Z", "20200201000000Z");

/// Of its own, so that nothing depends on the system's.
const CONFIG: &str = "
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[ca]
default_ca = signing
[signing]
database = index
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
";
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

impl Authority {
    pub fn new(name: &str) -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(authority.path("config"), CONFIG).unwrap();
        fs::write(authority.path("index"), "").unwrap();
        let subject = format!("/CN={name}");
        let words = ["req", "-x509", "-config", "config", "-days", "20000", "-subj", &subject];
        authority.openssl(&[&words[..], &KEY, &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, words: &[&str]) {
        let done = Command::new("openssl").args(words).current_dir(self.folder.path()).output();
        let done = done.expect("openssl is installed");
        assert!(done.status.success(), "openssl {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr));
    }

    /// Its own certificate.
    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.path("ca.pem")).unwrap()
    }

    /// Signs one for `who`, as `openssl` writes a subjectAltName.
    pub fn sign(&self, who: &str, (from, to): (&str, &str)) -> Signed {
        let extensions = format!("basicConstraints = CA:FALSE\nsubjectAltName = {who}\n");
        fs::write(self.path("extensions"), extensions).unwrap();
        let request = ["req", "-new", "-config", "config", "-subj", "/CN=test"];
        self.openssl(&[&request[..], &KEY, &["-keyout", "key", "-out", "request"]].concat());
        let sign = ["ca", "-batch", "-notext", "-config", "config", "-extfile", "extensions"];
        self.openssl(&[&sign[..], &["-startdate", from, "-enddate", to, "-in", "request", "-out", "signed"]].concat());
        Signed { certificate: fs::read(self.path("signed")).unwrap(), key: fs::read(self.path("key")).unwrap() }
    }
}
