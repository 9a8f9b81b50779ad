//! Tasks and manifests, the Hub, Parquet to images to pixels, splits and caches.
mod atomic;
mod caption;
mod csv_table;
mod dataset;
mod decode;
mod error;
mod hub;
mod layout;
mod parquet_file;
mod pixels;
mod rng;
mod split;
mod store;
mod suite;
mod task;
mod write;

pub use caption::CaptionDataset;
pub use dataset::Dataset;
pub use error::{Error, Result};
pub use hub::{Hub, Online};
pub use pixels::{PixelTable, PixelTransform, SkipPolicy, Skipped};
pub use rng::Rng;
pub use suite::Suite;
pub use task::{Columns, Files, Part, SplitName, Task, TaskSource};
pub use write::{Features, ParquetWriter, Row, Target, write_parquet};
