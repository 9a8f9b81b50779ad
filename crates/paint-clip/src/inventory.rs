//! Which tensors a model needs and which ones are there.

use std::collections::BTreeMap;

/// A tensor that is there.
pub(crate) struct Found<'a> {
    pub(crate) shape: &'a [usize],
    /// Its type and those that would do, where it is another one.
    pub(crate) wrong_dtype: Option<String>,
}

/// What is missing, not part of the model, or of another shape or type; nothing if all is right.
pub(crate) fn mismatch(
    expected: &BTreeMap<String, Vec<usize>>,
    found: &BTreeMap<&str, Found<'_>>,
) -> Option<String> {
    let missing = expected
        .keys()
        .filter(|name| !found.contains_key(name.as_str()))
        .cloned();
    let extra = found
        .keys()
        .filter(|name| !expected.contains_key(**name))
        .map(|name| (*name).to_owned());
    let wrong = expected.iter().filter_map(|(name, shape)| {
        let tensor = found.get(name.as_str())?;
        if tensor.shape != shape {
            return Some(format!("{name} is {:?} instead of {shape:?}", tensor.shape));
        }
        let dtype = tensor.wrong_dtype.as_ref()?;
        Some(format!("{name} is {dtype}"))
    });
    let groups: Vec<String> = [
        ("missing", missing.collect()),
        ("not part of the model", extra.collect()),
        ("of another shape or type", wrong.collect()),
    ]
    .into_iter()
    .filter_map(|(what, names): (_, Vec<String>)| first_few(what, &names))
    .collect();
    (!groups.is_empty()).then(|| groups.join("; "))
}

/// "7 missing: a, b, c, …", or nothing if there are none.
pub(crate) fn first_few(what: &str, names: &[String]) -> Option<String> {
    let shown = names[..names.len().min(3)].join(", ");
    let more = if names.len() > 3 { ", …" } else { "" };
    (!names.is_empty()).then(|| format!("{} {what}: {shown}{more}", names.len()))
}
