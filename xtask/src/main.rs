//! Chores of the project itself: `cargo run -p xtask -- tidy`, and `newcomer PROGRAM`, which does what the guide for authors
//! of modules says.
#![allow(clippy::print_stdout, reason = "a program for a person to read")]

use std::process::ExitCode;

mod newcomer;
mod rust;
mod tidy;
mod tree;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some(program) = newcomer::program(&arguments) {
        return match newcomer::run(&program) {
            Ok(()) => {
                println!("newcomer: the module and its second application work");
                ExitCode::SUCCESS
            }
            Err(fault) => {
                eprintln!("newcomer: {fault}");
                ExitCode::FAILURE
            }
        };
    }
    if arguments != ["tidy"] {
        eprintln!("usage: cargo run -p xtask -- tidy, or newcomer PROGRAM");
        return ExitCode::from(2);
    }
    match tidy::run() {
        Ok(findings) if findings.is_empty() => {
            println!("tidy: nothing to do");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            findings.iter().for_each(|finding| println!("{finding}"));
            println!("tidy: {} to correct", findings.len());
            ExitCode::FAILURE
        }
        Err(fault) => {
            eprintln!("tidy: {fault}");
            ExitCode::from(2)
        }
    }
}
