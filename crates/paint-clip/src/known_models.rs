//! The activation that published models were trained with, where a checkpoint says which it is.
//!
//! Weights do not show it, and with the wrong one a model works, only worse. What can be known is
//! what the checkpoint is called: `_name_or_path` of `config.json`, or the directory
//! (`…/openai/clip-vit-base-patch32`, or `models--openai--clip-vit-base-patch32` in the Hub's
//! cache). Of a directory with any other name nothing is known, and its configuration is believed.
//!
//! Source: open_clip's `pretrained.py` (quick_gelu of each tag) and its `model_configs`.

use std::path::{Component, Path};

use crate::{ClipConfig, Error, HiddenAct, Result};

/// Compares the configuration with what is known of the model. `name`: its `_name_or_path`.
pub(crate) fn check_activation(
    config: &ClipConfig,
    name: Option<&str>,
    dir: &Path,
    config_file: &str,
) -> Result<()> {
    let candidates = name.map(str::to_owned).into_iter().chain(ids(dir));
    let known = candidates.filter_map(|id| trained_with(&id).map(|act| (id, act)));
    let Some((id, trained)) = known.into_iter().next() else {
        return Ok(());
    };
    for (key, stated) in [
        ("vision_config.hidden_act", config.vision.hidden_act),
        ("text_config.hidden_act", config.text.hidden_act),
    ] {
        if stated != trained {
            return Err(Error::Config {
                origin: dir.join(config_file).display().to_string(),
                key: key.to_owned(),
                problem: format!(
                    "is {}, but {id} was trained with {}; correct the file ({}), or give the \
                     model another name if it was trained again so",
                    stated.name(),
                    trained.name(),
                    match trained {
                        HiddenAct::QuickGelu => "open_clip: \"quick_gelu\": true",
                        HiddenAct::Gelu => "open_clip: \"quick_gelu\": false",
                    }
                ),
            });
        }
    }
    Ok(())
}

fn trained_with(id: &str) -> Option<HiddenAct> {
    let is = |prefix: &str| id.starts_with(prefix);
    if is("openai/clip-vit-") || is("timm/vit_") && id.ends_with(".openai") {
        Some(HiddenAct::QuickGelu)
    } else if is("laion/CLIP-ViT-") {
        Some(HiddenAct::Gelu)
    } else {
        None
    }
}

/// `org/name` as the path spells it.
fn ids(dir: &Path) -> impl Iterator<Item = String> {
    let parts: Vec<String> = dir
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let last_two = match parts.as_slice() {
        [.., org, name] => Some(format!("{org}/{name}")),
        _ => None,
    };
    let cached = parts.into_iter().filter_map(|part| {
        let (org, name) = part.strip_prefix("models--")?.split_once("--")?;
        Some(format!("{org}/{name}"))
    });
    last_two.into_iter().chain(cached)
}
