//! `cargo xtask convert`: a checkpoint in the other layout, or another dtype.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use paint_clip::{Layout, Parent, Provenance, WeightDtype, save_as};
use serde_json::json;

use crate::model::Model;
use crate::models::find_model;
use crate::progress::Console;
use crate::tasks::hub_of;

/// Write a checkpoint as transformers or open_clip read it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint in either layout (safetensors or .bin, whole or in shards), an embedded model, or
    /// ORG/NAME of the Hub
    from: String,
    /// The directory to write
    to: PathBuf,
    #[arg(long, value_enum)]
    layout: To,
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// config.json and model.safetensors
    Hf,
    /// open_clip_config.json and open_clip_model.safetensors
    OpenClip,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
}

impl From<To> for Layout {
    fn from(to: To) -> Self {
        match to {
            To::Hf => Self::HuggingFace,
            To::OpenClip => Self::OpenClip,
        }
    }
}

impl From<Dtype> for WeightDtype {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::Bf16 => Self::BF16,
        }
    }
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let found = find_model(&args.from, &hub_of(None, console))?;
    let from = found.directory.clone();
    ensure!(
        !args.to.exists() || from.canonicalize()? != args.to.canonicalize()?,
        "{} would be replaced by its own conversion; choose another directory",
        from.display()
    );
    let model = Model::load(found)?;
    let layout = Layout::from(args.layout);
    save_as(
        layout,
        &args.to,
        &model.config,
        &model.tensors,
        args.dtype.into(),
        Some(&from),
        &provenance(&model)?,
    )
    .with_context(|| format!("convert {}", from.display()))?;
    console.say(format!(
        "wrote {}; compare with `cargo xtask verify {} {}`",
        args.to.display(),
        args.from,
        args.to.display()
    ));
    Ok(())
}

/// The model is its own parent, with all that was known of it.
fn provenance(model: &Model) -> Result<Provenance> {
    let known = Provenance::load(&model.dir)?.unwrap_or_default();
    let mut notes = known.notes.clone();
    let layout = match Layout::of(&model.dir) {
        Layout::HuggingFace => "hf",
        Layout::OpenClip => "open-clip",
    };
    notes.insert(
        "converted_from".to_owned(),
        json!({ "layout": layout, "parents": known.parents }),
    );
    Ok(Provenance {
        parents: vec![Parent {
            name: model.name.clone(),
            sha256: model.sha256.clone(),
        }],
        notes,
        tool_version: Provenance::default().tool_version,
        ..known
    })
}
