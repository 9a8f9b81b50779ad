//! Where things are in this workspace.

use std::path::{Path, PathBuf};

/// `data-manifests/`, beside this package.
pub(crate) fn manifests() -> PathBuf {
    root().join("data-manifests")
}

/// The place of runs, drawn datasets and caches: `PAINT_RUNS`, else `runs/`, which git ignores.
pub(crate) fn runs() -> PathBuf {
    std::env::var_os("PAINT_RUNS").map_or_else(|| root().join("runs"), PathBuf::from)
}

/// Where decoded pixels are kept.
pub(crate) fn cache() -> PathBuf {
    runs().join("cache")
}

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
