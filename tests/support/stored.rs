//! Results as they lie in `.weir/results`, to be forged: a header that says magic, version, length
//! and checksum, then JSON.

use serde_json::Value;

/// The content of a result's file.
pub fn content(file: &[u8]) -> Value {
    let end = file.iter().position(|byte| *byte == b'\n').unwrap();
    serde_json::from_slice(&file[end + 1..]).unwrap()
}

/// A result's file with this content, which passes for whole.
pub fn sealed(version: u32, content: &Value) -> Vec<u8> {
    let body = serde_json::to_vec(content).unwrap();
    let start = format!("weir-result {version} {}", body.len());
    let sum = crc32fast::hash(&[start.as_bytes(), &body].concat());
    [format!("{start} {sum:08x}\n").as_bytes(), &body].concat()
}
