//! What decides an embedding, by content.

use std::fs::File;
use std::path::Path;

use paint_clip::{Layout, weight_files};
use sha2::{Digest, Sha256};

use crate::{Error, Result, View};

/// The four things that embeddings follow from. Two files with equal keys hold the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Hash of the model: [`checkpoint_key`].
    pub checkpoint: String,
    /// Hash of what is embedded: a dataset's content key, or the texts.
    pub inputs: String,
    /// How inputs are made ready: the preprocessor's key, or the tokenizer's hash.
    pub preprocessing: String,
    /// Key of the view of the images; "text" for texts.
    pub view: String,
}

impl Key {
    /// Of images: `content_key` is [`paint_data::Dataset::content_key`], `preprocessing`
    /// [`paint_clip::Preprocessor::key`]. No pixel is needed.
    #[must_use]
    pub fn of_images(checkpoint: &str, content_key: &str, preprocessing: &str, view: View) -> Self {
        Self {
            checkpoint: checkpoint.to_owned(),
            inputs: content_key.to_owned(),
            preprocessing: preprocessing.to_owned(),
            view: view.key(),
        }
    }

    /// Of texts, in order: `tokenizer` is [`tokenizer_key`].
    #[must_use]
    pub fn of_texts(checkpoint: &str, tokenizer: &str, texts: &[String]) -> Self {
        let mut hash = Sha256::new();
        texts
            .iter()
            .for_each(|text| part(&mut hash, text.as_bytes()));
        Self {
            checkpoint: checkpoint.to_owned(),
            inputs: hexadecimal(&hash.finalize()),
            preprocessing: tokenizer.to_owned(),
            view: "text".to_owned(),
        }
    }

    /// The parts with the names that they have in a file.
    pub(crate) fn parts(&self) -> [(&'static str, &str); 4] {
        [
            ("checkpoint", &self.checkpoint),
            ("inputs", &self.inputs),
            ("preprocessing", &self.preprocessing),
            ("view", &self.view),
        ]
    }

    /// Hash of all parts: the name of the file.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (_, value) in self.parts() {
            part(&mut hash, value.as_bytes());
        }
        hexadecimal(&hash.finalize())
    }
}

/// Hash of what makes a checkpoint's features: its configuration and its weights.
///
/// # Errors
/// If there are no weights, or a file cannot be read.
pub fn checkpoint_key(dir: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    part(
        &mut hash,
        &hash_file(&dir.join(Layout::of(dir).config_file()))?,
    );
    for weights in weight_files(dir)? {
        part(&mut hash, &hash_file(&weights)?);
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// Hash of a checkpoint's tokenizer: `tokenizer.json`, or `vocab.json` and `merges.txt`.
///
/// # Errors
/// If it cannot be read.
pub fn tokenizer_key(dir: &Path) -> Result<String> {
    let whole = dir.join("tokenizer.json");
    if whole.exists() {
        return Ok(hexadecimal(&hash_file(&whole)?));
    }
    let mut hash = Sha256::new();
    for name in ["vocab.json", "merges.txt"] {
        part(&mut hash, &hash_file(&dir.join(name))?);
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn hash_file(path: &Path) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    std::io::copy(&mut file, &mut hash).map_err(Error::io("read", path))?;
    Ok(hash.finalize().into())
}

/// With the length before it, so that no two lists of parts run together the same.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let key = Key::of_images("c", "i", "p", View::Identity);
        let others = [
            Key::of_images("d", "i", "p", View::Identity),
            Key::of_images("c", "j", "p", View::Identity),
            Key::of_images("c", "i", "q", View::Identity),
            Key::of_images("c", "i", "p", View::FlipLeftRight),
            Key::of_images("ci", "", "p", View::Identity),
        ];
        for other in &others {
            assert_ne!(key.hash(), other.hash());
        }
        assert_eq!(key.hash(), key.clone().hash());
        let texts = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|t| (*t).to_owned()).collect();
            Key::of_texts("c", "t", &list).inputs
        };
        assert_ne!(texts(&["ab", "c"]), texts(&["a", "bc"]));
        assert_ne!(texts(&["a", "b"]), texts(&["b", "a"]));
    }

    #[test]
    fn a_checkpoint_is_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert!(checkpoint_key(dir.path()).is_err());
        write("config.json", "{}");
        write("model.safetensors", "weights");
        write("tokenizer.json", "words");
        let before = checkpoint_key(dir.path()).unwrap();
        write("paint.json", "provenance");
        assert_eq!(checkpoint_key(dir.path()).unwrap(), before);
        write("model.safetensors", "other weights");
        assert_ne!(checkpoint_key(dir.path()).unwrap(), before);
        assert_eq!(tokenizer_key(dir.path()).unwrap().len(), 64);
    }
}
