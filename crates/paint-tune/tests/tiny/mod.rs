//! The smallest model that has every kind of tensor, with a tokenizer of one token a word.

use std::path::Path;

use paint_clip::{ClipConfig, TextConfig, VisionConfig};

/// Height and width of the images.
pub(crate) const SIDE: usize = 16;

/// The words that have a token of their own, in the order of their ids.
pub(crate) const WORDS: [&str; 6] = ["a", "red", "green", "blue", "image", "?"];

pub(crate) fn config() -> ClipConfig {
    ClipConfig {
        vision: VisionConfig {
            image_size: SIDE,
            patch_size: 8,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            ..Default::default()
        },
        text: TextConfig {
            vocab_size: 8,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            max_position_embeddings: 8,
            eos_token_id: 7,
            ..Default::default()
        },
        projection_dim: 12,
        ..Default::default()
    }
}

/// What `Tokenizer::load` and `Preprocessor::load` read.
pub(crate) fn write_files(dir: &Path, words: [&str; 6], image_mean: [f64; 3]) {
    let words = words.into_iter().chain(["<s>", "</s>"]);
    let vocabulary: serde_json::Map<String, serde_json::Value> = words
        .zip(0..)
        .map(|(word, id)| (word.to_owned(), serde_json::json!(id)))
        .collect();
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": "<s>", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
                { "SpecialToken": { "id": "</s>", "type_id": 0 } },
            ],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }],
            "special_tokens": {
                "<s>": { "id": "<s>", "ids": [6], "tokens": ["<s>"] },
                "</s>": { "id": "</s>", "ids": [7], "tokens": ["</s>"] },
            },
        },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "?" },
    });
    let preprocessor =
        serde_json::json!({ "size": SIDE, "crop_size": SIDE, "image_mean": image_mean });
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    write("tokenizer.json", tokenizer.to_string());
    write("preprocessor_config.json", preprocessor.to_string());
    write("config.json", config().to_json());
}
