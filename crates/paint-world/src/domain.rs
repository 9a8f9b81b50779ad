//! What a visual domain of the world offers: class names, templates, and drawings.
//!
//! A domain is one task's image source. The nine patching domains live in
//! [`crate::tasks`], which lists them as `tasks::DOMAINS: [&dyn Domain; 9]`.

use image::RgbImage;
use paint_data::Rng;

/// Which part of the world a drawing is for.
///
/// `Pretrain` and `Train` share one pool of factors (fonts, backgrounds, objects,
/// colours); `Validation` and `Test` draw from pools that are partly unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Images of the caption corpus.
    Pretrain,
    /// Images to fine-tune on.
    Train,
    /// Images that choose alpha.
    Validation,
    /// Images that are only reported on.
    Test,
}

impl Split {
    /// Whether factors must come from the pool that pretraining and training share.
    pub(crate) fn is_seen(self) -> bool {
        matches!(self, Self::Pretrain | Self::Train)
    }

    /// The items this split may use: the first `n_seen` when training, and on held-out
    /// splits all of them, so that part of what is tested was never seen.
    pub(crate) fn pool<T>(self, items: &[T], n_seen: usize) -> &[T] {
        if self.is_seen() {
            &items[..n_seen.min(items.len())]
        } else {
            items
        }
    }
}

/// One drawn image with what a caption may say of it.
pub(crate) struct Drawing {
    /// `SIDE` x `SIDE` pixels.
    pub(crate) image: RgbImage,
    /// Short visual phrases such as "a red border" or "two stripes"; never the class name.
    pub(crate) attributes: Vec<String>,
}

/// A source of labelled drawings.
pub(crate) trait Domain: Sync {
    /// The task's name, as in `data-manifests/tasks/NAME.toml`.
    fn name(&self) -> &'static str;
    /// Class names in label order.
    fn class_names(&self) -> Vec<String>;
    /// Prompt templates; each contains `{}` once.
    fn templates(&self) -> Vec<String>;
    /// Draws one image of class `class_idx` (< number of class names).
    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing;
    /// Captions that name the domain and nothing more, e.g. "some handwriting".
    fn vague(&self) -> &'static [&'static str];
}
