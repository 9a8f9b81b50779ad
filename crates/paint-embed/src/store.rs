//! The directory of all embeddings.

use std::path::{Path, PathBuf};

use paint_clip::{Clip, Preprocessor, Tokenizer};
use paint_data::PixelTable;

use crate::{
    Embeddings, Error, Key, Result, View,
    encode::{encode_images, encode_texts},
    file::Writer,
};

/// Embeddings by key: `DIR/HASH.arrow`, where the hash is the key's.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A model's image side.
#[derive(Clone, Copy, Debug)]
pub struct ImageEncoder<'a> {
    /// The model.
    pub clip: &'a Clip,
    /// Its preprocessing.
    pub preprocessor: &'a Preprocessor,
}

impl Store {
    /// The store in a directory, which need not exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Where the embeddings of a key are.
    #[must_use]
    pub fn path(&self, key: &Key) -> PathBuf {
        self.directory.join(format!("{}.arrow", key.hash()))
    }

    /// The embeddings of images: from the file, or computed now. `pixels` is only called, and the
    /// model only used, if there is no file: a second run touches no image.
    ///
    /// `key` is [`Key::of_images`] of the model, the data and `view`. A damaged file is computed
    /// again; a file of another key is an error. `progress` is told how many images are done.
    ///
    /// # Errors
    /// [`Error::Other`], [`Error::Pixels`] if the pixels are not those of the key, and whatever
    /// `pixels` or the model fail with.
    pub fn images<E: From<Error>>(
        &self,
        key: &Key,
        view: View,
        encoder: ImageEncoder<'_>,
        pixels: impl FnOnce() -> Result<PixelTable, E>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Embeddings, E> {
        self.get(key, |path| {
            let pixels = pixels()?;
            check_pixels(&pixels, key)?;
            let width = encoder.clip.config().projection_dim;
            let mut writer = Writer::create(path, key, width, true)?;
            encode_images(encoder, &pixels, view, &mut writer, progress)?;
            Ok(writer.finish()?)
        })
    }

    /// The embeddings of texts, in order, as the text tower gives them: from the file, or computed
    /// now. `key` is [`Key::of_texts`].
    ///
    /// # Errors
    /// [`Error::Other`], [`Error::Empty`] without texts, and what the model fails with.
    pub fn texts(
        &self,
        key: &Key,
        clip: &Clip,
        tokenizer: &Tokenizer,
        texts: &[String],
    ) -> Result<Embeddings> {
        self.get(key, |path| {
            let mut writer = Writer::create(path, key, clip.config().projection_dim, false)?;
            encode_texts(clip, tokenizer, texts, &mut writer)?;
            writer.finish()
        })
    }

    fn get<E: From<Error>>(
        &self,
        key: &Key,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Embeddings, E> {
        let path = self.path(key);
        if path.exists() {
            match Embeddings::open(&path, key) {
                Err(damaged @ Error::Damaged { .. }) => {
                    tracing::warn!("{damaged}; computing it again");
                }
                result => return Ok(result?),
            }
        }
        make(&path)?;
        Ok(Embeddings::open(&path, key)?)
    }
}

fn check_pixels(pixels: &PixelTable, key: &Key) -> Result<()> {
    let pairs = [
        ("inputs", pixels.content_key(), &key.inputs),
        ("preprocessing", pixels.transform_key(), &key.preprocessing),
    ];
    match pairs
        .into_iter()
        .find(|(_, found, expected)| found != expected)
    {
        Some((what, found, expected)) => Err(Error::Pixels {
            what,
            found: found.to_owned(),
            expected: expected.clone(),
        }),
        None => Ok(()),
    }
}
