//! Tensors where they lie in weight files, found before any value is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::{Error, Result};

/// Bytes read at a time; bounds the memory beside the tensors themselves.
const CHUNK: usize = 1 << 20;

/// How the values of a weight file are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredDtype {
    F32,
    F16,
    BF16,
    /// By its name; not a type of weights.
    Other(String),
}

impl StoredDtype {
    fn size(&self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Other(_) => 0,
        }
    }

    fn decode(&self, bytes: &[u8], out: &mut Vec<f32>) {
        let pairs = || bytes.as_chunks::<2>().0.iter();
        match self {
            Self::F32 => {
                let (quads, _) = bytes.as_chunks::<4>();
                out.extend(quads.iter().map(|b| f32::from_le_bytes(*b)));
            }
            Self::F16 => out.extend(pairs().map(|b| half::f16::from_le_bytes(*b).to_f32())),
            Self::BF16 => out.extend(pairs().map(|b| half::bf16::from_le_bytes(*b).to_f32())),
            Self::Other(_) => {}
        }
    }
}

/// A tensor of a weight file.
///
/// Whoever makes one has checked that all elements lie inside the file and that there are not more
/// of them than the stretch of the file which they span has room for.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) path: Arc<Path>,
    pub(crate) dtype: StoredDtype,
    /// Where the first element is, in bytes from the start of the file.
    pub(crate) start: u64,
    pub(crate) shape: Vec<usize>,
    /// Along each axis, how many elements further its next one is.
    pub(crate) strides: Vec<usize>,
}

impl Stored {
    /// Matrices with rows and columns exchanged.
    pub(crate) fn transposed(mut self) -> Self {
        self.shape.reverse();
        self.strides.reverse();
        self
    }

    /// The first (0), second or last third of the rows.
    pub(crate) fn third(mut self, third: usize) -> Self {
        if let (Some(rows), Some(stride)) = (self.shape.first_mut(), self.strides.first()) {
            *rows /= 3;
            self.start += (third * *rows * stride * self.dtype.size()) as u64;
        }
        self
    }

    /// All values, row by row. `file` is the one at `path`.
    pub(crate) fn read(&self, file: &mut File) -> Result<Vec<f32>> {
        let n = self.shape.iter().product();
        if n == 0 {
            return Ok(Vec::new());
        }
        if self.strides == row_major(&self.shape) {
            return self.read_run(file, n);
        }
        let run = self.read_run(file, span(&self.shape, &self.strides).unwrap_or(0))?;
        let mut values = Vec::with_capacity(n);
        gather(&run, &self.shape, &self.strides, &mut values);
        Ok(values)
    }

    /// `n` neighbouring values.
    fn read_run(&self, file: &mut File, n: usize) -> Result<Vec<f32>> {
        let fail = |e| Error::io("read", &*self.path)(e);
        file.seek(SeekFrom::Start(self.start)).map_err(fail)?;
        let mut left = n * self.dtype.size();
        let mut values = Vec::with_capacity(n);
        let mut buffer = vec![0; CHUNK.min(left)];
        while left > 0 {
            let chunk = &mut buffer[..CHUNK.min(left)];
            file.read_exact(chunk).map_err(fail)?;
            self.dtype.decode(chunk, &mut values);
            left -= chunk.len();
        }
        Ok(values)
    }
}

/// Strides of a tensor whose rows follow each other. Like torch's, but where an axis has one
/// element, whose stride says nothing.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// Elements from the first to the last one, both included; `None` beyond what can be counted.
pub(crate) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let mut span = 1_usize;
    for (n, stride) in shape.iter().zip(strides) {
        span = span.checked_add((n - 1).checked_mul(*stride)?)?;
    }
    Some(span)
}

/// Row by row what lies apart in `run`.
fn gather(run: &[f32], shape: &[usize], strides: &[usize], out: &mut Vec<f32>) {
    match (shape, strides) {
        ([n, inner_shape @ ..], [stride, inner_strides @ ..]) => {
            for i in 0..*n {
                gather(&run[i * stride..], inner_shape, inner_strides, out);
            }
        }
        _ => out.extend(run.first()),
    }
}
