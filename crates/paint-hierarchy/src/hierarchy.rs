//! Which name is a kind of which.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// A directed acyclic graph of named nodes; a node may have several parents.
///
/// Nodes, parents and children are in the order of their ids, so that nothing depends on the order
/// of lines in a file. A node is known by its position in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    ids: Vec<String>,
    names: Vec<String>,
    parents: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
}

impl Hierarchy {
    /// Nodes are (id, name), edges (parent's id, child's id), both in any order.
    ///
    /// # Errors
    /// [`Error::DuplicateNode`], [`Error::DuplicateEdge`], [`Error::UnknownNode`],
    /// [`Error::Cycle`].
    pub fn new(
        mut nodes: Vec<(String, String)>,
        edges: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        nodes.sort();
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::DuplicateNode {
                id: pair[0].0.clone(),
            });
        }
        let (ids, names): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let n = ids.len();
        let mut hierarchy = Self {
            ids,
            names,
            parents: vec![Vec::new(); n],
            children: vec![Vec::new(); n],
        };
        for (parent, child) in edges {
            hierarchy.connect(&parent, &child)?;
        }
        hierarchy.sort_edges()?;
        hierarchy.check_acyclic()?;
        Ok(hierarchy)
    }

    fn connect(&mut self, parent: &str, child: &str) -> Result<()> {
        let find = |id: &str| {
            self.find(id).ok_or_else(|| Error::UnknownNode {
                parent: parent.to_owned(),
                child: child.to_owned(),
                missing: id.to_owned(),
            })
        };
        let (parent, child) = (find(parent)?, find(child)?);
        self.parents[child].push(parent);
        self.children[parent].push(child);
        Ok(())
    }

    fn sort_edges(&mut self) -> Result<()> {
        self.children
            .iter_mut()
            .for_each(|list| list.sort_unstable());
        for (child, parents) in self.parents.iter_mut().enumerate() {
            parents.sort_unstable();
            if let Some(pair) = parents.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(Error::DuplicateEdge {
                    parent: self.ids[pair[0]].clone(),
                    child: self.ids[child].clone(),
                });
            }
        }
        Ok(())
    }

    /// Takes away nodes whose parents are all gone, again and again; what stays hangs on a cycle.
    fn check_acyclic(&self) -> Result<()> {
        let mut n_parents: Vec<usize> = self.parents.iter().map(Vec::len).collect();
        let mut free: Vec<usize> = (0..self.len()).filter(|&i| n_parents[i] == 0).collect();
        let mut n_free = 0;
        while let Some(node) = free.pop() {
            n_free += 1;
            for &child in &self.children[node] {
                n_parents[child] -= 1;
                if n_parents[child] == 0 {
                    free.push(child);
                }
            }
        }
        if n_free == self.len() {
            return Ok(());
        }
        Err(Error::Cycle {
            path: self.cycle(&n_parents),
        })
    }

    /// A cycle in words. Every node with parents left has one among those with parents left.
    fn cycle(&self, n_parents_left: &[usize]) -> String {
        let left = |&node: &usize| n_parents_left[node] > 0;
        let mut walk: Vec<usize> = (0..self.len()).filter(left).take(1).collect();
        let start = loop {
            let parents = walk.last().map_or(&[][..], |&node| &self.parents[node]);
            let Some(&parent) = parents.iter().find(|node| left(node)) else {
                break 0;
            };
            let seen = walk.iter().position(|&node| node == parent);
            walk.push(parent);
            if let Some(start) = seen {
                break start;
            }
        };
        let ids = walk[start..].iter().rev();
        let ids: Vec<&str> = ids.map(|&node| self.ids[node].as_str()).collect();
        ids.join(" → ")
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Number of edges.
    #[must_use]
    pub fn n_edges(&self) -> usize {
        self.parents.iter().map(Vec::len).sum()
    }

    /// The node with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        self.ids
            .binary_search_by(|known| known.as_str().cmp(id))
            .ok()
    }

    /// Id of a node.
    ///
    /// # Panics
    /// This and the other accessors panic if there is no such node, as slices do.
    #[must_use]
    pub fn id(&self, node: usize) -> &str {
        &self.ids[node]
    }

    /// Name of a node: the synset's first lemma.
    #[must_use]
    pub fn name(&self, node: usize) -> &str {
        &self.names[node]
    }

    /// Direct parents, in the order of their ids.
    #[must_use]
    pub fn parents(&self, node: usize) -> &[usize] {
        &self.parents[node]
    }

    /// Direct children, in the order of their ids.
    #[must_use]
    pub fn children(&self, node: usize) -> &[usize] {
        &self.children[node]
    }

    /// All ancestors of `nodes`, with the smallest number of edges to each; `nodes` themselves are
    /// only among them where one is above another.
    #[must_use]
    pub fn ancestors(&self, nodes: &[usize]) -> BTreeMap<usize, usize> {
        let mut distances = BTreeMap::new();
        let mut level = nodes.to_vec();
        for distance in 1.. {
            let mut above: Vec<usize> = level
                .iter()
                .flat_map(|&node| &self.parents[node])
                .copied()
                .filter(|parent| !distances.contains_key(parent))
                .collect();
            above.sort_unstable();
            above.dedup();
            if above.is_empty() {
                break;
            }
            distances.extend(above.iter().map(|&parent| (parent, distance)));
            level = above;
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |&(a, b): &(&str, &str)| (a.to_owned(), b.to_owned());
        list.iter().map(owned).collect()
    }

    fn build(nodes: &str, edges: &[(&str, &str)]) -> Result<Hierarchy> {
        let nodes = nodes
            .split(' ')
            .map(|id| (id.to_owned(), id.to_uppercase()));
        Hierarchy::new(nodes.collect(), pairs(edges))
    }

    #[test]
    fn does_not_depend_on_order() {
        let one = build("a b c d", &[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]).unwrap();
        let other = build("d c b a", &[("c", "d"), ("b", "d"), ("a", "c"), ("a", "b")]).unwrap();
        assert_eq!(one, other);
        let d = one.find("d").unwrap();
        assert_eq!(one.name(d), "D");
        assert_eq!(one.parents(d), [1, 2]);
        assert_eq!(one.children(0), [1, 2]);
        assert_eq!((one.len(), one.n_edges(), one.find("e")), (4, 4, None));
    }

    #[test]
    fn ancestors_have_their_smallest_distance() {
        let h = build(
            "a b c d e",
            &[("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("e", "a")],
        )
        .unwrap();
        let d = h.find("d").unwrap();
        assert_eq!(
            h.ancestors(&[d]),
            BTreeMap::from([(0, 1), (1, 2), (2, 1), (4, 2)])
        );
        assert!(h.ancestors(&[4]).is_empty());
    }

    #[test]
    fn bad_graphs_are_refused() {
        let check = |nodes, edges, expected: &str| {
            let error = build(nodes, edges).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'));
        };
        check("a b a", &[], "synset a comes twice");
        check("a b", &[("a", "b"), ("a", "b")], "from a to b comes twice");
        check("a b", &[("a", "x")], "from a to x: there is no node x");
        check("a", &[("a", "a")], "cycle: a → a;");
        let edges = [
            ("r", "a"),
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "leaf"),
        ];
        let error = build("r a b c leaf", &edges).unwrap_err().to_string();
        let rotations = ["a → b → c → a", "b → c → a → b", "c → a → b → c"];
        assert!(rotations.iter().any(|r| error.contains(r)), "{error}");
    }
}
