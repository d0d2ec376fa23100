//! The module keeps every law, and what was published stays.

use threads_conformance::module::{Subject, vectors};
use threads_core::module::Module;
use threads_module_notes::TheModule;

threads_conformance::module_laws!(Subject::new(|| TheModule));

/// With `THREADS_VECTORS=write` it writes them down: do that when you publish a version.
#[test]
fn the_vectors_are_written_down() {
    let now = vectors(&TheModule).unwrap();
    if std::env::var("THREADS_VECTORS").is_ok_and(|value| value == "write") {
        std::fs::write("vectors.json", now).unwrap();
    } else if let Some(published) = TheModule.vectors() {
        assert_eq!(now, published);
    }
}
