//! The vectors of keystores, `spec/03-encryption.md`.
//!
//! `THREADS_VECTORS=write cargo test -p threads-db --lib vectors` rewrites the files.

use std::path::Path;

use serde_json::{Value, json};
use threads_core::block::sha256;
use threads_core::{ContentKey, IdentityKey, Result, StoreKey};

use super::Open;
use super::file::{self, ID_BYTES, KeystoreFile, Lock};
use super::layer::{mark, row_bound};
use crate::passphrase::derived;
use crate::vectors::{TestRng, array, bytes, check, hex, text};

const PASSPHRASE: &str = "correct horse battery staple";
const HEAD_BYTES: usize = 19 + 32;

#[test]
fn keystores() {
    let vectors = [files(), rows(), refused()].concat();
    check(
        "keystore.json",
        "Keystores, and the rows they seal: spec/03-encryption.md",
        vectors,
        read,
    );
}

fn keys() -> Open {
    let mut rng = TestRng::new("keystore");
    Open {
        path: Path::new("keystore").to_owned(),
        id: rng.bytes::<ID_BYTES>(),
        identity: IdentityKey::generate(&mut rng),
        store: StoreKey::generate(&mut rng),
        key: ContentKey::generate(&mut rng),
        is_protected: false,
    }
}

fn made(passphrase: Option<&str>) -> Vec<u8> {
    let (open, rng) = (keys(), &mut TestRng::new("keystore file"));
    let lock = Lock::new(&open.key, &open.id, passphrase, rng).unwrap();
    file::encode(&open, lock, rng).unwrap().to_vec()
}

fn files() -> Vec<Value> {
    let open = keys();
    let vector = |name: &str, passphrase: Option<&str>| {
        let bytes = made(passphrase);
        let file = KeystoreFile::of_bytes(&open.path, &bytes).unwrap();
        json!({
            "name": name, "kind": "file", "bytes": hex(&bytes), "passphrase": passphrase,
            "argon2id": passphrase.map(|text| hex(*derived(file.sealed().unwrap(), text).unwrap())),
            "id": hex(open.id), "identity": hex(*open.identity.to_bytes()),
            "store": hex(*open.store.to_bytes()), "key": hex(*open.key.to_bytes()),
        })
    };
    vec![
        vector("a keystore without a passphrase", None),
        vector("a keystore under a passphrase", Some(PASSPHRASE)),
    ]
}

fn rows() -> Vec<Value> {
    let open = keys();
    let row = |name: &str, key: &[u8], value: [u8; 32]| {
        let sealed = open.store.seal(&row_bound(&open.id, key), &value).unwrap();
        json!({
            "name": name, "kind": "row", "id": hex(open.id), "store": hex(*open.store.to_bytes()),
            "key": hex(key), "value": hex(value), "sealed": hex(sealed),
        })
    };
    let sealed = row("the replica key of a thread", b"\x02\x01\x55r", [7; 32]);
    let mut moved = sealed.clone();
    moved["name"] = "a key that was moved to another row".into();
    moved["key"] = hex(b"\x02\x01\x55e").into();
    moved["reject"] = "rejected".into();
    let mut flipped = sealed.clone();
    flipped["name"] = "a key with a bit flipped".into();
    let mut bytes = bytes(&sealed["sealed"]);
    bytes[40] ^= 1;
    flipped["sealed"] = hex(bytes).into();
    flipped["reject"] = "rejected".into();
    let mark = json!({"name": "the mark in the place of the identity", "kind": "mark",
                      "id": hex(open.id), "value": hex(mark(&open.id))});
    vec![sealed, moved, flipped, mark]
}

fn refused() -> Vec<Value> {
    let whole = made(None);
    let vector = |name: &str, bytes: &[u8], word: &str| json!({"name": format!("a keystore {name}"), "kind": "file", "bytes": hex(bytes), "reject": word});
    let mut flipped = whole.clone();
    flipped[80] ^= 1;
    let mut later = whole.clone();
    later[17] = b'2';
    // Its hash is right, and the entries are those of another name.
    let mut renamed = whole.clone();
    let id = keys().id;
    let at = renamed
        .windows(ID_BYTES)
        .position(|window| window == id)
        .unwrap();
    renamed[at] ^= 1;
    let hash = sha256(&renamed[HEAD_BYTES..]);
    renamed[19..HEAD_BYTES].copy_from_slice(&hash);
    vec![
        vector("with a bit flipped", &flipped, "corrupt"),
        vector("cut short", &whole[..100], "corrupt"),
        vector("that is none", b"threads keystore", "corrupt"),
        vector("of a later version", &later, "unsupported"),
        vector("under another name", &renamed, "corrupt"),
    ]
}

fn read(vector: &Value) -> Result<()> {
    match text(&vector["kind"]) {
        "file" => {
            let path = Path::new("keystore");
            let file = KeystoreFile::of_bytes(path, &bytes(&vector["bytes"]))?;
            let keystore = file.open(vector["passphrase"].as_str())?;
            let open = &keystore.0;
            assert_eq!(open.id, array(&vector["id"]));
            assert_eq!(*open.identity.to_bytes(), array(&vector["identity"]));
            assert_eq!(*open.store.to_bytes(), array(&vector["store"]));
            assert_eq!(*open.key.to_bytes(), array(&vector["key"]));
        }
        "row" => {
            let store = StoreKey::from_bytes(&array(&vector["store"]));
            let bound = row_bound(&array(&vector["id"]), &bytes(&vector["key"]));
            let value = store.open(&bound, &bytes(&vector["sealed"]))?;
            assert_eq!(*value, bytes(&vector["value"]));
        }
        "mark" => assert_eq!(mark(&array(&vector["id"])), bytes(&vector["value"])),
        kind => panic!("no such kind: {kind}"),
    }
    Ok(())
}
