//! Where things are in this workspace.

use std::path::{Path, PathBuf};

/// `data-manifests/`, beside this package.
pub(crate) fn manifests() -> PathBuf {
    root().join("data-manifests")
}

/// The default place of runs: `runs/`, which git ignores.
pub(crate) fn runs() -> PathBuf {
    root().join("runs")
}

fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
