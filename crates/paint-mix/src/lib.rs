//! Weights in, weights out: interpolating two checkpoints and choosing the coefficient.
//!
//! `theta = (1 - alpha) * zero_shot + alpha * fine_tuned`, streamed tensor by tensor from two
//! safetensors files into a third ([`interpolate`]), or over slices in memory
//! ([`interpolate_values`]); the two agree bit for bit. [`choose`] picks `alpha` from validation
//! accuracies under a stated rule.
//!
//! Knows the safetensors format; never images, models or datasets.
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! arXiv:2208.05592.
//!
//! ```
//! use paint_mix::{Options, interpolate};
//! use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
//!
//! let dir = tempfile::tempdir()?;
//! let (zs, ft, out) = (dir.path().join("zs"), dir.path().join("ft"), dir.path().join("out"));
//! for (path, values) in [(&zs, [0.0_f32, 2.0]), (&ft, [1.0, 4.0])] {
//!     let bytes = values.map(f32::to_le_bytes).concat();
//!     let tensor = TensorView::new(Dtype::F32, vec![2], &bytes)?;
//!     serialize_to_file([("visual_projection.weight", tensor)], None, path)?;
//! }
//! let report = interpolate(&zs, &ft, 0.25, &out, &Options::default())?;
//! assert_eq!(report.n_interpolated, 1);
//! let written = std::fs::read(&out)?;
//! assert!(written.ends_with(&[0.25_f32, 2.5].map(f32::to_le_bytes).concat()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blend;
mod checkpoint;
mod choose;
mod compatibility;
mod element;
mod error;
mod interpolate;
mod publish;
mod survey;

pub use blend::interpolate_values;
pub use choose::{Candidate, Choice, Rule, ValidationAccuracy, choose};
pub use element::FloatDtype;
pub use error::{Error, Result};
pub use interpolate::{FileIdentity, Method, Options, Report, interpolate};
