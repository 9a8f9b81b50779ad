//! Writing a checkpoint directory that `transformers` or open_clip opens, all of it or nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};
use paint_atomic::{UnfinishedDirectory, directory_of};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::checkpoint::check_finite;
use crate::layout::{Layout, Part};
use crate::preprocessor_config::{
    PREPROCESSOR, PROCESSOR, hugging_face, to_hugging_face, to_open_clip,
};
use crate::replace::{replace, restore};
use crate::{Clip, ClipConfig, Error, Preprocessor, Result, Tensors, open_clip_config};

/// The files a checkpoint takes over from its source, where that has them.
const TOKENIZER: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
];

/// The files that this module writes itself.
const WRITTEN: [&str; 5] = [
    "config.json",
    "model.safetensors",
    "open_clip_config.json",
    "open_clip_model.safetensors",
    "paint.json",
];

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDtype {
    /// Exactly as they are.
    F32,
    /// Rounded to half precision: half the bytes.
    F16,
    /// Rounded to the first half of an f32: half the bytes, three digits, but the whole range.
    BF16,
}

impl WeightDtype {
    /// As safetensors names it, and the bytes of a value.
    fn name_and_size(self) -> (&'static str, usize) {
        match self {
            Self::F32 => ("F32", 4),
            Self::F16 => ("F16", 2),
            Self::BF16 => ("BF16", 2),
        }
    }
}

/// Where a checkpoint comes from; `paint.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// What it was made from.
    #[serde(default)]
    pub parents: Vec<Parent>,
    /// Interpolation coefficient, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The task it was tuned or patched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The seed of whatever was random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// SHA-256 of the weight file beside it, in hexadecimal; [`save`] writes what it finds, whatever
    /// is given here. Not every checkpoint has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// Version of the program that wrote it.
    #[serde(default)]
    pub tool_version: String,
    /// Anything else worth knowing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, serde_json::Value>,
}

/// One of the checkpoints that another was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// What it is: a role, an id or a directory's name.
    pub name: String,
    /// SHA-256 of its weight file, in hexadecimal; of a sharded one that of the shards' own.
    pub sha256: String,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            parents: Vec::new(),
            alpha: None,
            task: None,
            seed: None,
            weights_sha256: None,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            notes: BTreeMap::new(),
        }
    }
}

impl Provenance {
    /// What `dir/paint.json` says of the weights beside it ([`weights_sha256`](Self::weights_sha256)),
    /// whatever else is in it; `None` also of a file that is no JSON.
    pub fn recorded_sha256(dir: &Path) -> Option<String> {
        let bytes = fs::read(dir.join("paint.json")).ok()?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        Some(json.get("weights_sha256")?.as_str()?.to_owned())
    }

    /// Reads `dir/paint.json`; `None` for a checkpoint without one.
    ///
    /// # Errors
    /// If the file cannot be read or does not parse.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        restore(dir)?;
        let path = dir.join("paint.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(Error::json(path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }
}

/// [`save_as`] in Hugging Face's layout.
///
/// # Errors
/// As there.
pub fn save(
    dir: &Path,
    config: &ClipConfig,
    tensors: &Tensors,
    dtype: WeightDtype,
    source: Option<&Path>,
    provenance: &Provenance,
) -> Result<()> {
    let layout = Layout::HuggingFace;
    save_as(layout, dir, config, tensors, dtype, source, provenance)
}

/// Writes the checkpoint directory `dir`, replacing an older checkpoint there.
///
/// `source`: the checkpoint whose tokenizer and preprocessor go with the weights; if it has another
/// layout than the result, its preprocessing is put into the words of that. Everything is
/// written to a sibling directory, synced, and renamed at the end, so that a full disk or a killed
/// process leaves what was at `dir` intact. For a moment at the end it is called `.NAME.old`: of a
/// process that is killed just then, the next load or save of `dir` gives it its name back.
///
/// # Errors
/// If the tensors do not fit the configuration, the layout cannot express the configuration or the
/// preprocessing, a value is not finite (or not in the dtype), `dir` holds files that are no part
/// of a checkpoint, or writing fails.
pub fn save_as(
    layout: Layout,
    dir: &Path,
    config: &ClipConfig,
    tensors: &Tensors,
    dtype: WeightDtype,
    source: Option<&Path>,
    provenance: &Provenance,
) -> Result<()> {
    Clip::from_tensors(config, tensors)?;
    restore(dir)?;
    if let Some(source) = source {
        restore(source)?;
    }
    refuse_foreign_files(dir)?;
    let parent = directory_of(dir);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let building = UnfinishedDirectory::create(dir).map_err(Error::io("save to", dir))?;
    let new = Checkpoint {
        layout,
        config,
        tensors,
        dtype,
        source,
        provenance,
    };
    new.write(building.path())?;
    replace(dir, building)
}

/// What is to be written.
struct Checkpoint<'a> {
    layout: Layout,
    config: &'a ClipConfig,
    tensors: &'a Tensors,
    dtype: WeightDtype,
    source: Option<&'a Path>,
    provenance: &'a Provenance,
}

impl Checkpoint<'_> {
    fn write(&self, dir: &Path) -> Result<()> {
        let config = match self.layout {
            Layout::HuggingFace => self.config.to_json(),
            Layout::OpenClip => self.open_clip_config()?,
        };
        write_file(&dir.join(self.layout.config_file()), config.as_bytes())?;
        if let Some(source) = self.source {
            for name in TOKENIZER {
                carry_over(source, dir, name)?;
            }
            self.write_preprocessor(source, dir)?;
        }
        let sha256 = self.write_weights(&dir.join(self.layout.weight_files()[0]))?;
        let provenance = Provenance {
            weights_sha256: Some(sha256),
            ..self.provenance.clone()
        };
        let provenance =
            serde_json::to_string_pretty(&provenance).map_err(Error::json("paint.json"))?;
        write_file(
            &dir.join("paint.json"),
            format!("{provenance}\n").as_bytes(),
        )
    }

    fn open_clip_config(&self) -> Result<String> {
        let mut value = json!({ "model_cfg": open_clip_config::model_cfg(self.config)? });
        if let Some(preprocessor) = self.source_preprocessor()? {
            let image_size = self.config.vision.image_size;
            value["preprocess_cfg"] = to_open_clip(&preprocessor, image_size)?;
        }
        Ok(format!("{value:#}\n"))
    }

    /// In Hugging Face's layout; in open_clip's it is part of the configuration.
    fn write_preprocessor(&self, source: &Path, dir: &Path) -> Result<()> {
        match (self.layout, Layout::of(source)) {
            (Layout::OpenClip, _) => Ok(()),
            (Layout::HuggingFace, Layout::HuggingFace) => [PREPROCESSOR, PROCESSOR]
                .iter()
                .try_for_each(|name| carry_over(source, dir, name)),
            (Layout::HuggingFace, Layout::OpenClip) => match self.source_preprocessor()? {
                Some(preprocessor) => write_file(
                    &dir.join(PREPROCESSOR),
                    to_hugging_face(&preprocessor).as_bytes(),
                ),
                None => Ok(()),
            },
        }
    }

    fn source_preprocessor(&self) -> Result<Option<Preprocessor>> {
        let Some(source) = self.source else {
            return Ok(None);
        };
        match Layout::of(source) {
            Layout::OpenClip => Preprocessor::load(source).map(Some),
            Layout::HuggingFace => hugging_face(source),
        }
    }

    /// Header, then tensor by tensor; beside the model only one tensor is in memory. The file's
    /// SHA-256.
    fn write_weights(&self, path: &Path) -> Result<String> {
        let places = self.places();
        let header = self.header(&places);
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut out = BufWriter::new(file);
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update(bytes);
            out.write_all(bytes).map_err(Error::io("write", path))
        };
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        for (name, part) in places.values().flatten() {
            let tensor = &self.tensors[name];
            let tensor = match part {
                Part::Transposed => tensor.t()?,
                Part::Whole | Part::Third(_) => tensor.clone(),
            };
            let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
            check_finite(name, &values, String::new)?;
            put(&encode(name, &values, self.dtype)?)?;
        }
        finish(out, path)?;
        let digits = hash.finalize();
        Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The tensors of each tensor of the file, in their order in it.
    fn places(&self) -> BTreeMap<String, Vec<(String, Part)>> {
        let mut places: BTreeMap<String, Vec<(String, Part)>> = BTreeMap::new();
        for name in self.config.tensor_shapes().into_keys() {
            let place = self.layout.place(&name);
            places
                .entry(place.name)
                .or_default()
                .push((name, place.part));
        }
        for parts in places.values_mut() {
            // Alphabetically, the keys would come before the queries.
            parts.sort_by_key(|(_, part)| match part {
                Part::Third(third) => *third,
                Part::Whole | Part::Transposed => 0,
            });
        }
        places
    }

    /// Padded with blanks to a multiple of 8, so that the data is aligned.
    fn header(&self, places: &BTreeMap<String, Vec<(String, Part)>>) -> Vec<u8> {
        let (dtype, size) = self.dtype.name_and_size();
        let shapes = self.layout.tensor_shapes(self.config);
        let mut header = json!({ "__metadata__": { "format": "pt" } });
        let mut start = 0;
        for name in places.keys() {
            let shape = &shapes[name];
            let end = start + shape.iter().product::<usize>() * size;
            header[name] = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
            start = end;
        }
        let mut bytes = header.to_string().into_bytes();
        bytes.resize(bytes.len().next_multiple_of(8), b' ');
        bytes
    }
}

fn encode(name: &str, values: &[f32], dtype: WeightDtype) -> Result<Vec<u8>> {
    let (bytes, stored): (Vec<u8>, Vec<f32>) = match dtype {
        WeightDtype::F32 => return Ok(values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        WeightDtype::F16 => {
            let rounded: Vec<f16> = values.iter().map(|x| f16::from_f32(*x)).collect();
            let bytes = rounded.iter().flat_map(|x| x.to_le_bytes());
            (
                bytes.collect(),
                rounded.iter().map(|x| x.to_f32()).collect(),
            )
        }
        WeightDtype::BF16 => {
            let rounded: Vec<bf16> = values.iter().map(|x| bf16::from_f32(*x)).collect();
            let bytes = rounded.iter().flat_map(|x| x.to_le_bytes());
            (
                bytes.collect(),
                rounded.iter().map(|x| x.to_f32()).collect(),
            )
        }
    };
    check_finite(name, &stored, || match dtype {
        WeightDtype::F16 => " in f16 (its range ends at 65504); save as f32".to_owned(),
        _ => " in bf16; save as f32".to_owned(),
    })?;
    Ok(bytes)
}

fn carry_over(source: &Path, dir: &Path, name: &str) -> Result<()> {
    let from = source.join(name);
    if !from.exists() {
        return Ok(());
    }
    let bytes = fs::read(&from).map_err(Error::io("read", &from))?;
    write_file(&dir.join(name), &bytes)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).map_err(Error::io("create", path))?);
    out.write_all(bytes).map_err(Error::io("write", path))?;
    finish(out, path)
}

fn finish(out: BufWriter<File>, path: &Path) -> Result<()> {
    let file = out
        .into_inner()
        .map_err(|e| Error::io("write", path)(e.into_error()))?;
    file.sync_all().map_err(Error::io("write", path))
}

/// Replacing a directory must not destroy what someone else put there.
fn refuse_foreign_files(dir: &Path) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", dir))?.file_name();
        let entry = entry.to_string_lossy();
        let preprocessing = [&PREPROCESSOR, &PROCESSOR];
        let mut known = TOKENIZER.iter().chain(&WRITTEN).chain(preprocessing);
        if !known.any(|known| *known == entry) {
            return Err(Error::ForeignFile {
                path: dir.to_owned(),
                entry: entry.into_owned(),
            });
        }
    }
    Ok(())
}
