//! Records of measured facts to tables, figures and one self-contained page.

mod error;
mod estimate;
mod number;
mod record;
mod record_log;
mod verdict;

pub use error::{Error, Result};
pub use estimate::{Alpha, Estimate};
pub use number::{format_percent, format_points};
pub use record::{Key, Kind, Record, Role, Split};
pub use record_log::{RecordLog, read_records};
pub use verdict::{Measure, Outcome, Verdict};
