//! Tests of the public interface.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoints;
mod choice;
mod interpolation;
mod race;
mod refusals;
