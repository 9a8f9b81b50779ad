//! `cargo xtask logits`: what a model makes of given images and prompts, as JSON.

use std::path::PathBuf;

use anyhow::{Context, Result};
use paint_data::decode_image;
use serde_json::json;

use crate::model::Model;
use crate::models::find_model;
use crate::progress::{Console, answer};
use crate::tasks::hub_of;

/// Print the logits of images and prompts as one JSON object
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint directory, an embedded model, or ORG/NAME of the Hub
    model: String,
    /// An image file; may be given several times
    #[arg(long = "image", required = true)]
    images: Vec<PathBuf>,
    /// A text; may be given several times
    #[arg(long = "prompt", required = true)]
    prompts: Vec<String>,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let model = Model::load(find_model(&args.model, &hub_of(None, console))?)?;
    let pixels = args.images.iter().map(|path| {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let image = decode_image(&bytes).with_context(|| path.display().to_string())?;
        Ok(model.preprocessor.resize_crop(&image))
    });
    let pixels = pixels.collect::<Result<Vec<_>>>()?.concat();
    let logits = model.logits(&pixels, args.images.len(), &args.prompts)?;
    let line = json!({
        "model": args.model,
        "images": args.images,
        "prompts": args.prompts,
        // A row for each image.
        "logits": logits,
    });
    answer(line);
    Ok(())
}
