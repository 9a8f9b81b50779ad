//! The join of a model's preprocessing and the data's pixel tables, which know nothing of each other.

use image::RgbImage;
use paint_clip::Preprocessor;
use paint_data::PixelTransform;

/// What a model sees of an image: pass it to [`paint_data::PixelTable::build`].
#[derive(Debug, Clone, Copy)]
pub struct SeenBy<'a>(pub &'a Preprocessor);

impl PixelTransform for SeenBy<'_> {
    fn key(&self) -> String {
        self.0.key()
    }

    fn height(&self) -> usize {
        self.0.height()
    }

    fn width(&self) -> usize {
        self.0.width()
    }

    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        self.0.resize_crop(image)
    }
}
