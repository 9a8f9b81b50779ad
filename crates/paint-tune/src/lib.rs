//! Training CLIP models: fine-tuning with a frozen zero-shot head, and contrastive
//! pretraining from scratch. Killed at any moment, the same call continues and ends
//! with the same bytes as an uninterrupted one.
//!
//! Knows models and pixel tables; knows nothing of interpolation or of test data.
//!
//! Sources: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! section 2 (fine-tuning); Radford et al. 2021 (the contrastive loss).
//!
//! ```
//! use paint_tune::FineTuneConfig;
//!
//! let config = FineTuneConfig { steps: 200, batch: 32, ..Default::default() };
//! let schedule = config.schedule();
//! assert!(schedule.learning_rate(1) < schedule.learning_rate(20)); // warm-up
//! assert!(schedule.learning_rate(200) < 1e-3 * config.learning_rate); // cosine
//! ```

mod error;

mod fine_tune;
mod pretrain;

mod contrastive;

mod augment;
mod batches;
mod optimizer;
mod range;
mod schedule;
mod state;

#[cfg(test)]
#[path = "../tests/tiny/mod.rs"]
mod tiny;

pub use augment::Augment;
pub use error::{Error, Result};
pub use fine_tune::{FineTuneConfig, FineTuneInput, TrainingSet, fine_tune, fine_tune_key};
pub use pretrain::{Corpus, PretrainConfig, PretrainInput, pretrain};
pub use schedule::Schedule;

/// What a training run tells its caller after every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done, those of earlier processes included.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Loss of the last batch.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
}
