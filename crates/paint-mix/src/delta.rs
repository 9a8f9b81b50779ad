//! Patches as small files: what fine-tuning changed, without what it left alone.
//!
//! A delta is a safetensors file with `θ_ft - θ_zs` of the tensors that differ, in two bytes a
//! value. Its metadata:
//!
//! | key | value |
//! |---|---|
//! | `format`, `version` | `paint-delta`, `1` |
//! | `base_sha256`, `fine_tuned_sha256` | what [`weights_sha256`] says of the two checkpoints |
//! | `exponents` | for every tensor `e`: the change is the stored value times 2^e |
//! | `rounding` | how far the stored change is from the real one, see [`Rounding`] |
//!
//! A patched file says in its metadata which deltas it carries, and on what ([`Record`]).

mod apply;
mod conflict;
mod file;
mod write;

pub use apply::{Origin, Patched, Removed, apply_delta, remove_delta};
pub use conflict::{Conflict, conflict};
pub use file::{Applied, DeltaInfo, Record, Rounding, read_delta, read_record, weights_sha256};
pub use write::{DeltaDtype, write_delta};

/// Elements of one tensor that are worked on at a time.
const CHUNK: usize = 1 << 20;
