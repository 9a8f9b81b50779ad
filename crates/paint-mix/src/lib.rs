//! Weights in, weights out: mixing checkpoints and choosing the coefficients.
//!
//! `theta = (1 - alpha) * zero_shot + alpha * fine_tuned`, streamed tensor by tensor from two
//! safetensors files into a third ([`interpolate`]), or over slices in memory
//! ([`interpolate_values`]); the two agree bit for bit. [`choose`] picks `alpha` from validation
//! accuracies under a stated rule, and [`race()`] does so on as few validation images as it needs.
//!
//! Several fine-tuned models become one, tensor by tensor over slices, by [`add_task_vectors`],
//! [`ties`](ties()), [`dare`](dare()), [`slerp`](slerp()), [`uniform_soup`] or [`greedy_soup`];
//! [`search_coefficients`] finds a coefficient for each. [`WeightDistances`] says how far
//! fine-tuning went; [`write_delta`] keeps what it changed in a small file, which [`apply_delta`]
//! adds to a checkpoint and [`remove_delta`] takes away.
//!
//! Knows the safetensors format; never images, models or datasets.
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! arXiv:2208.05592.
//!
//! ```
//! use paint_mix::Options;
//! use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
//!
//! let dir = tempfile::tempdir()?;
//! let [zero_shot, fine_tuned, output] = &["zs", "ft", "out"].map(|name| dir.path().join(name));
//! for (path, values) in [(zero_shot, [0.0_f32, 2.0]), (fine_tuned, [1.0, 4.0])] {
//!     let bytes = values.map(f32::to_le_bytes).concat();
//!     let tensor = TensorView::new(Dtype::F32, vec![2], &bytes)?;
//!     serialize_to_file([("visual_projection.weight", tensor)], None, path)?;
//! }
//! let report = paint_mix::interpolate(zero_shot, fine_tuned, 0.4, output, &Options::default())?;
//! assert_eq!(report.n_interpolated, 1);
//! let expected = [0.4_f32, 2.0 + 0.4 * (4.0 - 2.0)];
//! assert!(std::fs::read(output)?.ends_with(&expected.map(f32::to_le_bytes).concat()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arithmetic;
mod blend;
mod checkpoint;
mod choose;
mod coefficients;
mod compatibility;
mod dare;
mod delta;
mod distance;
mod element;
mod error;
mod geometry;
mod header;
mod interpolate;
mod layer_group;
mod merge;
mod plan;
mod publish;
mod race;
mod slerp;
mod soup;
mod stream;
mod survey;
mod ties;

pub use arithmetic::add_task_vectors;
pub use blend::interpolate_values;
pub use choose::{Candidate, Choice, Rule, ValidationAccuracy, choose};
pub use coefficients::{BUDGET, Evaluated, Searched, search_coefficients};
pub use dare::{Dare, dare, dare_sum};
pub use delta::{
    Applied, Conflict, DeltaDtype, DeltaInfo, Origin, Patched, Record, Removed, Rounding,
    apply_delta, conflict, read_delta, read_record, remove_delta, weights_sha256, write_delta,
};
pub use distance::{WeightDistance, WeightDistances};
pub use element::FloatDtype;
pub use error::{Error, Result};
pub use interpolate::{FileIdentity, Method, Options, Report, interpolate};
pub use layer_group::{LayerGroup, Tower};
pub use race::{Audit, RaceConfig, Raced, Request, Shape, Tally, race};
pub use slerp::{SlerpPath, slerp, slerp_mean};
pub use soup::{GreedySoup, TriedSoup, greedy_soup, uniform_soup};
pub use ties::{Ties, ties};
