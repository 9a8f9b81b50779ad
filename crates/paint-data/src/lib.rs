//! From a task's manifest to the pixels and labels that a model is trained and measured on.
//!
//! A [`Task`] names a dataset (on the [`Hub`], in local Parquet or WebDataset tars, a folder per
//! class, a CSV), its class names and its prompt templates. A [`Dataset`] is one opened split of
//! it: labels in memory, images still encoded in their files. A [`PixelTable`] holds the decoded
//! and resized pixels in a cache file, so that nothing is decoded twice and memory does not grow
//! with the data. Images with text are a [`CaptionDataset`], with questions and candidate
//! answers [`MultipleChoice`]; [`write_parquet`] makes files in the layout that all of this, and
//! Python's `datasets`, reads.
//!
//! Knows nothing of models: what they want done to an image is a [`PixelTransform`].
//! Bad input is an [`Error`] that names file, row and column; nothing panics, prints, or leaves
//! half-written files. Every choice is seeded ([`Rng`]) and the same for any number of threads;
//! which images are held out is the same for every seed.
//!
//! Source of the split rule (validation is a tenth of the training images, at most 5,000):
//! Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights".
//!
//! ```
//! use paint_data::{Dataset, Features, Hub, Row, SplitName, Target, Task, write_parquet};
//!
//! let dir = tempfile::tempdir()?;
//! let names = vec!["cat".to_owned(), "dog".to_owned()];
//! let rows = (0..40).map(|i| Row { image: vec![], file_name: None, target: Target::Label(i % 2) });
//! let path = dir.path().join("datasets/me/pets/data/train-00000-of-00001.parquet");
//! write_parquet(&path, Features::Labelled(names), rows)?;
//!
//! let manifest = "name = 'pets'\nhub = 'me/pets'\ntemplates = ['a photo of a {}.']";
//! let task = Task::parse(manifest, "pets.toml")?;
//! let hub = Hub::Directory(dir.path().to_owned());
//! let validation = Dataset::open(&task, SplitName::Validation, &hub)?;
//! assert_eq!((validation.len(), validation.class_names()[1].as_str()), (4, "dog"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod task;

mod suite;

mod hub;

mod layout;

mod listing;

mod csv_table;

mod parquet_file;

mod published;

mod tar_file;

mod store;

mod split;

mod dataset;

mod caption;

mod multiple_choice;

mod decode;

mod pixels;

mod write;

mod atomic;

mod rng;

mod error;

pub use atomic::write_atomically;
pub use caption::CaptionDataset;
pub use dataset::Dataset;
pub use decode::decode_image;
pub use error::{Error, Result};
pub use hub::{Hub, Online, Progress, Repository, RepositoryKind, Transfer};
pub use multiple_choice::{Asked, MultipleChoice};
pub use pixels::{PixelTable, PixelTransform, SkipPolicy, Skipped};
pub use published::{PerSplit, Published};
pub use rng::Rng;
pub use split::{class_halves, n_validation};
pub use suite::Suite;
pub use task::{Attribute, Columns, Files, Part, SplitName, Task, TaskSource, read_toml};
pub use write::{Features, ParquetWriter, Question, Row, Target, write_parquet};
