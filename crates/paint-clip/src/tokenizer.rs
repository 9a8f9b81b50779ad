//! Text to token ids, as `tokenizer.json` says.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{ClipConfig, Error, Result};

/// A checkpoint's tokenizer.
///
/// The ids are those of `transformers`' `CLIPTokenizerFast` for the same `tokenizer.json`. open_clip
/// ignores that file for CLIP models and cleans texts differently before the same vocabulary: it
/// repairs text with ftfy and resolves HTML entities, so that texts with entities (`&amp;`), wrongly
/// decoded characters, curly quotes, ligatures, full-width letters or control characters get other
/// ids there; plain prompts get the same. `tests/reference/make_token_reference.py` counts them.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    context_length: usize,
    eot: u32,
}

impl Tokenizer {
    /// Reads `tokenizer.json`, or `vocab.json` and `merges.txt` where there is none, and the context
    /// length from the configuration.
    ///
    /// # Errors
    /// If a file cannot be read or does not parse, or the tokenizer does not put a start and an end
    /// token around a text.
    pub fn load(dir: &Path) -> Result<Self> {
        let context_length = ClipConfig::load(dir)?.text.max_position_embeddings;
        let (path, bytes) = definition(dir)?;
        let refuse = |message: String| Error::Tokenizer {
            path: Some(path.clone()),
            message,
        };
        let mut inner =
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| refuse(e.to_string()))?;
        // Some files ask for padding or cutting; both are this type's and the text tower's work.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| refuse(e.to_string()))?;
        let empty = all_ids(&inner, "")?;
        let &[_, eot] = empty.as_slice() else {
            return Err(refuse(format!(
                "gives {} tokens for the empty text instead of start and end",
                empty.len()
            )));
        };
        Ok(Self {
            inner,
            context_length,
            eot,
        })
    }

    /// The ids of a text between start and end tokens, without padding. A text longer than the
    /// context is cut, the end token kept.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = all_ids(&self.inner, text)?;
        if ids.len() > self.context_length {
            ids.truncate(self.context_length - 1);
            ids.push(self.eot);
        }
        Ok(ids)
    }

    /// Whether [`Tokenizer::encode`] cuts this text.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn truncates(&self, text: &str) -> Result<bool> {
        Ok(all_ids(&self.inner, text)?.len() > self.context_length)
    }

    /// The most tokens a text can have, start and end included.
    #[must_use]
    pub fn context_length(&self) -> usize {
        self.context_length
    }
}

/// What `tokenizer.json` says, or would say, and the file that it is from.
fn definition(dir: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let path = dir.join("tokenizer.json");
    match std::fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && dir.join("vocab.json").exists() => {
            let path = dir.join("vocab.json");
            let definition = from_vocabulary(&path, &dir.join("merges.txt"))?;
            Ok((path, definition.to_string().into_bytes()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && dir.exists() => {
            Err(Error::Tokenizer {
                path: Some(path),
                message: "is not there; every CLIP of OpenAI and LAION has the one of \
                          openai/clip-vit-base-patch32, copy it from there"
                    .to_owned(),
            })
        }
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// `tokenizer.json` as `transformers`' `CLIPTokenizer` makes it of a vocabulary and its merges.
fn from_vocabulary(vocab: &Path, merges: &Path) -> Result<Value> {
    const START: &str = "<|startoftext|>";
    const END: &str = "<|endoftext|>";
    let text = std::fs::read_to_string(vocab).map_err(Error::io("read", vocab))?;
    let vocabulary: Value = serde_json::from_str(&text).map_err(Error::json(vocab))?;
    let text = std::fs::read_to_string(merges).map_err(Error::io("read", merges))?;
    let merges: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#version"))
        .collect();
    let (Some(start), Some(end)) = (vocabulary[START].as_u64(), vocabulary[END].as_u64()) else {
        return Err(Error::Tokenizer {
            path: Some(vocab.to_owned()),
            message: format!("lacks {START} or {END}"),
        });
    };
    let added = |id: u64, content: &str, normalized: bool| {
        json!({
            "id": id, "content": content, "normalized": normalized, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false,
        })
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": [added(start, START, true), added(end, END, false)],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            {
                "type": "Split",
                "pattern": {
                    "Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
                },
                "behavior": "Removed",
                "invert": true,
            },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        ] },
        "post_processor": {
            "type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true },
        "model": {
            "type": "BPE", "unk_token": END, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false,
            "vocab": vocabulary, "merges": merges,
        },
    }))
}

fn all_ids(inner: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>> {
    let refuse = |e: tokenizers::Error| Error::Tokenizer {
        path: None,
        message: e.to_string(),
    };
    Ok(inner.encode(text, true).map_err(refuse)?.get_ids().to_vec())
}
