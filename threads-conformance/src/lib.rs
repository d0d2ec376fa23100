#![doc = include_str!("../README.md")]

pub mod datastore;
mod law;

pub use law::{Law, Outcome, SECONDS_MAX, enforce, summary};
