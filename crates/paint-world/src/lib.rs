//! An embedded captioned image world with its tasks and small pretrained checkpoints.

mod backgrounds;
mod canvas;
mod colour;
mod domain;
mod fonts;
mod sprites;
mod tasks;

pub use domain::Split;
