//! Image and text embeddings, computed once and kept in Arrow files that are verified.
//!
//! A [`Store`] is a directory with one file for each [`Key`]: the hashes of a checkpoint, of the
//! images or texts, of the preprocessing, and the [`View`]. What is there is mapped into memory and
//! compared with its hash; what is not is computed, a batch at a time, and appears whole or not at
//! all. A file of another checkpoint is refused.
//!
//! Features are kept as the towers give them, not normalised: some methods need their lengths.
//! Knows models, pixel tables and files; never labels' meaning, statistics or training.
//!
//! ```no_run
//! # use std::path::Path;
//! # use candle_core::Device;
//! use paint_clip::{Clip, Preprocessor};
//! use paint_data::{Dataset, PixelTable};
//! use paint_embed::{Embeddings, Error, ImageEncoder, Key, Store, View, checkpoint_key};
//!
//! # fn embed(model: &Path, dataset: &Dataset, table: impl FnOnce() -> Result<PixelTable, Error>)
//! # -> Result<Embeddings, Error> {
//! let (clip, preprocessor) = (Clip::load(model, &Device::Cpu)?, Preprocessor::load(model)?);
//! let view = View::FlipLeftRight;
//! let checkpoint = checkpoint_key(model)?;
//! let key = Key::of_images(&checkpoint, dataset.content_key(), &preprocessor.key(), view);
//! let encoder = ImageEncoder { clip: &clip, preprocessor: &preprocessor };
//! Store::new(Path::new("runs/embeddings")).images(&key, view, encoder, table, &|_| ())
//! # }
//! ```

mod encode;
mod error;
mod file;
mod key;
mod store;
mod view;

pub use error::{Error, Result};
pub use file::Embeddings;
pub use key::{Key, checkpoint_key, tokenizer_key};
pub use store::{ImageEncoder, Store};
pub use view::View;
