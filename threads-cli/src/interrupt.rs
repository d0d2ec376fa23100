//! Ending what would go on for ever, when the user interrupts it.

use std::sync::atomic::{AtomicBool, Ordering};

static CAME: AtomicBool = AtomicBool::new(false);

/// From now on an interrupt does not end the program, and is only noticed.
pub(crate) fn notice() {
    // The handler can be there already; then it does the same. If the system refuses it, an
    // interrupt ends the program as usual.
    let _ = ctrlc::set_handler(|| CAME.store(true, Ordering::Relaxed));
}

/// Whether there was one.
pub(crate) fn came() -> bool {
    CAME.load(Ordering::Relaxed)
}
