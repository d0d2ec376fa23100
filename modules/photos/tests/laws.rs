//! The module keeps every law, and its vectors are those of what was published.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "it says what does not apply")]

use threads_conformance::module::{LAWS, Subject, vectors};
use threads_core::module::{Manifest, Module};
use threads_module_photos::{Album, Photo, Photos};

threads_conformance::module_laws!(Subject::new(|| Photos));

#[test]
fn no_law_is_skipped() {
    let line = threads_conformance::summary(LAWS, || Subject::new(|| Photos));
    assert_eq!(line, "checked 9 of 9 laws, skipped none");
}

/// With `THREADS_VECTORS=write` it writes them down, for a version that is published.
#[test]
fn the_vectors_are_written_down() {
    let now = vectors(&Photos).unwrap();
    if std::env::var("THREADS_VECTORS").is_ok_and(|value| value == "write") {
        std::fs::write("vectors.json", now).unwrap();
    } else {
        assert_eq!(now, Photos.vectors().unwrap());
    }
}

#[test]
fn fixtures_are_of_the_types() {
    let manifest = Manifest::of(&Photos).unwrap();
    for fixture in &manifest.collection(1, "Album").unwrap().fixtures {
        let album: Album = serde_json::from_value(fixture.clone()).unwrap();
        assert_eq!(serde_json::to_value(album).unwrap(), *fixture);
    }
    for fixture in &manifest.collection(1, "Photo").unwrap().fixtures {
        let photo: Photo = serde_json::from_value(fixture.clone()).unwrap();
        assert_eq!(serde_json::to_value(photo).unwrap(), *fixture);
    }
}
