//! Records of measured facts to tables, figures and one self-contained page.
//!
//! A run writes every fact it measures as one line of `records.jsonl`
//! ([`RecordLog`]) and resumes from it; at its end the facts become a table
//! for the terminal, a [`Verdict`] computed from the intervals, and an HTML
//! page with inline SVG that fetches nothing ([`report`]). Fractions are in
//! [0, 1] everywhere; per cent and points exist in print only.
//!
//! Knows serde and nothing of models, datasets or statistics: every number
//! comes with its interval from outside.
//! Source of the figure: Ilharco et al. 2022, "Patching open-vocabulary models
//! by interpolating weights", figure 1.
//!
//! ```
//! use paint_report::{Estimate, Kind, Record, RecordLog, Role, Split, format_percent};
//!
//! let run = tempfile::tempdir()?;
//! let mut log = RecordLog::open(&run.path().join("records.jsonl"))?;
//! let accuracy = Estimate::new(0.413, 0.382, 0.444, 980)?;
//! let fact = Record::new("rq1", Kind::Accuracy)
//!     .task("digits")
//!     .on("digits", Role::Patching, Split::Test)
//!     .alpha(0.3);
//! assert!(log.find(&fact.key()).is_none());
//! log.append(&fact.clone().estimate(&accuracy))?;
//! let found = log.find(&fact.key()).expect("just written");
//! assert_eq!(format_percent(&found.to_estimate()?), "41.3 [38.2, 44.4]");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod axis;
mod bars;
mod claims;
mod error;
mod escape;
mod estimate;
mod figure;
mod gallery;
mod groups;
mod hierarchy;
mod method_lines;
mod number;
mod page;
mod panels;
mod png;
mod record;
mod record_log;
mod rq1;
mod rq2;
mod rq3;
mod rq4;
mod rq5;
mod selective;
mod slider;
mod table;
mod tradeoff;
mod verdict;

pub use bars::accuracy_bars;
pub use claims::{CaseStudies, Consistency, MinusSpecialists, UnseenCount};
pub use error::{Error, Result};
pub use estimate::{Alpha, Estimate};
pub use figure::Figure;
pub use gallery::{BeforeAfter, Gallery};
pub use groups::{
    GroupsDataset, GroupsRow, GroupsSideEffect, Spread, groups_sections, groups_side_effects,
    groups_table,
};
pub use hierarchy::{
    ConfidenceRow, ConfidenceSideEffect, HierarchyFindings, RerankRow, confidence_side_effects,
    confidence_table, hierarchy_sections, rerank_table,
};
pub use number::{format_percent, format_points};
pub use page::{Block, Repetition, ReportInput, Section, report, write_report};
pub use panels::alpha_panels;
pub use png::Png;
pub use record::{Key, Kind, Record, Role, Split};
pub use record_log::{RecordLog, read_records};
pub use rq1::{AlphaChoice, Rq1Findings, Rq1Row, SkippedImages, rq1_sections, rq1_table};
pub use rq2::{LayerChange, Rq2Findings, Rq2Size, rq2_sections, rq2_table};
pub use rq3::{Rq3Findings, Rq3Row, Rq3Task, rq3_sections, rq3_table};
pub use rq4::{Rq4Findings, Rq4Row, Transfer, rq4_sections, rq4_table, transfer_table};
pub use rq5::{Rq5Findings, Rq5Study, StudySet, rq5_sections, rq5_table};
pub use slider::{Slider, SliderExample};
pub use table::{Cell, Table};
pub use tradeoff::{Curve, CurvePoint, tradeoff_figure};
pub use verdict::{Measure, Outcome, Verdict};
