//! A Hub over a directory: what `huggingface_hub`, `hf-hub` and this project ask of the Hub,
//! answered from files, for clusters without a network and for tests.
//!
//! A [`Mirror`] serves `ROOT/{models,datasets}/ORG/NAME/…` read-only: repository information,
//! file listings, and files with their commit, hash and size, whole or in ranges. A directory is
//! one revision, `main`; its commit is a hash of the names and contents. A pinned commit of the
//! real Hub is answered with what the directory holds, under the directory's own commit.
//!
//! For tests it counts what it served ([`Served`]) and fails as told ([`Fault`]).
//!
//! Knows nothing of datasets or models beyond files. It does no TLS and asks for no token: bind
//! it to a network that is trusted.
//!
//! Source of the protocol: `huggingface_hub` 2.4 (`file_download.py`, `hf_api.py`).
//!
//! ```
//! use paint_mirror::Mirror;
//!
//! let root = tempfile::tempdir()?;
//! std::fs::create_dir_all(root.path().join("models/me/tiny"))?;
//! std::fs::write(root.path().join("models/me/tiny/config.json"), "{}")?;
//! let mirror = Mirror::start(root.path(), ([127, 0, 0, 1], 0).into())?;
//! assert!(mirror.endpoint().starts_with("http://127.0.0.1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod mirror;

mod route;

mod answer;

mod payload;

mod snapshot;

mod fault;

mod error;

pub use error::{Error, Result};
pub use fault::{Failure, Fault};
pub use mirror::{Mirror, Served};
