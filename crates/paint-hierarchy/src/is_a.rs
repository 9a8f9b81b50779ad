//! Two-column is-a files with a names file, as ImageNet publishes them.

use std::path::Path;

use crate::{Error, Hierarchy, Result, error::read_to_string};

/// Reads `parent child` lines, and names from lines of an id and, after a space or tab, the
/// synset's lemmas with commas between them, of which the first is the name.
///
/// Every id of an edge needs a name.
///
/// # Errors
/// If a file cannot be read or a line has another form, and those of [`Hierarchy::new`].
pub fn read_is_a(edges: &Path, names: &Path) -> Result<Hierarchy> {
    let text = read_to_string(names)?;
    let mut nodes = Vec::new();
    for (number, line) in lines(&text) {
        let (id, lemmas) = line
            .split_once([' ', '\t'])
            .ok_or_else(|| Error::line(names, number, "needs an id and a name after it"))?;
        match lemmas.split(',').next().map(str::trim) {
            Some(name) if !name.is_empty() => nodes.push((id.to_owned(), name.to_owned())),
            _ => return Err(Error::line(names, number, "the name is empty")),
        }
    }
    let text = read_to_string(edges)?;
    let mut pairs = Vec::new();
    for (number, line) in lines(&text) {
        let mut ids = line.split_ascii_whitespace();
        let (Some(parent), Some(child), None) = (ids.next(), ids.next(), ids.next()) else {
            return Err(Error::line(edges, number, "needs two ids, `parent child`"));
        };
        pairs.push((parent.to_owned(), child.to_owned()));
    }
    Hierarchy::new(nodes, pairs)
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(edges: &str, names: &str) -> Result<Hierarchy> {
        let dir = tempfile::tempdir().unwrap();
        let (e, n) = (dir.path().join("is_a.txt"), dir.path().join("names.txt"));
        std::fs::write(&e, edges).unwrap();
        std::fs::write(&n, names).unwrap();
        read_is_a(&e, &n)
    }

    const NAMES: &str = "n1\tanimal, beast\nn2 cat\r\n\nn3  wild dog, dingo\n";

    #[test]
    fn reads_edges_and_first_lemmas() {
        let h = read("n1 n2\r\nn1\tn3\n\n", NAMES).unwrap();
        assert_eq!((h.len(), h.n_edges()), (3, 2));
        assert_eq!(
            [h.name(0), h.name(1), h.name(2)],
            ["animal", "cat", "wild dog"]
        );
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        let check = |edges: &str, names: &str, expected: &str| {
            let error = read(edges, names).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        check("n1 n2 n3", NAMES, "is_a.txt, line 1: needs two ids");
        check("n1 n2\nn1", NAMES, "is_a.txt, line 2");
        check("n1 n4", NAMES, "there is no node n4");
        check("n1 n2\nn2 n1", NAMES, "cycle");
        check("", "n1\n", "names.txt, line 1: needs an id");
        check("", "n1 a\nn1 b", "n1 comes twice");
        check("", "n1 , b", "name is empty");
    }
}
