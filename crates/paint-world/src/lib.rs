//! An embedded captioned image world with its tasks and small pretrained checkpoints.

mod canvas;
mod colour;
mod domain;
mod fonts;
mod tasks;

pub use domain::Split;
