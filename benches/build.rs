//! Tells the program the versions of its compiler and of heed.

use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let compiler = std::env::var_os("RUSTC").ok_or("cargo names the compiler")?;
    let version = Command::new(compiler).arg("--version").output()?;
    let version = String::from_utf8(version.stdout)?;
    let version = version.trim().trim_start_matches("rustc ");

    let lock = "../Cargo.lock";
    let packages = std::fs::read_to_string(lock)?;
    let heed = packages
        .split("name = \"heed\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .ok_or("heed is not in Cargo.lock")?;

    let mut told = String::new();
    for (name, value) in [
        ("rustc-env=BENCHES_RUSTC", version),
        ("rustc-env=BENCHES_HEED", heed),
    ] {
        told.push_str(&format!("cargo::{name}={value}\n"));
    }
    told.push_str(&format!("cargo::rerun-if-changed={lock}\n"));
    std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes())?;
    Ok(())
}
