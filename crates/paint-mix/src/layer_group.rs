//! Which part of a CLIP model a tensor belongs to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the two towers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tower {
    /// The image encoder.
    Vision,
    /// The text encoder.
    Text,
}

/// Part of a model, in the order in which activations pass it.
///
/// Displays as `vision layer 3`, `text projection`, `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerGroup {
    /// Patches, tokens, classes and positions, and the norm before the first layer.
    Embedding(Tower),
    /// A transformer layer, counted from 0.
    Layer(Tower, u32),
    /// The norm after the last layer.
    FinalNorm(Tower),
    /// The map into the space that both towers share.
    Projection(Tower),
    /// Everything else, such as `logit_scale`.
    Other,
}

impl LayerGroup {
    /// The group of a tensor by its name in `transformers`' CLIP, for instance
    /// `vision_model.encoder.layers.3.mlp.fc1.weight`.
    pub fn of(tensor: &str) -> Self {
        let towers = [
            ("vision_model.", Tower::Vision),
            ("text_model.", Tower::Text),
        ];
        for (prefix, tower) in towers {
            if let Some(rest) = tensor.strip_prefix(prefix) {
                return Self::within(tower, rest);
            }
        }
        match tensor.split('.').next() {
            Some("visual_projection") => Self::Projection(Tower::Vision),
            Some("text_projection") => Self::Projection(Tower::Text),
            _ => Self::Other,
        }
    }

    fn within(tower: Tower, rest: &str) -> Self {
        if let Some(layer) = rest.strip_prefix("encoder.layers.") {
            let number = layer.split('.').next().unwrap_or_default();
            return number
                .parse()
                .map_or(Self::Other, |n| Self::Layer(tower, n));
        }
        match rest.split('.').next() {
            // The misspelling is transformers' own.
            Some("embeddings" | "pre_layrnorm") => Self::Embedding(tower),
            Some("post_layernorm" | "final_layer_norm") => Self::FinalNorm(tower),
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Tower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vision => "vision",
            Self::Text => "text",
        })
    }
}

impl fmt::Display for LayerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedding(tower) => write!(f, "{tower} embedding"),
            Self::Layer(tower, n) => write!(f, "{tower} layer {n}"),
            Self::FinalNorm(tower) => write!(f, "{tower} final norm"),
            Self::Projection(tower) => write!(f, "{tower} projection"),
            Self::Other => f.write_str("other"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_transformers_have_their_group() {
        let check = |tensor: &str, expected: &str| {
            assert_eq!(LayerGroup::of(tensor).to_string(), expected, "{tensor}");
        };
        check(
            "vision_model.embeddings.class_embedding",
            "vision embedding",
        );
        check("vision_model.pre_layrnorm.bias", "vision embedding");
        check(
            "vision_model.encoder.layers.11.self_attn.q_proj.weight",
            "vision layer 11",
        );
        check("vision_model.post_layernorm.weight", "vision final norm");
        check("visual_projection.weight", "vision projection");
        check(
            "text_model.embeddings.token_embedding.weight",
            "text embedding",
        );
        check("text_model.encoder.layers.0.mlp.fc1.bias", "text layer 0");
        check("text_model.final_layer_norm.bias", "text final norm");
        check("text_projection.weight", "text projection");
        check("logit_scale", "other");
        check("vision_model.encoder.layers.x.mlp", "other");
        check("vision_model", "other");
    }

    #[test]
    fn groups_are_in_order_of_the_layers_and_not_of_their_digits() {
        let layer = |n| LayerGroup::Layer(Tower::Vision, n);
        assert!(LayerGroup::Embedding(Tower::Vision) < layer(0));
        assert!(layer(2) < layer(10));
        assert!(layer(10) < LayerGroup::FinalNorm(Tower::Vision));
    }
}
