//! Preprocessing as the files of both layouts state it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::preprocessor::{Crop, Resize};
use crate::resample::Filter;
use crate::{Error, Preprocessor, Result, open_clip_config};

const BYTE: f64 = 1.0 / 255.0;
const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Bounds the memory that a file can ask for.
const MAX_SIZE: usize = 16384;

/// `(byte * scale - mean) / std`, by channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Normalization {
    pub(crate) scale: f64,
    pub(crate) mean: [f64; 3],
    pub(crate) std: [f64; 3],
}

impl Normalization {
    pub(crate) fn levels(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| {
                ((byte as f64 * self.scale - self.mean[channel]) / self.std[channel]) as f32
            })
        })
    }
}

/// The keys of `preprocessor_config.json` that matter here, with `CLIPImageProcessor`'s defaults.
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

impl Size {
    /// Height and width.
    fn edges(&self) -> (usize, usize) {
        match *self {
            Self::Square(edge)
            | Self::ShortestEdge {
                shortest_edge: edge,
            } => (edge, edge),
            Self::Exact { height, width } => (height, width),
        }
    }
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
            rescale_factor: BYTE,
            do_normalize: true,
            image_mean: CLIP_MEAN,
            image_std: CLIP_STD,
        }
    }
}

/// Where the preprocessing is stated in Hugging Face's layout.
pub(crate) const PREPROCESSOR: &str = "preprocessor_config.json";
/// Where transformers 5 states it when it saves a processor, and looks first: as `image_processor`.
pub(crate) const PROCESSOR: &str = "processor_config.json";

#[derive(Deserialize)]
struct Processor {
    /// Older files have other things alone.
    image_processor: Option<File>,
}

/// What a directory in Hugging Face's layout states of its preprocessing, and in which file.
fn stated(dir: &Path) -> Result<Option<(File, PathBuf)>> {
    let path = dir.join(PROCESSOR);
    if path.exists()
        && let Some(file) = read::<Processor>(&path)?.image_processor
    {
        return Ok(Some((file, path)));
    }
    let path = dir.join(PREPROCESSOR);
    match path.exists() {
        true => Ok(Some((read(&path)?, path))),
        false => Ok(None),
    }
}

/// Reads the preprocessing of a directory in Hugging Face's layout, if it states one.
pub(crate) fn hugging_face(dir: &Path) -> Result<Option<Preprocessor>> {
    let read = |(file, path): (File, PathBuf)| from_file(&file, &path.display().to_string());
    stated(dir)?.map(read).transpose()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text).map_err(Error::json(path))
}

fn from_file(file: &File, origin: &str) -> Result<Preprocessor> {
    let refuse = |key: &str, problem: String| Error::Config {
        origin: origin.to_owned(),
        key: key.to_owned(),
        problem,
    };
    let resize = file.do_resize.then_some(match file.size {
        Size::Exact { height, width } => Resize::Exact { height, width },
        _ => Resize::ShortestEdge(file.size.edges().0),
    });
    let output = match (file.do_center_crop, resize) {
        (true, _) => file.crop_size.edges(),
        (false, Some(Resize::Exact { height, width })) => (height, width),
        (false, _) => {
            let problem = "is false, and without it images differ in size".to_owned();
            return Err(refuse("do_center_crop", problem));
        }
    };
    let mut sizes = vec![("crop_size", output)];
    sizes.extend(resize.map(|_| ("size", file.size.edges())));
    for (key, (height, width)) in sizes {
        for value in [height, width] {
            if value == 0 || value > MAX_SIZE {
                let problem = format!("is {value}, which is not between 1 and {MAX_SIZE}");
                return Err(refuse(key, problem));
            }
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
    let (mean, std) = if file.do_normalize {
        (file.image_mean, file.image_std)
    } else {
        ([0.0; 3], [1.0; 3])
    };
    let scale = if file.do_rescale {
        file.rescale_factor
    } else {
        1.0
    };
    let normalization = Normalization { scale, mean, std };
    Ok(Preprocessor::new(
        resize,
        filter,
        Crop::Down,
        output,
        normalization,
    ))
}

/// open_clip's `PreprocessCfg`, with its defaults.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PreprocessCfg {
    /// The model's image size is what counts in open_clip.
    #[serde(rename = "size")]
    _size: Value,
    #[serde(rename = "mode")]
    _mode: Value,
    mean: Channels,
    std: Channels,
    interpolation: String,
    resize_mode: String,
    /// For images that are padded, which this crate's modes never are.
    #[serde(rename = "fill_color")]
    _fill_color: Value,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "one number or three")]
enum Channels {
    All(f64),
    Each([f64; 3]),
}

impl Channels {
    fn each(&self) -> [f64; 3] {
        match *self {
            Self::All(value) => [value; 3],
            Self::Each(values) => values,
        }
    }
}

impl Default for PreprocessCfg {
    fn default() -> Self {
        Self {
            _size: Value::Null,
            _mode: Value::Null,
            mean: Channels::Each(CLIP_MEAN),
            std: Channels::Each(CLIP_STD),
            interpolation: "bicubic".to_owned(),
            resize_mode: "shortest".to_owned(),
            _fill_color: Value::Null,
        }
    }
}

/// Reads `preprocess_cfg` of an `open_clip_config.json`.
pub(crate) fn open_clip(dir: &Path, image_size: usize) -> Result<Preprocessor> {
    let (document, origin) = open_clip_config::read(dir)?;
    let refuse = |key: &str, problem: String| Error::Config {
        origin: origin.clone(),
        key: format!("preprocess_cfg.{key}"),
        problem,
    };
    let mut stated = document["preprocess_cfg"].clone();
    match &mut stated {
        Value::Object(keys) => keys.retain(|_, value| !value.is_null()),
        other => *other = json!({}),
    }
    let cfg: PreprocessCfg =
        serde_json::from_value(stated).map_err(Error::json(dir.join("open_clip_config.json")))?;
    let resize = match cfg.resize_mode.as_str() {
        "shortest" => Resize::ShortestEdge(image_size),
        "squash" => Resize::Exact {
            height: image_size,
            width: image_size,
        },
        other => {
            let problem = format!("is \"{other}\"; \"shortest\" and \"squash\" are supported");
            return Err(refuse("resize_mode", problem));
        }
    };
    let filter = match cfg.interpolation.as_str() {
        "bilinear" => Filter::Bilinear,
        // Random in training only.
        "bicubic" | "random" => Filter::Bicubic,
        other => {
            let problem = format!("is \"{other}\"; \"bicubic\" and \"bilinear\" are supported");
            return Err(refuse("interpolation", problem));
        }
    };
    let (mean, std) = (cfg.mean.each(), cfg.std.each());
    if std.iter().any(|std| *std <= 0.0) {
        return Err(refuse("std", "must be above 0".to_owned()));
    }
    let normalization = Normalization {
        scale: BYTE,
        mean,
        std,
    };
    let output = (image_size, image_size);
    Ok(Preprocessor::new(
        Some(resize),
        filter,
        Crop::Even,
        output,
        normalization,
    ))
}

/// The text of a `preprocessor_config.json` with the same preprocessing. Ends with a newline.
pub(crate) fn to_hugging_face(preprocessor: &Preprocessor) -> String {
    let (height, width) = preprocessor.output;
    let size = match preprocessor.resize {
        Some(Resize::ShortestEdge(edge)) => json!({ "shortest_edge": edge }),
        Some(Resize::Exact { height, width }) => json!({ "height": height, "width": width }),
        None => json!({ "shortest_edge": height }),
    };
    let Normalization { scale, mean, std } = preprocessor.normalization;
    let value = json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": preprocessor.resize.is_some(),
        "size": size,
        "resample": match preprocessor.filter {
            Filter::Bilinear => 2,
            Filter::Bicubic => 3,
        },
        "do_center_crop": true,
        "crop_size": { "height": height, "width": width },
        "do_rescale": true,
        "rescale_factor": scale,
        "do_normalize": true,
        "image_mean": mean,
        "image_std": std,
    });
    format!("{value:#}\n")
}

/// The `preprocess_cfg` with the same preprocessing, for a model of that image size.
///
/// # Errors
/// If open_clip has no words for it.
pub(crate) fn to_open_clip(preprocessor: &Preprocessor, image_size: usize) -> Result<Value> {
    let refuse = |key: &str, problem: &str| {
        Err(Error::Config {
            origin: "preprocessing".to_owned(),
            key: key.to_owned(),
            problem: format!("{problem}, which open_clip_config.json cannot say"),
        })
    };
    let (height, width) = preprocessor.output;
    if (height, width) != (image_size, image_size) {
        return refuse("crop_size", "is not the model's image_size");
    }
    let resize_mode = match preprocessor.resize {
        Some(Resize::ShortestEdge(edge)) if edge == image_size => "shortest",
        Some(Resize::Exact { height, width }) if (height, width) == (image_size, image_size) => {
            "squash"
        }
        _ => return refuse("size", "is not the model's image_size"),
    };
    let Normalization { scale, mean, std } = preprocessor.normalization;
    // Files spell it with a few digits more or less.
    if (scale - BYTE).abs() > 1e-9 {
        return refuse("rescale_factor", "is not 1/255");
    }
    Ok(json!({
        "mean": mean,
        "std": std,
        "interpolation": match preprocessor.filter {
            Filter::Bilinear => "bilinear",
            Filter::Bicubic => "bicubic",
        },
        "resize_mode": resize_mode,
    }))
}
