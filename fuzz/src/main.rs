//! Runs one target under libFuzzer: `fuzz TARGET DIRECTORY [OPTION…]`; `fuzz` alone lists them.
//!
//! The directory gets the seeds and the words of the target, and what libFuzzer finds worth
//! keeping. Options are those of libFuzzer. `fuzz/run` builds this with the coverage it needs.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for developers"
)]

use std::ffi::{CString, c_char, c_int};
use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs, ptr};

// The library that is linked in; it is called by its C name below.
use libfuzzer_sys as _;
use threads_fuzz::{TARGETS, Target, find};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

type Input = extern "C" fn(*const u8, usize) -> c_int;

#[allow(unsafe_code, reason = "libFuzzer is a library of C++")]
mod library {
    use super::{Input, c_char, c_int};

    unsafe extern "C" {
        pub(super) fn LLVMFuzzerRunDriver(
            count: *mut c_int,
            arguments: *mut *mut *mut c_char,
            input: Input,
        ) -> c_int;
    }
}

/// A panic cannot leave a function of C: it ends the process, and libFuzzer keeps the input.
#[allow(unsafe_code, reason = "libFuzzer hands over a pointer and a length")]
extern "C" fn try_input(bytes: *const u8, length: usize) -> c_int {
    let input = if length == 0 {
        &[]
    } else {
        // SAFETY: libFuzzer says where so many bytes are, and leaves them alone meanwhile.
        unsafe { std::slice::from_raw_parts(bytes, length) }
    };
    if let Some(target) = TARGET.get() {
        (target.run)(input);
    }
    0
}

#[allow(unsafe_code, reason = "libFuzzer is a library of C++")]
fn main() {
    let mut arguments = env::args();
    let program = arguments.next().unwrap_or_default();
    let (Some(name), Some(dir)) = (arguments.next(), arguments.next()) else {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        return;
    };
    let target = find(&name).expect("the name of a target");
    TARGET.get_or_init(|| target);
    let dir = Path::new(&dir);
    let (seeds, words) = (dir.join("inputs"), dir.join("words"));
    prepare(target, &seeds, &words).expect("a directory to write to");

    let dictionary = format!("-dict={}", words.display());
    let given: Vec<String> = arguments.collect();
    // With a file among the options, that is all there is to try.
    let fuzzing = given.iter().all(|option| option.starts_with('-'));
    let seeds = fuzzing.then(|| seeds.display().to_string());
    // libFuzzer takes an empty dictionary for a mistake.
    let dictionary = (!target.words.is_empty()).then_some(dictionary);
    let fixed = [program].into_iter().chain(dictionary).chain(seeds);
    let all = fixed.chain(given);
    let owned: Vec<_> = all
        .map(|text| CString::new(text).expect("no NUL"))
        .collect();
    let mut pointers: Vec<_> = owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
    let mut count = pointers.len() as c_int;
    pointers.push(ptr::null_mut());
    let mut first = pointers.as_mut_ptr();
    // SAFETY: a list as C's `main` gets it, which outlives the call; nothing writes to the texts.
    let status = unsafe { library::LLVMFuzzerRunDriver(&mut count, &mut first, try_input) };
    std::process::exit(status);
}

/// Writes what the target begins with.
fn prepare(target: &Target, seeds: &Path, words: &Path) -> std::io::Result<()> {
    fs::create_dir_all(seeds)?;
    for (number, seed) in (target.seeds)().iter().enumerate() {
        fs::write(seeds.join(format!("seed-{number}")), seed)?;
    }
    let quoted = target.words.iter().map(|word| {
        let bytes = word.bytes().map(|byte| format!("\\x{byte:02x}"));
        format!("\"{}\"\n", bytes.collect::<String>())
    });
    fs::write(words, quoted.collect::<String>())
}
