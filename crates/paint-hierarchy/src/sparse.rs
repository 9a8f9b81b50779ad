//! Which ancestors are worth naming.

use crate::{Error, Hierarchy, Result, error::check_size};

/// Names of nodes so abstract that a picture of their kind is a picture of anything.
///
/// The paper gives three of them; the rest are ours.
pub const ABSTRACT: [&str; 14] = [
    "entity",
    "physical entity",
    "abstraction",
    "object",
    "whole",
    "matter",
    "thing",
    "artifact",
    "instrumentality",
    "living thing",
    "organism",
    "unit",
    "covering",
    "commodity",
];

/// A hierarchy with some of its nodes passed over when parents are looked for.
#[derive(Clone, Debug)]
pub struct Sparse<'a> {
    hierarchy: &'a Hierarchy,
    kept: Vec<bool>,
}

impl<'a> Sparse<'a> {
    /// Every node is kept: parents are the direct ones.
    #[must_use]
    pub fn all(hierarchy: &'a Hierarchy) -> Self {
        Self {
            hierarchy,
            kept: vec![true; hierarchy.len()],
        }
    }

    /// Drops every node with one of these names, for instance [`ABSTRACT`].
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        for (node, kept) in self.kept.iter_mut().enumerate() {
            *kept &= !names.contains(&self.hierarchy.name(node));
        }
        self
    }

    /// Of `nodes` keeps the share with the largest `variance`, rounded to whole nodes; of equals
    /// the lower node. Other nodes stay as they are.
    ///
    /// `variance` is what [`norm_variance`] gives for the nodes' names: small for a word that the
    /// model hardly knows. Its scale depends on the model, hence only the rank counts.
    ///
    /// # Errors
    /// If the lengths differ, a variance is NaN, or `share` is outside [0, 1].
    pub fn keep_common(mut self, nodes: &[usize], variance: &[f64], share: f64) -> Result<Self> {
        check_size("variances of nodes", nodes.len(), variance.len())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::Setting {
                name: "share of nodes to keep",
                value: share,
                problem: "must be from 0 to 1",
            });
        }
        if let Some(row) = variance.iter().position(|v| v.is_nan()) {
            return Err(Error::Direction { what: "node", row });
        }
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|&a, &b| {
            variance[b]
                .total_cmp(&variance[a])
                .then(nodes[a].cmp(&nodes[b]))
        });
        let n_kept = (share * nodes.len() as f64).round() as usize;
        for &dropped in &order[n_kept..] {
            self.kept[nodes[dropped]] = false;
        }
        Ok(self)
    }

    /// The hierarchy itself.
    #[must_use]
    pub fn hierarchy(&self) -> &'a Hierarchy {
        self.hierarchy
    }

    /// The nearest kept ancestors of a node: all at the smallest distance, in the order of their
    /// ids; none if no ancestor is kept.
    #[must_use]
    pub fn parents(&self, node: usize) -> Vec<usize> {
        let ancestors = self.hierarchy.ancestors(&[node]);
        let kept = || {
            ancestors
                .iter()
                .filter(|&(&ancestor, _)| self.kept[ancestor])
        };
        let nearest = kept().map(|(_, &distance)| distance).min();
        kept()
            .filter(|&(_, &distance)| Some(distance) == nearest)
            .map(|(&ancestor, _)| ancestor)
            .collect()
    }
}

/// Variance over the templates of the length of a name's text embeddings, for every name.
///
/// `features`: [n, `n_templates`, width], as the text tower gives them, **not** normalised. Source:
/// the paper's appendix on sparsifying WordNet (0.118 for "anthozoan", 0.724 for "workplace").
///
/// # Errors
/// If the sizes do not fit.
pub fn norm_variance(features: &[f32], n_templates: usize, width: usize) -> Result<Vec<f64>> {
    if n_templates == 0 || width == 0 {
        return Err(Error::Empty { what: "templates" });
    }
    let size = n_templates * width;
    check_size(
        "features of names in templates",
        features.len().div_ceil(size) * size,
        features.len(),
    )?;
    let variance = |of_name: &[f32]| {
        let lengths = of_name.chunks_exact(width).map(|feature| {
            let squares = feature.iter().map(|&x| f64::from(x).powi(2));
            squares.sum::<f64>().sqrt()
        });
        let lengths: Vec<f64> = lengths.collect();
        let mean = lengths.iter().sum::<f64>() / n_templates as f64;
        lengths.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n_templates as f64
    };
    Ok(features.chunks_exact(size).map(variance).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy() -> Hierarchy {
        let nodes = ["entity", "feline", "pet", "cat", "tabby"];
        let edges = [
            ("entity", "feline"),
            ("entity", "pet"),
            ("feline", "cat"),
            ("pet", "cat"),
            ("cat", "tabby"),
        ];
        Hierarchy::new(
            nodes.map(|n| (n.to_owned(), n.to_owned())).to_vec(),
            edges.map(|(a, b)| (a.to_owned(), b.to_owned())),
        )
        .unwrap()
    }

    fn parents<'a>(sparse: &Sparse<'a>, name: &str) -> Vec<&'a str> {
        let node = sparse.hierarchy.find(name).unwrap();
        let parents = sparse.parents(node);
        parents
            .into_iter()
            .map(|p| sparse.hierarchy.name(p))
            .collect()
    }

    #[test]
    fn parents_are_the_nearest_kept_ancestors() {
        let h = hierarchy();
        let all = Sparse::all(&h);
        assert_eq!(parents(&all, "cat"), ["feline", "pet"]);
        assert_eq!(parents(&all, "pet"), ["entity"]);
        let concrete = all.without(&ABSTRACT);
        assert!(parents(&concrete, "pet").is_empty());
        let no_pet = concrete.clone().without(&["pet"]);
        assert_eq!(parents(&no_pet, "cat"), ["feline"]);
        let no_cat = concrete.without(&["cat"]);
        assert_eq!(parents(&no_cat, "tabby"), ["feline", "pet"]);
    }

    #[test]
    fn common_names_are_kept_by_rank() {
        let h = hierarchy();
        let nodes: Vec<usize> = ["cat", "feline", "pet"]
            .map(|n| h.find(n).unwrap())
            .to_vec();
        let keep = |share| Sparse::all(&h).keep_common(&nodes, &[0.7, 0.1, 0.7], share);
        assert_eq!(parents(&keep(0.67).unwrap(), "cat"), ["pet"]);
        assert_eq!(parents(&keep(0.0).unwrap(), "cat"), ["entity"]);
        // "cat" comes first of two equals.
        assert_eq!(parents(&keep(0.4).unwrap(), "tabby"), ["cat"]);
        assert_eq!(parents(&keep(1.0).unwrap(), "cat"), ["feline", "pet"]);
        assert!(keep(1.1).is_err());
        assert!(Sparse::all(&h).keep_common(&nodes, &[0.1], 0.5).is_err());
    }

    #[test]
    fn variance_of_lengths_by_hand() {
        // Lengths 5 and 13, then 1 and 1.
        let features = [3.0, 4.0, 5.0, 12.0, 1.0, 0.0, 0.0, -1.0];
        assert_eq!(norm_variance(&features, 2, 2).unwrap(), [16.0, 0.0]);
        assert!(norm_variance(&features, 3, 2).is_err());
        assert!(norm_variance(&features, 0, 2).is_err());
    }
}
