//! Tasks and manifests, the Hub, Parquet to images to pixels, splits and caches.
mod atomic;
mod error;
mod hub;
mod rng;
mod task;
mod write;

pub use error::{Error, Result};
pub use hub::{Hub, Online};
pub use rng::Rng;
pub use task::{Columns, Files, Part, SplitName, Task, TaskSource};
pub use write::{Features, ParquetWriter, Row, Target, write_parquet};
