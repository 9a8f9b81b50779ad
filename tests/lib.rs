//! End-to-end tests across the paint crates.
