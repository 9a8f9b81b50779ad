//! Tests of the public interface.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoints;
mod choice;
mod coefficients;
mod deltas;
mod interpolation;
mod merging;
mod race;
mod refusals;
