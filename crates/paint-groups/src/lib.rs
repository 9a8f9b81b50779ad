//! Group robustness on embeddings: metrics, ERM, DFR, JTT, AFR, group DRO and CFR.
//!
//! A group is a class together with an attribute that goes with it in training and not in the
//! world: a model that relies on it fails on the rare groups, whatever its mean. [`GroupMetrics`]
//! shows it; the methods repair the last linear block or the head on cached embeddings, in seconds.
//!
//! **Who sees groups** is in the types: [`erm`], [`jtt`], [`afr`] and [`cfr`] take [`Samples`],
//! which have none; the oracles [`dfr`] and [`group_dro`] take [`GroupedSamples`]. A [`Selection`]
//! keeps the best epoch for each of three selectors at once, and every [`Selected`] says which one
//! chose it; the worst-group selector exists only where validation has groups.
//!
//! Knows no model, no images and no files. Gradients are written out and checked against finite
//! differences; everything follows from seeds.
//!
//! Sources: You et al. 2024, "Calibrating multi-modal representations: a pursuit of group
//! robustness without annotations" (CFR); Kirichenko et al. 2022 (DFR); Liu et al. 2021 (JTT); Qiu
//! et al. 2023 (AFR); Sagawa et al. 2020 (group DRO).
//!
//! ```
//! use paint_groups::*;
//!
//! // The class is in the first direction, the background in the second.
//! let values = [0.3, 1.0, 0.2, 1.0, -0.3, -1.0, -0.2, -1.0, 0.3, -1.0, -0.3, 1.0];
//! let labels = [0, 0, 1, 1, 0, 1];
//! let samples = Samples::new(&values, 2, &labels, 2)?;
//! let background = Attribute { name: "background", values: &[0, 0, 1, 1, 1, 0], n_values: 2 };
//! let groups = Groups::new(&labels, 2, background)?;
//!
//! let zero_shot = Classifier::zero_shot(&[0.5, 1.0, -0.5, -1.0], 2)?;
//! let metrics = GroupMetrics::new(&zero_shot.predict(&samples)?, &groups)?;
//! assert_eq!((metrics.worst().1.value, metrics.mean.n), (0.0, 6));
//!
//! let config = CfrConfig {
//!     sgd: SgdConfig { epochs: 200, learning_rate: 0.1, ..SgdConfig::default() },
//!     ..CfrConfig::default()
//! };
//! let calibration = CalibrationSet::new(&zero_shot, &samples)?;
//! let recalibrated = cfr(&zero_shot, &samples, &calibration, &config, None)?;
//! let metrics = GroupMetrics::new(&recalibrated.predict(&samples)?, &groups)?;
//! assert_eq!(metrics.worst().1.value, 1.0);
//! # Ok::<(), Error>(())
//! ```

mod metrics;
mod samples;

mod classifier;
mod selection;

mod afr;
mod cfr;
mod dfr;
mod erm;
mod group_dro;

mod assignment;
mod calibration;
mod contrastive;
mod descent;
mod holistic;
mod logistic;

mod error;

pub use afr::{AfrConfig, afr};
pub use calibration::CalibrationSet;
pub use cfr::{AnchorWeight, CfrConfig, Holistic, Negatives, Positives, cfr};
pub use classifier::Classifier;
pub use descent::SgdConfig;
pub use dfr::{Dfr, DfrConfig, dfr};
pub use erm::{JttConfig, erm, jtt};
pub use error::{Error, Result};
pub use group_dro::group_dro;
pub use holistic::Targeted;
pub use metrics::{AdjustedAverage, GroupMetrics, worst_class};
pub use samples::{Attribute, GroupedSamples, Groups, Samples};
pub use selection::{Selected, SelectedBy, Selection};
