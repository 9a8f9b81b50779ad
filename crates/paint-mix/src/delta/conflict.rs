//! Whether two deltas pull in different directions.

use super::{CHUNK, file::DeltaFile};
use crate::{Error, LayerGroup, Result, geometry::Sums};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// How two deltas lie to each other within a group of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Values in the tensors that either changes.
    pub n: u64,
    /// Values that both change by more than the magnitude asked about.
    pub n_both: u64,
    /// Those of them that the two move in opposite directions.
    pub n_opposed: u64,
    /// Cosine of the angle between the changes; absent if one changes nothing here.
    pub cosine: Option<f64>,
}

impl Conflict {
    /// Share of the values that both change which they move in opposite directions; for unrelated
    /// changes a half. Absent if both change none.
    pub fn sign_disagreement(&self) -> Option<f64> {
        (self.n_both > 0).then(|| self.n_opposed as f64 / self.n_both as f64)
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    sums: Sums,
    n_both: u64,
    n_opposed: u64,
}

/// Compares two deltas of one base, layer group by layer group; values whose change is at most
/// `above` in one of them count for the cosine only.
///
/// # Errors
/// [`Error::OtherBase`] if they were made from different bases, [`Error::Foreign`] if a tensor has
/// two shapes, [`Error::Setting`] if `above` is negative or NaN; [`Error::NotDelta`] and those of
/// reading files.
pub fn conflict(a: &Path, b: &Path, above: f64) -> Result<BTreeMap<LayerGroup, Conflict>> {
    if above.is_nan() || above < 0.0 {
        return Err(Error::Setting {
            name: "above".to_owned(),
            value: above,
            allowed: "at least 0",
        });
    }
    let (a, b) = (DeltaFile::open(a)?, DeltaFile::open(b)?);
    if a.info.base_sha256 != b.info.base_sha256 {
        return Err(Error::OtherBase {
            a: a.file.path.clone(),
            a_base: a.info.base_sha256,
            b: b.file.path.clone(),
            b_base: b.info.base_sha256,
        });
    }
    let mut groups: BTreeMap<LayerGroup, Counts> = BTreeMap::new();
    let names: BTreeSet<&String> = a.file.tensors.keys().chain(b.file.tensors.keys()).collect();
    for name in names {
        let counts = groups.entry(LayerGroup::of(name)).or_default();
        add(counts, [&a, &b], name, above)?;
    }
    let found = groups.into_iter().map(|(group, counts)| {
        let conflict = Conflict {
            n: counts.sums.n,
            n_both: counts.n_both,
            n_opposed: counts.n_opposed,
            cosine: counts.sums.cosine(),
        };
        (group, conflict)
    });
    Ok(found.collect())
}

fn add(counts: &mut Counts, deltas: [&DeltaFile; 2], tensor: &str, above: f64) -> Result<()> {
    let changes = deltas.map(|delta| delta.change(tensor));
    let shapes: Vec<_> = changes.iter().flatten().map(|c| &c.entry.shape).collect();
    if shapes.first() != shapes.last() {
        return Err(Error::Foreign {
            base: deltas[0].file.path.clone(),
            delta: deltas[1].file.path.clone(),
            tensors: format!("{tensor} is {:?} and {:?}", shapes[0], shapes[1]),
        });
    }
    let n = changes.iter().flatten().map(|c| c.entry.n_elements()).max();
    let (n, mut first) = (n.unwrap_or(0), 0);
    while first < n {
        let len = (n - first).min(CHUNK as u64) as usize;
        let mut values = [vec![0.0; len], vec![0.0; len]];
        for (change, values) in changes.iter().zip(&mut values) {
            if let Some(change) = change {
                change.read(first, values)?;
                let scale = change.scale;
                values
                    .iter_mut()
                    .for_each(|v| *v = (f64::from(*v) * scale) as f32);
            }
        }
        let [a, b] = values;
        counts.sums += Sums::of(&a, &b);
        for (a, b) in a.into_iter().zip(b) {
            if f64::from(a.abs()) > above && f64::from(b.abs()) > above {
                counts.n_both += 1;
                counts.n_opposed += u64::from((a > 0.0) != (b > 0.0));
            }
        }
        first += len as u64;
    }
    Ok(())
}
