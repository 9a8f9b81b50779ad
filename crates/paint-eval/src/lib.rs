//! Accuracy with intervals and paired tests for zero-shot classifiers.
//!
//! [`Predictions`] keeps the best classes of every image, so that any later question is answered
//! without running the model again; [`predict`] makes them from a model and a table of pixels.
//! [`Proportion`] is an accuracy with its Wilson interval, [`Difference`] a change on the same
//! images with an interval that holds for rare changes too, and McNemar's exact test. [`Ranking`]
//! and [`SelectiveCurve`] say how well a confidence tells right answers from wrong ones. [`Cka`] says
//! how alike two models see the same images. Everything is a fraction in [0, 1]; every interval
//! covers 95 %.
//!
//! Knows models and tables of pixels; never training, files or weights.
//! Sources: Wilson 1927, "Probable inference, the law of succession, and statistical inference";
//! McNemar 1947; Clopper & Pearson 1934; Fay & Feuer 1997; Zou & Donner 2008, "Construction of
//! confidence limits about effect measures"; DeLong et al. 1988; Song et al. 2012, "Feature
//! selection via dependence maximization"; Kornblith et al. 2019; Nguyen et al. 2021.
//!
//! ```
//! use paint_eval::{Paired, Predictions};
//!
//! let labels = [0, 1, 1];
//! let before = Predictions::from_logits(&labels, &[2.0, 1.0, 0.5, 0.1, 0.3, 0.2], 2)?;
//! let after = Predictions::from_logits(&labels, &[2.0, 1.0, 0.1, 0.5, 0.3, 0.2], 2)?;
//! assert_eq!(before.correct(), [true, false, false]);
//! assert_eq!(after.accuracy().n, 3);
//! let change = Paired::new(&before, &after)?.difference();
//! assert!((change.value - 1.0 / 3.0).abs() < 1e-12);
//! assert_eq!(change.p, Some(1.0));
//! # Ok::<(), paint_eval::Error>(())
//! ```

mod auroc;
mod binomial;
mod cka;
mod error;
mod paired;
mod predict;
mod predictions;
mod proportion;
mod selective;
mod transform;

pub use auroc::{Auroc, Ranking};
pub use cka::{Alignment, Cka, MIN_BATCH, mean_alignment};
pub use error::{Error, Result};
pub use paired::{Difference, Paired, mean_difference, mean_over_seeds};
pub use predict::{features, predict, predict_choices, predict_rows};
pub use predictions::{Predictions, TOP};
pub use proportion::{Proportion, mean_proportion, mean_proportion_shared};
pub use selective::SelectiveCurve;
pub use transform::SeenBy;
