//! How vectors are made, kept and read; for the crates that have some.

use std::convert::Infallible;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use threads_core::key::SignatureError;
use threads_core::multibase::Base::Base16Lower;
use threads_core::rand_core::{TryCryptoRng, TryRng};
use threads_core::record::Rejection;
use threads_core::{Error, Result};

/// Randomness that is the same in every run: SHA-256 of a label and a counter.
#[derive(Clone)]
pub(crate) struct TestRng {
    label: &'static str,
    counter: u64,
    rest: Vec<u8>,
}

impl TestRng {
    pub(crate) fn new(label: &'static str) -> Self {
        Self {
            label,
            counter: 0,
            rest: Vec::new(),
        }
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let Ok(()) = self.try_fill_bytes(&mut bytes);
        bytes
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for byte in dst {
            if self.rest.is_empty() {
                let block = Sha256::new()
                    .chain_update(self.label)
                    .chain_update(self.counter.to_be_bytes())
                    .finalize();
                self.rest = block.to_vec();
                self.counter += 1;
            }
            *byte = self.rest.remove(0);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    Base16Lower.encode(bytes)
}

/// The bytes of a vector's member: hex, or a list of (hex, how many times).
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => Base16Lower.decode(text).unwrap(),
        Value::Array(parts) => parts
            .iter()
            .flat_map(|part| bytes(&part[0]).repeat(part[1].as_u64().unwrap() as usize))
            .collect(),
        _ => panic!("not bytes: {value}"),
    }
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The word a vector has for an error: the rejection, the fault of a signature, or the kind.
fn word(error: &Error) -> String {
    let source = std::error::Error::source(error);
    if let Some(rejection) = Rejection::of(error) {
        return format!("{rejection:?}");
    }
    match source.and_then(|source| source.downcast_ref::<SignatureError>()) {
        Some(fault) => format!("{fault:?}"),
        None => error.kind().as_str().to_owned(),
    }
}

/// Compares what was made with the file, or writes the file, and reads every vector back.
///
/// `read` gives `Err` for what the library refuses; a vector's `reject` must name it.
pub(crate) fn check(
    file: &str,
    about: &str,
    vectors: Vec<Value>,
    mut read: impl FnMut(&Value) -> Result<()>,
) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../spec/vectors")
        .join(file);
    let made = json!({"about": about, "vectors": vectors});
    if std::env::var("THREADS_VECTORS").as_deref() == Ok("write") {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (made, kept) in vectors_of(&made).iter().zip(vectors_of(&kept)) {
        assert_eq!(made, kept, "{file}: the library makes another vector");
    }
    assert_eq!(made, kept, "{file}: the vectors are not the ones made");
    for vector in vectors_of(&kept) {
        let name = text(&vector["name"]);
        let found = read(vector).err().map(|error| word(&error));
        let expected = vector.get("reject").map(|word| text(word).to_owned());
        assert_eq!(found, expected, "{file}: {name}");
    }
}

fn vectors_of(document: &Value) -> &[Value] {
    document["vectors"].as_array().unwrap()
}
