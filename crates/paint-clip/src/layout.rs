//! The two layouts of a checkpoint directory, and how their tensors correspond.
//!
//! open_clip keeps query, key and value in one matrix, and both projections the other way round.
//! Source: `convert_clip_original_pytorch_to_hf.py` of transformers; open_clip's `model.py`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ClipConfig;

/// How a checkpoint directory names its files and tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `config.json` and `model.safetensors`, as `transformers`' `CLIPModel`.
    HuggingFace,
    /// `open_clip_config.json` and `open_clip_model.safetensors`.
    OpenClip,
}

/// Weight files by the names that they have in each layout; the first one that is there is read.
pub(crate) const HUGGING_FACE_WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];
pub(crate) const OPEN_CLIP_WEIGHTS: [&str; 3] = [
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
];

impl Layout {
    /// The layout of a directory. Some repositories have both; Hugging Face's is read then.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        let has = |name: &&str| dir.join(name).exists();
        let hugging_face = has(&"config.json") && HUGGING_FACE_WEIGHTS.iter().any(has);
        if !hugging_face && has(&"open_clip_config.json") {
            Self::OpenClip
        } else {
            Self::HuggingFace
        }
    }

    /// The file with the configuration.
    #[must_use]
    pub fn config_file(self) -> &'static str {
        match self {
            Self::HuggingFace => "config.json",
            Self::OpenClip => "open_clip_config.json",
        }
    }

    /// The names of the weight files that are looked for, best first.
    pub(crate) fn weight_files(self) -> &'static [&'static str] {
        match self {
            Self::HuggingFace => &HUGGING_FACE_WEIGHTS,
            Self::OpenClip => &OPEN_CLIP_WEIGHTS,
        }
    }

    /// Where a tensor, given by its `transformers` name, is in this layout.
    pub(crate) fn place(self, name: &str) -> Place {
        match self {
            Self::HuggingFace => Place::whole(name.to_owned()),
            Self::OpenClip => open_clip_place(name),
        }
    }

    /// Every tensor of a model by its name in this layout, with its shape.
    pub(crate) fn tensor_shapes(self, config: &ClipConfig) -> BTreeMap<String, Vec<usize>> {
        let shapes = config.tensor_shapes().into_iter();
        shapes
            .map(|(name, mut shape)| {
                let place = self.place(&name);
                match place.part {
                    Part::Whole => {}
                    Part::Transposed => shape.reverse(),
                    Part::Third(_) => shape[0] *= 3,
                }
                (place.name, shape)
            })
            .collect()
    }
}

/// Where a tensor is found in a layout.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) part: Part,
}

/// Which part of the tensor there it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Transposed,
    /// Query (0), key or value of the fused input projection.
    Third(usize),
}

impl Place {
    fn whole(name: String) -> Self {
        Self {
            name,
            part: Part::Whole,
        }
    }
}

fn open_clip_place(name: &str) -> Place {
    let transposed = |name: &str| Place {
        name: name.to_owned(),
        part: Part::Transposed,
    };
    match name {
        "visual_projection.weight" => return transposed("visual.proj"),
        "text_projection.weight" => return transposed("text_projection"),
        _ => {}
    }
    let (tower, rest) = if let Some(rest) = name.strip_prefix("vision_model.") {
        ("visual.", rest)
    } else if let Some(rest) = name.strip_prefix("text_model.") {
        ("", rest)
    } else {
        return Place::whole(name.to_owned());
    };
    if let Some((layer, rest)) = rest
        .strip_prefix("encoder.layers.")
        .and_then(|rest| rest.split_once('.'))
    {
        let Place { name, part } = open_clip_layer(rest);
        return Place {
            name: format!("{tower}transformer.resblocks.{layer}.{name}"),
            part,
        };
    }
    let rest = match rest {
        "embeddings.patch_embedding.weight" => "conv1.weight",
        "embeddings.position_embedding.weight" => "positional_embedding",
        other => other.strip_prefix("embeddings.").unwrap_or(other),
    };
    let rest = rest
        // The name is misspelt in transformers.
        .replace("pre_layrnorm", "ln_pre")
        .replace("post_layernorm", "ln_post")
        .replace("final_layer_norm", "ln_final");
    Place::whole(format!("{tower}{rest}"))
}

/// Within a layer.
fn open_clip_layer(name: &str) -> Place {
    for (third, projection) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
        let kind = name.strip_prefix("self_attn.");
        let kind = kind.and_then(|name| name.strip_prefix(projection));
        if let Some(kind) = kind.and_then(|kind| kind.strip_prefix('.')) {
            return Place {
                name: format!("attn.in_proj_{kind}"),
                part: Part::Third(third),
            };
        }
    }
    Place::whole(
        name.replace("layer_norm1", "ln_1")
            .replace("layer_norm2", "ln_2")
            .replace("self_attn.out_proj", "attn.out_proj")
            .replace("mlp.fc1", "mlp.c_fc")
            .replace("mlp.fc2", "mlp.c_proj"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tensor_of_vit_b32_has_its_place() {
        let config = ClipConfig::default();
        let shapes = Layout::OpenClip.tensor_shapes(&config);
        assert_eq!(shapes.len(), 302);
        for (name, shape) in [
            ("logit_scale", &[][..]),
            ("visual.class_embedding", &[768]),
            ("visual.conv1.weight", &[768, 3, 32, 32]),
            ("visual.positional_embedding", &[50, 768]),
            ("visual.ln_pre.bias", &[768]),
            ("visual.ln_post.weight", &[768]),
            ("visual.proj", &[768, 512]),
            ("token_embedding.weight", &[49408, 512]),
            ("positional_embedding", &[77, 512]),
            ("ln_final.weight", &[512]),
            ("text_projection", &[512, 512]),
            (
                "visual.transformer.resblocks.11.attn.in_proj_weight",
                &[2304, 768],
            ),
            ("transformer.resblocks.0.attn.in_proj_bias", &[1536]),
            ("transformer.resblocks.0.attn.out_proj.weight", &[512, 512]),
            ("transformer.resblocks.3.ln_1.weight", &[512]),
            ("transformer.resblocks.3.ln_2.bias", &[512]),
            (
                "visual.transformer.resblocks.3.mlp.c_fc.weight",
                &[3072, 768],
            ),
            (
                "visual.transformer.resblocks.3.mlp.c_proj.weight",
                &[768, 3072],
            ),
        ] {
            assert_eq!(shapes.get(name).map(Vec::as_slice), Some(shape), "{name}");
        }
        let value = "vision_model.encoder.layers.2.self_attn.v_proj.bias";
        assert_eq!(Layout::OpenClip.place(value).part, Part::Third(2));
    }
}
