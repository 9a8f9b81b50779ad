//! How far fine-tuning moved the weights, layer group by layer group.

use crate::{LayerGroup, Result, geometry::Sums, merge::check_lengths};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far apart two sets of weights are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightDistance {
    /// Values in each.
    pub n: u64,
    /// ‖θ_ft - θ_zs‖ / ‖θ_zs‖, Euclidean; absent if θ_zs is zero.
    pub relative: Option<f64>,
    /// Cosine of the angle between θ_zs and θ_ft; absent if one is zero.
    pub cosine: Option<f64>,
}

/// Distances that are gathered tensor by tensor, in any order.
#[derive(Clone, Debug, Default)]
pub struct WeightDistances {
    groups: BTreeMap<LayerGroup, BTreeMap<String, Sums>>,
}

impl WeightDistances {
    /// Adds a tensor, known by its name in `transformers`; a name given before is replaced.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if the slices differ in length.
    pub fn add(&mut self, tensor: &str, zero_shot: &[f32], fine_tuned: &[f32]) -> Result<()> {
        check_lengths(zero_shot, &[fine_tuned], zero_shot)?;
        let group = self.groups.entry(LayerGroup::of(tensor)).or_default();
        group.insert(tensor.to_owned(), Sums::of(zero_shot, fine_tuned));
        Ok(())
    }

    /// The distance within each group.
    pub fn groups(&self) -> BTreeMap<LayerGroup, WeightDistance> {
        let groups = self.groups.iter();
        groups
            .map(|(&group, tensors)| (group, distance(tensors.values())))
            .collect()
    }

    /// The distance over all tensors.
    pub fn total(&self) -> WeightDistance {
        distance(self.groups.values().flat_map(BTreeMap::values))
    }
}

fn distance<'a>(tensors: impl Iterator<Item = &'a Sums>) -> WeightDistance {
    let mut sums = Sums::default();
    for tensor in tensors {
        sums += *tensor;
    }
    WeightDistance {
        n: sums.n,
        relative: sums.relative_distance(),
        cosine: sums.cosine(),
    }
}
