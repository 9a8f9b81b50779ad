//! The state of a training run in one file: weights, moments, and how many steps
//! are done. Written beside and renamed, so that a kill at any moment leaves a whole one.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::Path;

use candle_core::{Device, Tensor};
use paint_atomic::{UnfinishedFile, directory_of};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use safetensors::{SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};

use crate::optimizer::{Optimizer, Parameter};
use crate::{Error, Result};

/// What a run is determined by, hashed: a state is continued only by the same run.
pub(crate) struct RunKey(Sha256);

impl RunKey {
    pub(crate) fn new(kind: &str) -> Self {
        Self(Sha256::new()).text(kind)
    }

    /// Takes in a text, its length first so that two texts cannot be taken for one.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
        self
    }

    /// Takes in token ids, their number first.
    pub(crate) fn ids(mut self, ids: &[u32]) -> Self {
        self.0.update((ids.len() as u64).to_le_bytes());
        self.0.update(bytemuck::cast_slice::<u32, u8>(ids));
        self
    }

    pub(crate) fn tensor(mut self, name: &str, tensor: &Tensor) -> Result<Self> {
        self = self.text(name);
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        self.0.update(bytemuck::cast_slice::<f32, u8>(&values));
        Ok(self)
    }

    pub(crate) fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// One array of a state.
enum Array<'a> {
    Theta(&'a Tensor),
    Moments(&'a [f32], &'a [usize]),
}

impl Array<'_> {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Theta(theta) => theta.dims(),
            Self::Moments(_, shape) => shape,
        }
    }

    fn values(&self) -> Result<Cow<'_, [f32]>> {
        Ok(match self {
            Self::Theta(theta) => Cow::Owned(theta.flatten_all()?.to_vec1()?),
            Self::Moments(values, _) => Cow::Borrowed(values),
        })
    }
}

/// Replaces the state file.
pub(crate) fn save(path: &Path, key: &str, step: u64, optimizer: &Optimizer) -> Result<()> {
    let mut arrays = BTreeMap::new();
    for (name, Parameter { theta, moments }) in &optimizer.parameters {
        arrays.insert(format!("theta/{name}"), Array::Theta(theta));
        for (kind, values) in moments.arrays() {
            let array = Array::Moments(values, theta.dims());
            arrays.insert(format!("{kind}/{name}"), array);
        }
    }
    let failed = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let header = header(&arrays, format!("{key} {step}"))
        .map_err(|error| failed(std::io::Error::other(error)))?;
    fs::create_dir_all(directory_of(path)).map_err(failed)?;
    let mut file = UnfinishedFile::create(path).map_err(failed)?;
    write(&mut file, &header, &arrays, failed)?;
    file.publish().map_err(failed)
}

/// The head of a safetensors file with these arrays, one after the other.
fn header(
    arrays: &BTreeMap<String, Array<'_>>,
    run: String,
) -> std::result::Result<Vec<u8>, SafeTensorError> {
    let mut end = 0;
    let infos = arrays.iter().map(|(name, array)| {
        let start = end;
        end += array.shape().iter().product::<usize>() * size_of::<f32>();
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape: array.shape().to_vec(),
            data_offsets: (start, end),
        };
        (name.clone(), info)
    });
    // One entry: several stand in the order of a hash map, and the same run is to leave the same
    // bytes.
    let metadata = HashMap::from([("run".to_owned(), run)]);
    let metadata = Metadata::new(Some(metadata), infos.collect())?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut header);
    Ok(bytes)
}

/// Array by array, so that the state is not in memory twice. safetensors' own writer leaves a file
/// of a new name with every kill.
fn write(
    file: &mut UnfinishedFile,
    header: &[u8],
    arrays: &BTreeMap<String, Array<'_>>,
    failed: impl Fn(std::io::Error) -> Error + Copy,
) -> Result<()> {
    file.write_all(header).map_err(failed)?;
    for array in arrays.values() {
        let values = array.values()?;
        file.write_all(bytemuck::cast_slice(&values))
            .map_err(failed)?;
    }
    Ok(())
}

/// Loads the state file into `optimizer`; the number of steps done, 0 if there is no file.
pub(crate) fn restore(path: &Path, key: &str, optimizer: &mut Optimizer) -> Result<u64> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        bytes => bytes.map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?,
    };
    let damaged = |problem: String| Error::DamagedState {
        path: path.to_owned(),
        problem,
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let run = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get("run"));
    let Some((found, step)) = run.and_then(|run| run.split_once(' ')) else {
        return Err(damaged("it is not the state of a training run".to_owned()));
    };
    if found != key {
        return Err(Error::ForeignState {
            path: path.to_owned(),
        });
    }
    let step = step
        .parse()
        .map_err(|_| damaged(format!("{step:?} is no number of steps")))?;
    let arrays = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
    for (name, parameter) in &mut optimizer.parameters {
        let load = |kind: &str, n: usize| {
            let view = arrays
                .tensor(&format!("{kind}/{name}"))
                .map_err(|e| damaged(e.to_string()))?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
            match values.len() == n {
                true => Ok(values),
                false => Err(damaged(format!(
                    "{kind}/{name} has {} values, not {n}",
                    values.len()
                ))),
            }
        };
        let n = parameter.theta.elem_count();
        let theta = Tensor::from_vec(load("theta", n)?, parameter.theta.shape(), &Device::Cpu)?;
        parameter.theta.set(&theta)?;
        for (kind, values) in parameter.moments.arrays_mut() {
            *values = load(kind, n)?;
        }
    }
    Ok(step)
}
