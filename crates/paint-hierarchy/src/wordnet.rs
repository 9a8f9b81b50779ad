//! WordNet's own database files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Hierarchy, Result, error::read_to_string};

/// The nouns of WordNet: the hierarchy of their synsets, and which synsets a word can mean.
///
/// Ids are `n` and the synset's eight digits, as ImageNet writes them; with the files of WordNet
/// 3.0 they are ImageNet's. An edge is a hypernym (`@`); that Einstein is an instance (`@i`) of a
/// physicist makes him no kind of one. Formats: the manual pages `wndb(5WN)`; the Debian package
/// `wordnet-base` puts the files of version 3.0 into `/usr/share/wordnet`.
#[derive(Clone, Debug)]
pub struct WordNet {
    hierarchy: Hierarchy,
    senses: BTreeMap<String, Vec<usize>>,
}

impl WordNet {
    /// Reads `data.noun` and `index.noun` of a `dict` directory.
    ///
    /// # Errors
    /// If a file cannot be read or a line is not as the format says, and those of
    /// [`Hierarchy::new`].
    pub fn read(dict: &Path) -> Result<Self> {
        let hierarchy = read_data(&dict.join("data.noun"))?;
        let senses = read_index(&dict.join("index.noun"), &hierarchy)?;
        Ok(Self { hierarchy, senses })
    }

    /// The synsets and what is a kind of what.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The synsets of a noun, the most frequent first; none for a word that is not there.
    #[must_use]
    pub fn senses(&self, noun: &str) -> &[usize] {
        let key = noun.to_lowercase().replace(' ', "_");
        self.senses.get(&key).map_or(&[], Vec::as_slice)
    }
}

fn id(offset: &str) -> String {
    format!("n{offset}")
}

/// The lines with data; those of the licence begin with a space.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    numbered.filter(|(_, line)| !line.starts_with(' ') && !line.is_empty())
}

fn read_data(path: &Path) -> Result<Hierarchy> {
    let text = read_to_string(path)?;
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (number, line) in lines(&text) {
        let synset = Synset::parse(line)
            .ok_or_else(|| Error::line(path, number, "is not a synset of a data.noun file"))?;
        edges.extend(synset.hypernyms.iter().map(|h| (id(h), id(synset.offset))));
        nodes.push((id(synset.offset), synset.lemma.replace('_', " ")));
    }
    if nodes.is_empty() {
        return Err(Error::line(path, 1, "there is no synset in the file"));
    }
    Hierarchy::new(nodes, edges)
}

struct Synset<'a> {
    offset: &'a str,
    lemma: &'a str,
    hypernyms: Vec<&'a str>,
}

impl<'a> Synset<'a> {
    /// `offset lex_filenum ss_type w_cnt word lex_id … p_cnt [symbol offset pos source/target]… |
    /// gloss`, w_cnt in hexadecimal, p_cnt in decimal digits.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_once(" | ")?.0.split_ascii_whitespace();
        let offset = fields.next().filter(|offset| is_offset(offset))?;
        let n_words = usize::from_str_radix(fields.nth(2)?, 16).ok()?;
        let lemma = fields.next()?;
        let n_pointers: usize = fields.nth((2 * n_words).checked_sub(1)?)?.parse().ok()?;
        let mut hypernyms = Vec::new();
        for _ in 0..n_pointers {
            let (symbol, target) = (fields.next()?, fields.next()?);
            fields.nth(1)?;
            if symbol == "@" {
                hypernyms.push(target);
            }
        }
        fields.next().is_none().then_some(Self {
            offset,
            lemma,
            hypernyms,
        })
    }
}

fn is_offset(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_index(path: &Path, hierarchy: &Hierarchy) -> Result<BTreeMap<String, Vec<usize>>> {
    let text = read_to_string(path)?;
    let mut senses = BTreeMap::new();
    for (number, line) in lines(&text) {
        let (lemma, offsets) = index_entry(line)
            .ok_or_else(|| Error::line(path, number, "is not an entry of an index.noun file"))?;
        let node = |offset: &&str| {
            hierarchy.find(&id(offset)).ok_or_else(|| {
                let problem = format!("there is no synset {offset} in data.noun; the two files are of different versions");
                Error::line(path, number, problem)
            })
        };
        let nodes = offsets.iter().map(node).collect::<Result<_>>()?;
        senses.insert(lemma.to_owned(), nodes);
    }
    Ok(senses)
}

/// `lemma pos synset_cnt p_cnt [symbol]… sense_cnt tagsense_cnt offset…`
fn index_entry(line: &str) -> Option<(&str, Vec<&str>)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let n_synsets: usize = fields.get(2)?.parse().ok()?;
    let n_symbols: usize = fields.get(3)?.parse().ok()?;
    let offsets = fields.get(n_symbols.checked_add(6)?..)?;
    let sound = offsets.len() == n_synsets && offsets.iter().all(|o| is_offset(o));
    sound.then(|| (fields[0], offsets.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "  1 a licence\n\
        00000001 03 n 02 animal 0 beast 0 001 ~ 00000002 n 0000 | moves  \n\
        00000002 05 n 01 domestic_cat 0 003 @ 00000001 n 0000 @i 00000003 n 0000 + 00000009 v 0101 | mews  \n\
        00000003 03 n 01 pet 0 000 | kept | at home  \n";
    const INDEX: &str = "  1 a licence\n\
        domestic_cat n 1 2 @ + 1 0 00000002\n\
        beast n 2 1 ~ 2 1 00000001 00000003\n";

    fn read(data: &str, index: &str) -> Result<WordNet> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.noun"), data).unwrap();
        std::fs::write(dir.path().join("index.noun"), index).unwrap();
        WordNet::read(dir.path())
    }

    #[test]
    fn reads_synsets_and_senses() {
        let wordnet = read(DATA, INDEX).unwrap();
        let h = wordnet.hierarchy();
        let cat = h.find("n00000002").unwrap();
        assert_eq!((h.name(cat), h.len(), h.n_edges()), ("domestic cat", 3, 1));
        assert_eq!(h.parents(cat), [h.find("n00000001").unwrap()]);
        assert_eq!(wordnet.senses("Domestic cat"), [cat]);
        assert_eq!(wordnet.senses("beast"), [0, 2]);
        assert!(wordnet.senses("dog").is_empty());
    }

    #[test]
    fn damaged_files_are_refused_with_the_line() {
        let check = |data: &str, index: &str, expected: &str| {
            let error = read(data, index).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        for cut in [" n 0000 + 00000009 v 0101 | mews", "01 domestic_cat 0 "] {
            check(&DATA.replace(cut, ""), INDEX, "data.noun, line 3");
        }
        check(&DATA.replace("003 @", "ff1 @"), INDEX, "line 3");
        check(&DATA.replace("n 02", "n 00"), INDEX, "line 2");
        check("<html>", INDEX, "data.noun, line 1");
        check("", INDEX, "no synset in the file");
        check(
            &DATA.replace("@ 00000001", "@ 00000007"),
            INDEX,
            "no node n00000007",
        );
        check(
            &DATA.replace("00000003 03", "00000001 03"),
            INDEX,
            "n00000001 comes twice",
        );
        check(
            DATA,
            &INDEX.replace(" 00000003", " 00000008"),
            "index.noun, line 3: there is no synset 00000008",
        );
        check(DATA, &INDEX.replace(" 00000003", ""), "index.noun, line 3");
        check(
            DATA,
            &INDEX.replace("n 1 2 @", "n 1 99999999999999999999 @"),
            "index.noun, line 2",
        );
    }
}
