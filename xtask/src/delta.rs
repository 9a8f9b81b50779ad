//! `cargo xtask delta`: patches as small files, which are added to a checkpoint and taken away.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Subcommand, ValueEnum};
use paint_atomic::{UnfinishedDirectory, directory_of};
use paint_clip::{Parent, Provenance};
use paint_mix::{
    DeltaDtype, DeltaInfo, Origin, apply_delta, conflict, read_delta, remove_delta, write_delta,
};
use serde_json::{Value, json};

use crate::machine::{sha256_of_file, sha256_of_weights};
use crate::models::find_model;
use crate::progress::{Console, answer};
use crate::tasks::hub_of;

const WEIGHTS: &str = "model.safetensors";

/// Patches as files: write what fine-tuning changed, add it to a checkpoint, take it away
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// One JSON object in place of the table
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// What FINE_TUNED changed of BASE, as a file
    Write {
        /// Checkpoint directory, embedded model or ORG/NAME of the Hub
        base: String,
        /// Checkpoint directory of the same architecture
        fine_tuned: String,
        /// The delta to write
        out: PathBuf,
        #[arg(long, value_enum, default_value = "f16")]
        dtype: Dtype,
    },
    /// BASE with deltas added, as a checkpoint directory
    Apply {
        /// Checkpoint directory, embedded model or ORG/NAME of the Hub
        base: String,
        /// The directory to write
        to: PathBuf,
        /// Deltas as FILE or FILE=ALPHA; without ALPHA it is 1
        #[arg(required = true)]
        deltas: Vec<String>,
        /// Add to other weights than the deltas were made from, such as a patched model
        #[arg(long)]
        stack: bool,
    },
    /// PATCHED with a delta taken away, as a checkpoint directory
    Remove {
        /// Checkpoint directory
        patched: String,
        /// The directory to write
        to: PathBuf,
        /// The delta as FILE or FILE=ALPHA, with the ALPHA it was added with
        delta: String,
        /// Subtract it although PATCHED does not say that it carries it
        #[arg(long)]
        unrecorded: bool,
    },
    /// Whether two deltas pull in different directions, layer by layer
    Conflict {
        a: PathBuf,
        b: PathBuf,
        /// Count only values that both change by more than this
        #[arg(long, default_value_t = 0.0)]
        above: f64,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F16,
    Bf16,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let (lines, json) = match &args.command {
        Command::Write {
            base,
            fine_tuned,
            out,
            dtype,
        } => {
            let (base, fine_tuned) = (find(base, console)?, find(fine_tuned, console)?);
            let dtype = match dtype {
                Dtype::F16 => DeltaDtype::F16,
                Dtype::Bf16 => DeltaDtype::Bf16,
            };
            let info = emit_delta(&base, &fine_tuned, out, dtype)?;
            let whole = std::fs::metadata(fine_tuned.join(WEIGHTS))?.len();
            (written_lines(out, &info, whole), json!(info))
        }
        Command::Apply {
            base,
            to,
            deltas,
            stack,
        } => apply(&find(base, console)?, to, deltas, origin(*stack))?,
        Command::Remove {
            patched,
            to,
            delta,
            unrecorded,
        } => remove(&find(patched, console)?, to, delta, origin(*unrecorded))?,
        Command::Conflict { a, b, above } => compare(a, b, *above)?,
    };
    if args.json {
        answer(json);
    } else {
        lines.iter().for_each(answer);
    }
    Ok(())
}

/// Writes to the file `out` what fine-tuning changed of the weights in `zero_shot`; both are
/// checkpoint directories with a `model.safetensors`.
pub(crate) fn emit_delta(
    zero_shot: &Path,
    fine_tuned: &Path,
    out: &Path,
    dtype: DeltaDtype,
) -> Result<DeltaInfo> {
    let (zero_shot, fine_tuned) = (weights(zero_shot)?, weights(fine_tuned)?);
    Ok(write_delta(&zero_shot, &fine_tuned, out, dtype)?)
}

fn find(name: &str, console: &Console) -> Result<PathBuf> {
    Ok(find_model(name, &hub_of(None, console))?.directory)
}

/// The one file of weights that a delta is of.
pub(crate) fn weights(directory: &Path) -> Result<PathBuf> {
    let path = directory.join(WEIGHTS);
    ensure!(
        path.is_file(),
        "{} has no {WEIGHTS}; write one with `cargo xtask convert {} TO --layout hf`",
        directory.display(),
        directory.display()
    );
    Ok(path)
}

fn origin(any: bool) -> Origin {
    if any { Origin::Any } else { Origin::Verified }
}

/// `FILE` or `FILE=ALPHA`.
fn with_alpha(text: &str) -> Result<(PathBuf, f64)> {
    let (path, alpha) = match text.rsplit_once('=') {
        Some((path, alpha)) if !Path::new(text).exists() => (path, alpha),
        _ => (text, "1"),
    };
    let alpha = alpha
        .parse()
        .with_context(|| format!("{text}: {alpha:?} is no number; write FILE=ALPHA"))?;
    Ok((PathBuf::from(path), alpha))
}

fn apply(
    base: &Path,
    to: &Path,
    deltas: &[String],
    origin: Origin,
) -> Result<(Vec<String>, Value)> {
    let deltas: Vec<_> = deltas
        .iter()
        .map(|d| with_alpha(d))
        .collect::<Result<_>>()?;
    let terms: Vec<_> = deltas
        .iter()
        .map(|(path, a)| (path.as_path(), *a))
        .collect();
    let from = weights(base)?;
    let mut lines = vec![format!("base     {}", base.display())];
    for (path, alpha) in &terms {
        let info = read_delta(path)?;
        lines.push(format!("delta    {alpha} · {}", path.display()));
        lines.extend(rounding_line(&info));
    }
    let patched = publish(base, to, "applied", &terms, |out| {
        Ok(apply_delta(&from, &terms, out, origin)?)
    })?;
    lines.push(format!("wrote    {}", to.display()));
    Ok((lines, json!(patched)))
}

fn remove(patched: &Path, to: &Path, delta: &str, origin: Origin) -> Result<(Vec<String>, Value)> {
    let (path, alpha) = with_alpha(delta)?;
    let from = weights(patched)?;
    let terms = [(path.as_path(), alpha)];
    let removed = publish(patched, to, "removed", &terms, |out| {
        Ok(remove_delta(&from, &path, alpha, out, origin)?)
    })?;
    let exactness = match removed.restored {
        Some(true) => "the base's weights bit for bit".to_owned(),
        _ => format!(
            "no value is farther than {:.1e} from what it was; to have them exactly, keep the base",
            removed.max_error
        ),
    };
    let lines = vec![
        format!("patched  {}", patched.display()),
        format!("removed  {alpha} · {}", path.display()),
        format!("exact    {exactness}"),
        format!("wrote    {}", to.display()),
    ];
    Ok((lines, json!(removed)))
}

/// A checkpoint directory like `from` with the weights that `write` writes, whole or not there.
fn publish<T>(
    from: &Path,
    to: &Path,
    what: &str,
    deltas: &[(&Path, f64)],
    write: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    if to.exists() {
        bail!("{} exists; choose another directory", to.display());
    }
    let parent = directory_of(to);
    std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    // Fails if the weights are damaged, so before anything is written.
    let mut provenance = provenance(from, what, deltas)?;
    let built = UnfinishedDirectory::create(to)
        .with_context(|| format!("write beside {}", to.display()))?;
    let written = write(&built.path().join(WEIGHTS))?;
    let entries = std::fs::read_dir(from).with_context(|| format!("read {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && describes(&path) {
            let copy = built.path().join(path.file_name().unwrap_or_default());
            std::fs::copy(&path, copy).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    provenance.weights_sha256 = Some(sha256_of_file(&built.path().join(WEIGHTS))?);
    let path = built.path().join("paint.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&provenance)?)
        .with_context(|| format!("write {}", path.display()))?;
    built
        .publish()
        .with_context(|| format!("write {}", to.display()))?;
    Ok(written)
}

/// Whether a file describes the model in `transformers`' layout. Weights in other formats, and what
/// leads to them, would be the old ones.
fn describes(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_text = name.ends_with(".json") || name.ends_with(".txt");
    is_text && !name.ends_with(".index.json") && name != "open_clip_config.json"
}

/// Parents are the checkpoint and the deltas; notes keep the coefficients.
fn provenance(from: &Path, what: &str, deltas: &[(&Path, f64)]) -> Result<Provenance> {
    let mut parents = vec![parent(from, sha256_of_weights(from)?)];
    let mut notes = Vec::new();
    for &(path, alpha) in deltas {
        let parent = parent(path, sha256_of_file(path)?);
        notes.push(json!({ "delta": parent.name, "sha256": parent.sha256, "alpha": alpha }));
        parents.push(parent);
    }
    let known = Provenance::load(from)?.unwrap_or_default();
    let mut provenance = Provenance {
        parents,
        ..Default::default()
    };
    provenance.notes.insert(what.to_owned(), json!(notes));
    provenance.notes.insert(
        "base".to_owned(),
        json!({ "parents": known.parents, "notes": known.notes }),
    );
    Ok(provenance)
}

fn parent(path: &Path, sha256: String) -> Parent {
    let name = path.file_name().unwrap_or_default();
    Parent {
        name: name.to_string_lossy().into_owned(),
        sha256,
    }
}

fn written_lines(out: &Path, info: &DeltaInfo, whole: u64) -> Vec<String> {
    let share = 100.0 * info.n_bytes as f64 / whole as f64;
    let mut lines = vec![
        format!("base     weights {}", info.base_sha256),
        format!("tuned    weights {}", info.fine_tuned_sha256),
        format!(
            "size     {} bytes ({share:.0} % of the fine-tuned file): {} tensors, {} values, {:?}",
            info.n_bytes, info.n_tensors, info.n_values, info.dtype
        ),
    ];
    lines.extend(rounding_line(info));
    lines.push(format!("wrote    {}", out.display()));
    lines
}

fn rounding_line(info: &DeltaInfo) -> [String; 1] {
    let found = &info.rounding;
    [format!(
        "exact    to {:.1e} absolute, {:.1e} of a value, {:.1e} of the whole change",
        found.max_absolute, found.max_relative, found.relative_l2
    )]
}

fn compare(a: &Path, b: &Path, above: f64) -> Result<(Vec<String>, Value)> {
    let groups = conflict(a, b, above)?;
    let share = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
    let mut lines = vec![format!(
        "{:<20} {:>12} {:>12} {:>8} {:>13}",
        "group", "values", "both change", "cosine", "opposed signs"
    )];
    let mut rows = Vec::new();
    for (group, found) in &groups {
        lines.push(format!(
            "{:<20} {:>12} {:>12} {:>8} {:>13}",
            group.to_string(),
            found.n,
            found.n_both,
            share(found.cosine),
            share(found.sign_disagreement())
        ));
        rows.push(json!({
            "group": group.to_string(), "values": found.n, "both_change": found.n_both,
            "cosine": found.cosine, "sign_disagreement": found.sign_disagreement(),
        }));
    }
    Ok((lines, json!({ "above": above, "groups": rows })))
}
