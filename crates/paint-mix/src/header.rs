//! The header of a safetensors file to be written.

use safetensors::Dtype;
use serde::Serialize;
use std::collections::BTreeMap;

/// A tensor as a header lists it.
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [u64],
}

impl Listed<'_> {
    pub(crate) fn n_bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.bitsize() as u64 / 8
    }
}

/// Length prefix and JSON, padded with spaces to a multiple of eight as the format advises.
/// `tensors` come in the order of their data.
pub(crate) fn header(metadata: &BTreeMap<String, String>, tensors: &[Listed<'_>]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Value<'a> {
        Metadata(&'a BTreeMap<String, String>),
        Tensor {
            dtype: Dtype,
            shape: &'a [u64],
            data_offsets: [u64; 2],
        },
    }
    let mut header = BTreeMap::from([("__metadata__", Value::Metadata(metadata))]);
    let mut end = 0;
    for tensor in tensors {
        let data_offsets = [end, end + tensor.n_bytes()];
        end = data_offsets[1];
        let (dtype, shape) = (tensor.dtype, tensor.shape);
        header.insert(
            tensor.name,
            Value::Tensor {
                dtype,
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
