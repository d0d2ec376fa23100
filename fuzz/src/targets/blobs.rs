//! Blobs: manifests, which strangers make, and references, which are in entities and typed by people.

use threads_core::ErrorKind;
use threads_core::blob::{BLOB_BYTES_MAX, BlobKey, BlobRef, Manifest};
use threads_core::block::Block;

use crate::check::{canonical, refused, text};

/// How long a key is, in bytes.
const KEY_BYTES: usize = 32;

/// A key, and a manifest. Each byte of content is in one part, in the one form that there is.
pub(crate) fn manifest(input: &[u8]) {
    let Some((key, bytes)) = input.split_first_chunk::<KEY_BYTES>() else {
        return;
    };
    let manifest = match Manifest::decode(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return refused(&error, &[ErrorKind::Rejected]),
    };
    canonical(bytes);
    assert_eq!(manifest.to_block().unwrap(), Block::cbor(bytes));
    let sizes = (0..manifest.parts().len()).map(|part| manifest.bytes_of_part(part));
    assert!(sizes.clone().all(|size| size > 0));
    assert_eq!(sizes.sum::<u64>(), manifest.size());
    assert!(manifest.size() <= BLOB_BYTES_MAX);
    let codecs = manifest.parts().iter().map(|part| part.codec());
    assert!(codecs.collect::<std::collections::BTreeSet<_>>().len() <= 1);
    match manifest.open(&BlobKey::from_bytes(key)) {
        Ok(parts) => {
            let cids: Vec<_> = parts.iter().map(|part| *part.cid()).collect();
            assert_eq!(cids, manifest.parts());
        }
        Err(error) => refused(&error, &[ErrorKind::Rejected]),
    }
}

/// A reference, as one word or as JSON.
pub(crate) fn reference(input: &[u8]) {
    let typed = std::str::from_utf8(input).unwrap_or_default();
    if let Some(named) = text::<BlobRef>(typed) {
        sound(&named);
        let json = serde_json::to_value(&named).unwrap();
        assert_eq!(serde_json::from_value::<BlobRef>(json).unwrap(), named);
    }
    if let Ok(named) = serde_json::from_str::<BlobRef>(typed) {
        sound(&named);
        assert_eq!(named.to_string().parse::<BlobRef>().unwrap(), named);
    }
}

fn sound(named: &BlobRef) {
    assert!(named.size() <= BLOB_BYTES_MAX);
    assert!(named.media_type().is_ascii() && !named.media_type().contains(char::is_control));
    let (shown, key) = (format!("{named:?}"), named.key().to_text());
    assert!(!shown.contains(&**key), "{shown}");
}
