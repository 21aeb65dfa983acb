//! A record as others verify it: an in-toto Statement in a DSSE envelope, signed with ed25519 where there is a key.
//!
//! Formats: in-toto Statement v1 <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>, DSSE v1
//! <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.

use super::record::Record;
use crate::model::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// The type of a Statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what a Statement says here: a record, by `schema/json/evidence.schema.json`.
const PREDICATE_TYPE: &str = "urn:weir:evidence:v1";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A DSSE envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// What is in it: the Statement, in base64.
    pub payload: String,
    /// What kind of thing that is.
    pub payload_type: String,
    /// Signatures; none where no key was given.
    pub signatures: Vec<Signed>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// SHA-256 of the public key, as DER.
    pub keyid: String,
    /// In base64.
    pub sig: String,
}

/// Why a key is no good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// It can't be read.
    Read(String),
    /// It is no ed25519 key in PEM.
    Format,
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(why) => write!(f, "failed to read it: {why}"),
            Self::Format => f.write_str("it is no ed25519 key in PEM"),
        }
    }
}

/// A key pair, or its public half.
pub enum Key {
    /// Signs and verifies.
    Private(Box<SigningKey>),
    /// Verifies.
    Public(Box<VerifyingKey>),
}

impl Key {
    /// Reads a key: PKCS #8 (private) or SubjectPublicKeyInfo (public), in PEM, as `openssl genpkey` writes them.
    ///
    /// # Errors
    /// It can't be read, or is none.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path).map_err(|error| KeyError::Read(error.to_string()))?;
        if let Ok(key) = SigningKey::from_pkcs8_pem(text.trim()) {
            return Ok(Self::Private(Box::new(key)));
        }
        VerifyingKey::from_public_key_pem(text.trim())
            .map(|key| Self::Public(Box::new(key)))
            .map_err(|_| KeyError::Format)
    }

    fn public(&self) -> VerifyingKey {
        match self {
            Self::Private(key) => key.verifying_key(),
            Self::Public(key) => **key,
        }
    }

    /// SHA-256 of the public key's bytes.
    pub fn id(&self) -> String {
        Digest::of(self.public().as_bytes()).to_hex()
    }
}

/// What is signed: DSSE's pre-authentication encoding.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut all = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    all.extend_from_slice(payload);
    all
}

impl Envelope {
    /// Around a record, whose file has these bytes.
    pub fn new(record: &Record, bytes: &[u8], key: Option<&Key>) -> Self {
        let mut subjects = vec![json!({
            "name": format!("{}.json", record.check_id),
            "digest": { "sha256": Digest::of(bytes).to_hex() },
        })];
        if let Some(sha) = &record.git_sha {
            subjects.push(json!({ "name": "git", "digest": { "gitCommit": sha } }));
        }
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": PREDICATE_TYPE,
            "predicate": record,
        });
        let payload = statement.to_string().into_bytes();
        let signatures = match key {
            Some(key @ Key::Private(private)) => {
                let signature = private.sign(&encoded(PAYLOAD_TYPE, &payload));
                vec![Signed { keyid: key.id(), sig: STANDARD.encode(signature.to_bytes()) }]
            }
            _ => vec![],
        };
        Self { payload: STANDARD.encode(&payload), payload_type: PAYLOAD_TYPE.to_owned(), signatures }
    }

    /// The Statement in it.
    ///
    /// # Errors
    /// It is no envelope of a Statement; in words.
    pub fn statement(&self) -> Result<Value, String> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(format!("its payload is `{}`", self.payload_type));
        }
        let payload = STANDARD.decode(&self.payload).map_err(|_| "its payload is no base64".to_owned())?;
        let statement: Value = serde_json::from_slice(&payload).map_err(|_| "its payload is no JSON".to_owned())?;
        match statement.get("_type").and_then(Value::as_str) {
            Some(STATEMENT_TYPE) => Ok(statement),
            _ => Err("its payload is no in-toto Statement".to_owned()),
        }
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &Key) -> bool {
        let Ok(payload) = STANDARD.decode(&self.payload) else { return false };
        let signed = encoded(&self.payload_type, &payload);
        self.signatures.iter().any(|signature| {
            let Ok(bytes) = STANDARD.decode(&signature.sig) else { return false };
            let Ok(bytes) = <[u8; 64]>::try_from(bytes) else { return false };
            signature.keyid == key.id() && key.public().verify(&signed, &Signature::from_bytes(&bytes)).is_ok()
        })
    }
}
