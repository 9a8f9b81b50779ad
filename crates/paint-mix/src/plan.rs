//! What the output will hold, and its header.

use crate::{
    FloatDtype,
    checkpoint::{Checkpoint, Entry},
    compatibility::Pairing,
    element::Kind,
};
use safetensors::Dtype;
use serde::Serialize;
use std::collections::BTreeMap;

/// A tensor of the output and where it comes from.
pub(crate) struct Planned<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) zero_shot: &'a Entry,
    /// Absent if the tensor is carried over.
    pub(crate) fine_tuned: Option<&'a Entry>,
}

impl Planned<'_> {
    fn n_bytes(&self) -> u64 {
        self.zero_shot.n_elements() * (self.dtype.bitsize() / 8) as u64
    }
}

/// The output's tensors in the order of their data.
pub(crate) struct Plan<'a> {
    pub(crate) tensors: Vec<Planned<'a>>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(pairing: &Pairing<'a>, output_dtype: Option<FloatDtype>) -> Self {
        let shared = pairing.shared.iter().map(|&(name, zero_shot, fine_tuned)| {
            match (zero_shot.kind(), fine_tuned.kind()) {
                (Kind::Float(one), Kind::Float(other)) => {
                    let common = if one == other { one } else { FloatDtype::F32 };
                    let dtype = output_dtype.unwrap_or(common).into();
                    Planned {
                        name,
                        dtype,
                        zero_shot,
                        fine_tuned: Some(fine_tuned),
                    }
                }
                _ => Planned {
                    name,
                    dtype: zero_shot.dtype,
                    zero_shot,
                    fine_tuned: None,
                },
            }
        });
        let carried = pairing
            .zero_shot_only
            .iter()
            .map(|&(name, zero_shot)| Planned {
                name,
                dtype: zero_shot.dtype,
                zero_shot,
                fine_tuned: None,
            });
        let mut tensors: Vec<_> = shared.chain(carried).collect();
        tensors.sort_by_key(|tensor| (std::cmp::Reverse(tensor.dtype.bitsize()), tensor.name));
        Self { tensors }
    }

    pub(crate) fn of_copy(source: &'a Checkpoint) -> Self {
        let planned = |(name, entry): (&'a String, &'a Entry)| Planned {
            name: name.as_str(),
            dtype: entry.dtype,
            zero_shot: entry,
            fine_tuned: None,
        };
        Self {
            tensors: source.tensors.iter().map(planned).collect(),
        }
    }

    fn floats(&self) -> impl Iterator<Item = &Planned<'a>> {
        self.tensors
            .iter()
            .filter(|tensor| matches!(Kind::of(tensor.dtype), Kind::Float(_)))
    }

    pub(crate) fn n_floats(&self) -> usize {
        self.floats().count()
    }

    pub(crate) fn n_parameters(&self) -> u64 {
        self.floats()
            .map(|tensor| tensor.zero_shot.n_elements())
            .sum()
    }

    pub(crate) fn dtypes(&self) -> BTreeMap<String, usize> {
        let mut dtypes = BTreeMap::new();
        for tensor in &self.tensors {
            *dtypes.entry(format!("{:?}", tensor.dtype)).or_default() += 1;
        }
        dtypes
    }

    pub(crate) fn data_bytes(&self) -> u64 {
        self.tensors.iter().map(Planned::n_bytes).sum()
    }

    /// Length prefix and JSON, padded with spaces to a multiple of eight as the format advises.
    pub(crate) fn header(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Value<'a> {
            Metadata {
                format: &'static str,
            },
            Tensor {
                dtype: Dtype,
                shape: &'a [u64],
                data_offsets: [u64; 2],
            },
        }
        let mut header = BTreeMap::from([("__metadata__", Value::Metadata { format: "pt" })]);
        let mut end = 0;
        for tensor in &self.tensors {
            let data_offsets = [end, end + tensor.n_bytes()];
            end = data_offsets[1];
            let shape = tensor.zero_shot.shape.as_slice();
            header.insert(
                tensor.name,
                Value::Tensor {
                    dtype: tensor.dtype,
                    shape,
                    data_offsets,
                },
            );
        }
        let mut json = serde_json::to_vec(&header).expect("names, numbers and lists serialise");
        json.resize(json.len().next_multiple_of(8), b' ');
        let length = (json.len() as u64).to_le_bytes();
        [length.as_slice(), &json].concat()
    }
}
