//! Text to token ids, as `tokenizer.json` says.

use std::path::Path;

use crate::{ClipConfig, Error, Result};

/// A checkpoint's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    context_length: usize,
    eot: u32,
}

impl Tokenizer {
    /// Reads `tokenizer.json`, and the context length from `config.json`.
    ///
    /// # Errors
    /// If a file cannot be read or does not parse, or the tokenizer does not put a start and an end
    /// token around a text.
    pub fn load(dir: &Path) -> Result<Self> {
        let context_length = ClipConfig::load(dir)?.text.max_position_embeddings;
        let path = dir.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
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

fn all_ids(inner: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>> {
    let refuse = |e: tokenizers::Error| Error::Tokenizer {
        path: None,
        message: e.to_string(),
    };
    Ok(inner.encode(text, true).map_err(refuse)?.get_ids().to_vec())
}
