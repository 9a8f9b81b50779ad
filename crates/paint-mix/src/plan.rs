//! What the output will hold, and its header.

use crate::{
    FloatDtype,
    checkpoint::{Checkpoint, Entry},
    compatibility::Pairing,
    element::Kind,
    header::{Listed, header},
};
use safetensors::Dtype;
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
    fn listed(&self) -> Listed<'_> {
        Listed {
            name: self.name,
            dtype: self.dtype,
            shape: &self.zero_shot.shape,
        }
    }

    fn n_bytes(&self) -> u64 {
        self.listed().n_bytes()
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

    pub(crate) fn header(&self) -> Vec<u8> {
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let listed: Vec<_> = self.tensors.iter().map(Planned::listed).collect();
        header(&metadata, &listed)
    }
}
