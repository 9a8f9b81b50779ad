//! Images to pixels, as the checkpoint's configuration says and as PIL would compute it.

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;

use crate::layout::Layout;
use crate::preprocessor_config::{Normalization, PREPROCESSOR, hugging_face, open_clip};
use crate::replace::restore;
use crate::resample::{Axis, Filter, resample};
use crate::{ClipConfig, Error, Result};

/// Resizing, cropping and normalising of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    pub(crate) resize: Option<Resize>,
    pub(crate) filter: Filter,
    pub(crate) crop: Crop,
    /// Height and width of the result.
    pub(crate) output: (usize, usize),
    pub(crate) normalization: Normalization,
    /// For each channel, the float of each byte.
    levels: Box<[[f32; 256]; 3]>,
}

/// Which pixel the centre begins with where it is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crop {
    /// The one before, as in transformers.
    Down,
    /// The even one, as in torchvision, which open_clip uses.
    Even,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Resize {
    /// The shorter side gets this length, the longer one follows.
    ShortestEdge(usize),
    /// Both sides, whatever that does to the proportions.
    Exact { height: usize, width: usize },
}

impl Preprocessor {
    /// Reads `image_processor` of `dir/processor_config.json`, where transformers 5 saves it, else
    /// `dir/preprocessor_config.json`; missing keys take `CLIPImageProcessor`'s defaults. Of
    /// a directory in open_clip's layout, `preprocess_cfg`, with open_clip's.
    ///
    /// The two libraries cut the same image out of a resized one, but where it is wider or higher
    /// than the crop by an odd number of pixels: then their crops may lie one pixel apart, and this
    /// type does as the library does whose layout it was read from.
    ///
    /// # Errors
    /// If the file cannot be read or does not parse, or asks for something that this crate does not
    /// do, such as images of varying size.
    pub fn load(dir: &Path) -> Result<Self> {
        restore(dir)?;
        match Layout::of(dir) {
            Layout::HuggingFace => hugging_face(dir)?.ok_or_else(|| {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                Error::io("read", &dir.join(PREPROCESSOR))(missing)
            }),
            Layout::OpenClip => open_clip(dir, ClipConfig::load(dir)?.vision.image_size),
        }
    }

    pub(crate) fn new(
        resize: Option<Resize>,
        filter: Filter,
        crop: Crop,
        output: (usize, usize),
        normalization: Normalization,
    ) -> Self {
        Self {
            resize,
            filter,
            crop,
            output,
            levels: Box::new(normalization.levels()),
            normalization,
        }
    }

    /// Height of the result in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.output.0
    }

    /// Width of the result in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.output.1
    }

    /// Everything that determines what [`Preprocessor::resize_crop`] gives, for cache keys.
    #[must_use]
    pub fn key(&self) -> String {
        let resize = match self.resize {
            None => "none".to_owned(),
            Some(Resize::ShortestEdge(edge)) => format!("shortest-edge-{edge}"),
            Some(Resize::Exact { height, width }) => format!("{height}x{width}"),
        };
        let filter = match self.filter {
            Filter::Bilinear => "bilinear",
            Filter::Bicubic => "bicubic",
        };
        let rounding = match self.crop {
            Crop::Down => "",
            Crop::Even => " to-even",
        };
        format!(
            "resize={resize} filter={filter} crop={}x{}{rounding}",
            self.output.0, self.output.1
        )
    }

    /// Resizes with antialiasing, then cuts out the centre. Result: [h, w, 3] row by row.
    ///
    /// The same bytes as PIL and `transformers` give, black around an image that is smaller than
    /// the crop. Only what the crop keeps is computed, so that a very long image costs no more than
    /// its own pixels. An image without pixels gives black.
    #[must_use]
    pub fn resize_crop(&self, image: &RgbImage) -> Vec<u8> {
        let (source_width, source_height) = (image.width() as usize, image.height() as usize);
        let (out_height, out_width) = self.output;
        let black = || vec![0; out_height * out_width * 3];
        if source_width == 0 || source_height == 0 {
            return black();
        }
        let (height, width) = self.resized(source_height, source_width);
        let (top, kept_rows) = self.crop.centred(height, out_height);
        let (left, kept_columns) = self.crop.centred(width, out_width);
        let visible_width = kept_columns.len();
        let rows = Axis::new(source_height, height, kept_rows, self.filter);
        let columns = Axis::new(source_width, width, kept_columns, self.filter);
        let visible = resample(image.as_raw(), source_width, &rows, &columns);
        if visible.len() == out_height * out_width * 3 {
            return visible;
        }
        let mut out = black();
        for (y, row) in visible.chunks_exact(visible_width * 3).enumerate() {
            let start = ((top + y) * out_width + left) * 3;
            out[start..start + row.len()].copy_from_slice(row);
        }
        out
    }

    /// Height and width after resizing, before cropping.
    fn resized(&self, height: usize, width: usize) -> (usize, usize) {
        match self.resize {
            None => (height, width),
            Some(Resize::Exact { height, width }) => (height, width),
            Some(Resize::ShortestEdge(edge)) if height <= width => (edge, edge * width / height),
            Some(Resize::ShortestEdge(edge)) => (edge * height / width, edge),
        }
    }

    /// Bytes to what the model sees. `pixels`: n images [h, w, 3] one after the other →
    /// f32 [n, 3, h, w].
    ///
    /// # Errors
    /// If the number of bytes is not that of n images.
    pub fn normalize(&self, pixels: &[u8], n: usize, device: &Device) -> Result<Tensor> {
        let (height, width) = self.output;
        let area = height * width;
        if pixels.len() != n * area * 3 {
            return Err(Error::Shape {
                what: "pixels",
                expected: format!("[{n}, {height}, {width}, 3]"),
                actual: format!("{} bytes", pixels.len()),
            });
        }
        let mut out = vec![0.0; n * 3 * area];
        out.par_chunks_exact_mut(3 * area)
            .zip(pixels.par_chunks_exact(3 * area))
            .for_each(|(out, image)| {
                for ((plane, levels), channel) in
                    out.chunks_exact_mut(area).zip(self.levels.iter()).zip(0..)
                {
                    for (value, pixel) in plane.iter_mut().zip(image.as_chunks::<3>().0) {
                        *value = levels[pixel[channel] as usize];
                    }
                }
            });
        Ok(Tensor::from_vec(out, (n, 3, height, width), device)?)
    }
}

impl Crop {
    /// Along one axis: where in the crop the resized image starts, and which of its pixels are kept.
    fn centred(self, resized: usize, crop: usize) -> (usize, Range<usize>) {
        let twice = resized as i64 - crop as i64;
        // transformers rounds towards the start for images larger and smaller than the crop alike.
        let down = twice.div_euclid(2);
        let first = match self {
            Self::Even if twice % 2 != 0 && down % 2 != 0 => down + 1,
            _ => down,
        };
        let kept = first.max(0) as usize;
        ((-first).max(0) as usize, kept..kept + resized.min(crop))
    }
}
