//! Images to pixels, as `preprocessor_config.json` says and as PIL would compute it.

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;
use serde::Deserialize;

use crate::replace::restore;
use crate::resample::{Axis, Filter, resample};
use crate::{Error, Result};

/// Resizing, cropping and normalising of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    resize: Option<Resize>,
    filter: Filter,
    /// Height and width of the result.
    output: (usize, usize),
    /// For each channel, the float of each byte.
    levels: Box<[[f32; 256]; 3]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Resize {
    /// The shorter side gets this length, the longer one follows.
    ShortestEdge(usize),
    /// Both sides, whatever that does to the proportions.
    Exact { height: usize, width: usize },
}

impl Preprocessor {
    /// Reads `dir/preprocessor_config.json`; missing keys take `CLIPImageProcessor`'s defaults.
    ///
    /// # Errors
    /// If the file cannot be read or does not parse, or asks for something that this crate does not
    /// do, such as images of varying size.
    pub fn load(dir: &Path) -> Result<Self> {
        restore(dir)?;
        let path = dir.join("preprocessor_config.json");
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let file: File = serde_json::from_str(&text).map_err(Error::json(&path))?;
        Self::from_file(&file, &path.display().to_string())
    }

    fn from_file(file: &File, origin: &str) -> Result<Self> {
        let refuse = |key: &str, problem: String| Error::Config {
            origin: origin.to_owned(),
            key: key.to_owned(),
            problem,
        };
        let resize = file.do_resize.then_some(match file.size {
            Size::Square(edge)
            | Size::ShortestEdge {
                shortest_edge: edge,
            } => Resize::ShortestEdge(edge),
            Size::Exact { height, width } => Resize::Exact { height, width },
        });
        let output = match (file.do_center_crop, resize) {
            (true, _) => match file.crop_size {
                Size::Square(edge)
                | Size::ShortestEdge {
                    shortest_edge: edge,
                } => (edge, edge),
                Size::Exact { height, width } => (height, width),
            },
            (false, Some(Resize::Exact { height, width })) => (height, width),
            (false, _) => {
                let problem = "is false, and without it images differ in size".to_owned();
                return Err(refuse("do_center_crop", problem));
            }
        };
        for (key, value) in [("crop_size", output.0), ("crop_size", output.1)]
            .into_iter()
            .chain(resize.iter().flat_map(|r| match *r {
                Resize::ShortestEdge(edge) => [("size", edge), ("size", edge)],
                Resize::Exact { height, width } => [("size", height), ("size", width)],
            }))
        {
            if value == 0 || value > 16384 {
                return Err(refuse(
                    key,
                    format!("is {value}, which is not between 1 and 16384"),
                ));
            }
        }
        let filter = match file.resample {
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            other => {
                return Err(refuse(
                    "resample",
                    format!("is {other}; 2 (bilinear) and 3 (bicubic) are supported"),
                ));
            }
        };
        if file.do_normalize && file.image_std.iter().any(|std| *std <= 0.0) {
            return Err(refuse("image_std", "must be above 0".to_owned()));
        }
        Ok(Self {
            resize,
            filter,
            output,
            levels: Box::new(levels(file)),
        })
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
        format!(
            "resize={resize} filter={filter} crop={}x{}",
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
        let (top, kept_rows) = centred(height, out_height);
        let (left, kept_columns) = centred(width, out_width);
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

/// Along one axis: where in the crop the resized image starts, and which of its pixels are kept.
fn centred(resized: usize, crop: usize) -> (usize, Range<usize>) {
    // transformers rounds towards the start for images larger and smaller than the crop alike.
    let first = (resized as i64 - crop as i64).div_euclid(2);
    let kept = first.max(0) as usize;
    ((-first).max(0) as usize, kept..kept + resized.min(crop))
}

fn levels(file: &File) -> [[f32; 256]; 3] {
    let scale = if file.do_rescale {
        file.rescale_factor
    } else {
        1.0
    };
    let (mean, std) = if file.do_normalize {
        (file.image_mean, file.image_std)
    } else {
        ([0.0; 3], [1.0; 3])
    };
    std::array::from_fn(|channel| {
        std::array::from_fn(|byte| ((byte as f64 * scale - mean[channel]) / std[channel]) as f32)
    })
}

/// The keys of the file that matter here, with `CLIPImageProcessor`'s defaults.
#[derive(Deserialize)]
#[serde(default)]
struct File {
    do_resize: bool,
    size: Size,
    resample: u32,
    do_center_crop: bool,
    crop_size: Size,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f64; 3],
    image_std: [f64; 3],
}

#[derive(Deserialize, Clone, Copy)]
#[serde(
    untagged,
    expecting = "a size is a number, {\"shortest_edge\"} or {\"height\", \"width\"}"
)]
enum Size {
    Square(usize),
    ShortestEdge { shortest_edge: usize },
    Exact { height: usize, width: usize },
}

impl Default for File {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: Size::Square(224),
            resample: 3,
            do_center_crop: true,
            crop_size: Size::Square(224),
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
        }
    }
}
