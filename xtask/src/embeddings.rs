//! Embeddings of a model's images and texts, from the store or made now.

use anyhow::{Context, Result};
use paint_clip::Clip;
use paint_data::{Dataset, PixelTable, SkipPolicy};
use paint_embed::{Embeddings, ImageEncoder, Key, Store, View, checkpoint_key, tokenizer_key};

use crate::model::Model;
use crate::progress::Console;
use crate::workspace;

/// A model and the place where its embeddings are kept, `runs/embeddings`.
pub(crate) struct Embedder<'a> {
    model: &'a Model,
    clip: Clip,
    store: Store,
    pub(crate) checkpoint: String,
    tokenizer: String,
}

impl<'a> Embedder<'a> {
    pub(crate) fn new(model: &'a Model) -> Result<Self> {
        Ok(Self {
            clip: model.clip()?,
            store: Store::new(&workspace::runs().join("embeddings")),
            checkpoint: checkpoint_key(&model.dir)?,
            tokenizer: tokenizer_key(&model.dir)?,
            model,
        })
    }

    /// Features of a split's images in one view; no image is opened if they are kept.
    pub(crate) fn images(
        &self,
        dataset: &Dataset,
        view: View,
        console: &Console,
    ) -> Result<Embeddings> {
        let preprocessor = &self.model.preprocessor;
        let content = dataset.content_key();
        let key = Key::of_images(&self.checkpoint, content, &preprocessor.key(), view);
        let encoder = ImageEncoder {
            clip: &self.clip,
            preprocessor,
        };
        let bar = console.bar(
            &format!("{} {}", dataset.task(), view.key()),
            dataset.len() as u64,
        );
        let pixels = || -> Result<PixelTable> {
            let cache = workspace::cache();
            let seen = self.model.transform();
            Ok(PixelTable::build(
                dataset,
                &seen,
                &cache,
                SkipPolicy::default(),
                &|_| (),
            )?)
        };
        let found = self
            .store
            .images(&key, view, encoder, pixels, &|done| bar.set_position(done))
            .with_context(|| format!("embeddings of {}", dataset.task()))?;
        bar.finish_and_clear();
        Ok(found)
    }

    /// Text features: [n, d], not normalised.
    pub(crate) fn texts(&self, texts: &[String]) -> Result<Vec<f32>> {
        let key = Key::of_texts(&self.checkpoint, &self.tokenizer, texts);
        let tokenizer = &self.model.tokenizer;
        let found = self.store.texts(&key, &self.clip, tokenizer, texts)?;
        Ok(found.to_vec())
    }

    /// Width of the features.
    pub(crate) fn width(&self) -> usize {
        self.clip.config().projection_dim
    }
}
