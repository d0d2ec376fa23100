//! Counts the heap of this process, Rust's and C's: the program defines C's allocator over glibc's.
//!
//! Nothing is counted until [`watch`], so that only the row about the heap pays for it.

/// Begins to count; from here on [`peak`] is known.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn watch() {}

/// The most bytes that were allocated at one time since [`watch`], beyond those before it;
/// `None` where the system's allocator cannot be counted.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn peak() -> Option<u64> {
    None
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) use gnu::{peak, watch};

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "stands in for functions of C")]
mod gnu {
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

    static WATCHED: AtomicBool = AtomicBool::new(false);
    static NOW: AtomicIsize = AtomicIsize::new(0);
    static PEAK: AtomicIsize = AtomicIsize::new(0);

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
        fn __libc_free(block: *mut c_void);
    }

    /// Begins to count; from here on [`peak`] is known.
    pub(crate) fn watch() {
        WATCHED.store(true, Ordering::Relaxed);
    }

    /// The most bytes that were allocated at one time since [`watch`], beyond those before it.
    pub(crate) fn peak() -> Option<u64> {
        u64::try_from(PEAK.load(Ordering::Relaxed)).ok()
    }

    fn gained(block: *mut c_void) -> *mut c_void {
        if WATCHED.load(Ordering::Relaxed) {
            let bytes = usable(block);
            let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
            PEAK.fetch_max(now, Ordering::Relaxed);
        }
        block
    }

    fn lost(block: *mut c_void) {
        if WATCHED.load(Ordering::Relaxed) {
            NOW.fetch_sub(usable(block), Ordering::Relaxed);
        }
    }

    fn usable(block: *mut c_void) -> isize {
        // SAFETY: the block is null or of glibc's allocator, and still allocated.
        unsafe { libc::malloc_usable_size(block) as isize }
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut c_void {
        // SAFETY: glibc's own, under its other name.
        gained(unsafe { __libc_malloc(size) })
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        // SAFETY: glibc's own, under its other name.
        gained(unsafe { __libc_calloc(count, size) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
        lost(block);
        // SAFETY: the caller promises what glibc's own asks for.
        let moved = unsafe { __libc_realloc(block, size) };
        if moved.is_null() && size > 0 {
            // It failed, and the block is still there.
            gained(block);
            return moved;
        }
        gained(moved)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(block: *mut c_void) {
        lost(block);
        // SAFETY: the caller promises what glibc's own asks for.
        unsafe { __libc_free(block) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
        // SAFETY: glibc's own, under its other name.
        gained(unsafe { __libc_memalign(align, size) })
    }

    #[unsafe(no_mangle)]
    extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
        memalign(align, size)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(
        place: *mut *mut c_void,
        align: usize,
        size: usize,
    ) -> libc::c_int {
        let block = memalign(align, size);
        if block.is_null() {
            return libc::ENOMEM;
        }
        // SAFETY: the caller promises a place to write to.
        unsafe { *place = block };
        0
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_peak_covers_rust_and_c() {
            // What other tests allocate at the same time is far below this.
            const OTHERS: isize = 16 << 20;
            watch();
            let before = NOW.load(Ordering::Relaxed);
            let rust = std::hint::black_box(Vec::<u8>::with_capacity(64 << 20));
            let c = std::hint::black_box(malloc(32 << 20));
            let peak = peak().unwrap_or_default() as isize;
            assert!(peak >= before + (96 << 20) - OTHERS, "{peak}");
            drop(rust);
            // SAFETY: the block was allocated above and is not used again.
            unsafe { free(c) };
            assert!(NOW.load(Ordering::Relaxed) < before + OTHERS);
        }
    }
}
