//! How large a model is, before any of it is fetched.

use std::path::{Path, PathBuf};

use paint_clip::{ClipConfig, VisionConfig};
use paint_data::{Hub, Repository, RepositoryKind};

use crate::preset::Preset;

/// A model's size and architecture, as far as they are known.
pub(crate) struct ModelSize {
    /// Of the files that a run reads.
    pub(crate) bytes: Option<u64>,
    /// Whether the weights are on this machine.
    pub(crate) at_hand: bool,
    pub(crate) config: ClipConfig,
    /// Where the configuration is from.
    pub(crate) config_from: &'static str,
}

/// Published architectures: what their names hold, in lower case without separators; patch, width,
/// layers, heads and image size of the image side; dimensions of the embedding; bytes in f32.
const PUBLISHED: [(&str, [usize; 5], usize, u64); 5] = [
    ("patch32", [32, 768, 12, 12, 224], 512, 605_109_252),
    ("patch16", [16, 768, 12, 12, 224], 512, 598_482_948),
    ("patch14336", [14, 1024, 24, 16, 336], 768, 1_711_776_772),
    ("patch14", [14, 1024, 24, 16, 224], 768, 1_710_466_052),
    ("vith14", [14, 1280, 32, 16, 224], 1024, 3_944_437_764),
];

/// What open_clip calls the same.
const OPEN_CLIP_NAMES: [(&str, &str); 3] = [
    ("vitb32", "patch32"),
    ("vitb16", "patch16"),
    ("vitl14", "patch14"),
];

/// Looks at the directory, the embedded models, the cache, and the names of published models.
pub(crate) fn model_size(name: &str, hub: Option<&Path>) -> ModelSize {
    let embedded = paint_world::checkpoints().iter().any(|c| c.name == name);
    if let Some(found) = in_directory(Path::new(name), None) {
        return found;
    }
    if embedded && let Ok(preset) = Preset::find(name) {
        return ModelSize {
            bytes: Some(0),
            at_hand: true,
            config: preset.clip_config(),
            config_from: "embedded in the program",
        };
    }
    let (id, revision) = match name.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (name, None),
    };
    let repository = without_network(hub).open(RepositoryKind::Model, id, revision);
    let cached = repository
        .ok()
        .and_then(|found| in_directory(&found.directory(), Some(&found)));
    cached.unwrap_or_else(|| published(id))
}

fn without_network(hub: Option<&Path>) -> Hub {
    match hub.map_or_else(Hub::from_env, |dir| Hub::Directory(dir.to_owned())) {
        Hub::Online(online) => Hub::Cache(online.cache),
        other => other,
    }
}

/// A checkpoint that is there; its configuration at least.
fn in_directory(directory: &Path, repository: Option<&Repository>) -> Option<ModelSize> {
    let config = ClipConfig::load(directory).ok()?;
    let files: Vec<PathBuf> = match repository {
        Some(repository) => {
            let names = paint_clip::checkpoint_files(repository.names())?;
            names.into_iter().map(|name| directory.join(name)).collect()
        }
        None => paint_clip::weight_files(directory).ok()?,
    };
    let sizes: Option<Vec<u64>> = files
        .iter()
        .map(|path| Some(path.metadata().ok()?.len()))
        .collect();
    Some(ModelSize {
        at_hand: sizes.is_some(),
        bytes: sizes.map(|sizes| sizes.iter().sum()),
        config,
        config_from: "its own configuration",
    })
}

fn published(id: &str) -> ModelSize {
    let plain: String = id
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let wanted = OPEN_CLIP_NAMES
        .iter()
        .find(|(open_clip, _)| plain.contains(open_clip))
        .map_or(plain.as_str(), |(_, name)| name);
    let known = PUBLISHED.iter().find(|(part, ..)| wanted.contains(part));
    let config =
        |[patch_size, hidden_size, layers, heads, image_size]: [usize; 5], projection| ClipConfig {
            vision: VisionConfig {
                image_size,
                patch_size,
                hidden_size,
                intermediate_size: 4 * hidden_size,
                num_hidden_layers: layers,
                num_attention_heads: heads,
                ..Default::default()
            },
            projection_dim: projection,
            ..Default::default()
        };
    match known {
        Some(&(_, sizes, projection, bytes)) => ModelSize {
            bytes: Some(bytes),
            at_hand: false,
            config: config(sizes, projection),
            config_from: "architecture by its name",
        },
        None => ModelSize {
            bytes: None,
            at_hand: false,
            config: ClipConfig::default(),
            config_from: "architecture unknown, taken to be ViT-B/32",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_models_are_known_by_their_names() {
        let check = |id, bytes, patch, layers| {
            let size = published(id);
            let vision = &size.config.vision;
            assert_eq!(
                (size.bytes, vision.patch_size, vision.num_hidden_layers),
                (bytes, patch, layers),
                "{id}"
            );
        };
        check("openai/clip-vit-base-patch32", Some(605_109_252), 32, 12);
        check("openai/clip-vit-base-patch16", Some(598_482_948), 16, 12);
        check("openai/clip-vit-large-patch14", Some(1_710_466_052), 14, 24);
        check(
            "openai/clip-vit-large-patch14-336",
            Some(1_711_776_772),
            14,
            24,
        );
        check(
            "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
            Some(3_944_437_764),
            14,
            32,
        );
        check(
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
            Some(605_109_252),
            32,
            12,
        );
        check("me/my-model", None, 32, 12);
    }
}
