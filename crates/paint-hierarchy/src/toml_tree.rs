//! Hierarchies written by hand, as TOML.

use std::path::Path;

use toml::{Table, Value};

use crate::{Error, Hierarchy, Result, error::read_to_string};

/// Reads a tree of names: a table's keys are kinds of it, a list holds kinds that have none below
/// them. A name is its own id and stands once.
///
/// ```
/// let tree = "[animal]\ncat = ['tabby', 'persian']\ndog = []";
/// let hierarchy = paint_hierarchy::parse_toml_tree(tree, "pets.toml")?;
/// let tabby = hierarchy.find("tabby").unwrap();
/// assert_eq!(hierarchy.name(hierarchy.parents(tabby)[0]), "cat");
/// # Ok::<(), paint_hierarchy::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tree`] if the text is not such a tree, [`Error::DuplicateNode`] if a name comes twice.
pub fn parse_toml_tree(text: &str, origin: &str) -> Result<Hierarchy> {
    let fail = |problem: String| Error::Tree {
        origin: origin.to_owned(),
        problem,
    };
    let table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| fail(one_line(&e, text)))?;
    let mut tree = Tree::default();
    tree.table(None, &table).map_err(fail)?;
    Hierarchy::new(tree.nodes, tree.edges)
}

/// As [`parse_toml_tree`], from a file.
///
/// # Errors
/// As there, and [`Error::Read`].
pub fn read_toml_tree(path: &Path) -> Result<Hierarchy> {
    parse_toml_tree(&read_to_string(path)?, &path.display().to_string())
}

fn one_line(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| {
        text.as_bytes()[..span.start.min(text.len())]
            .iter()
            .filter(|&&b| b == b'\n')
            .count()
            + 1
    });
    let message = error.message().replace('\n', " ");
    line.map_or(message.clone(), |line| format!("line {line}: {message}"))
}

#[derive(Default)]
struct Tree {
    nodes: Vec<(String, String)>,
    edges: Vec<(String, String)>,
}

impl Tree {
    fn table(&mut self, parent: Option<&str>, table: &Table) -> Result<(), String> {
        for (name, below) in table {
            self.node(parent, name)?;
            match below {
                Value::Table(table) => self.table(Some(name), table)?,
                Value::Array(list) => self.list(name, list)?,
                _ => return Err(format!("`{name}` must be a table or a list of names")),
            }
        }
        Ok(())
    }

    fn list(&mut self, parent: &str, list: &[Value]) -> Result<(), String> {
        for value in list {
            let name = value
                .as_str()
                .ok_or_else(|| format!("`{parent}` must list names in quotes"))?;
            self.node(Some(parent), name)?;
        }
        Ok(())
    }

    fn node(&mut self, parent: Option<&str>, name: &str) -> Result<(), String> {
        if name.trim().is_empty() {
            let place = parent.unwrap_or("the top");
            return Err(format!("a name below `{place}` is empty"));
        }
        self.nodes.push((name.to_owned(), name.to_owned()));
        self.edges
            .extend(parent.map(|parent| (parent.to_owned(), name.to_owned())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables_and_lists() {
        let text = "plant = ['moss']\n[animal.mammal]\n'big cat' = ['lion']\n[animal]\nfish = []";
        let h = parse_toml_tree(text, "t").unwrap();
        let parent = |name: &str| {
            let node = h.find(name).unwrap();
            h.parents(node)
                .iter()
                .map(|&p| h.name(p))
                .collect::<Vec<_>>()
        };
        assert_eq!(parent("lion"), ["big cat"]);
        assert_eq!(parent("big cat"), ["mammal"]);
        assert_eq!(parent("fish"), ["animal"]);
        assert_eq!(parent("moss"), ["plant"]);
        assert!(parent("animal").is_empty());
        assert_eq!(h.len(), 7);
    }

    #[test]
    fn other_toml_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = parse_toml_tree(text, "t.toml").unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        check("a = []\nb = [", "t.toml: line 2");
        check("a = 1", "`a` must be a table");
        check("a = [1]", "`a` must list names");
        check("a = ['']", "below `a` is empty");
        check("a = ['x']\nb = ['x']", "synset x comes twice");
        check("a = ['a']", "synset a comes twice");
    }
}
