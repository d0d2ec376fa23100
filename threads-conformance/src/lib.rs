#![doc = include_str!("../README.md")]

mod cases;
pub mod datastore;
pub mod faulty;
mod law;

pub use law::{Law, Outcome, SECONDS_MAX, enforce, summary};
