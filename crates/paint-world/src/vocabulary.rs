//! The words that the world writes.

use std::collections::BTreeSet;

use paint_data::Rng;

use crate::artwork::ALL;
use crate::domain::Domain;
use crate::english::NUMBERS;
use crate::world::domains;

/// Words and short phrases to be written in pictures.
pub(crate) struct Vocabulary {
    /// Every word of every class name, each once.
    class_words: Vec<String>,
    /// Class names of at most four words.
    class_names: Vec<String>,
    /// English words, those of the artworks' names among them.
    english: Vec<String>,
}

impl Vocabulary {
    /// The words of all tasks and of the lists in this crate.
    pub(crate) fn new() -> Self {
        let names: Vec<String> = domains()
            .iter()
            .flat_map(|d: &&dyn Domain| d.class_names())
            .collect();
        let class_words = words(names.iter().map(String::as_str));
        let class_names = names.iter().filter(|n| n.split(' ').count() <= 4).cloned();
        let listed = include_str!("words.txt").split_whitespace();
        let english = words(ALL.iter().map(|a| a.name).chain(listed).chain(NUMBERS));
        Self {
            class_words,
            class_names: class_names.collect(),
            english,
        }
    }

    /// Something to write.
    pub(crate) fn pick(&self, rng: &mut Rng) -> &str {
        let list = match rng.below(10) {
            0..4 => &self.english,
            4..7 => &self.class_words,
            _ => &self.class_names,
        };
        rng.pick::<String>(list)
    }

    /// Every word that can be written, with how much it matters to the tokenizer.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&str, u64)> {
        let english = self.english.iter().map(|w| (w.as_str(), 1));
        english.chain(self.class_words.iter().map(|w| (w.as_str(), 6)))
    }
}

/// The distinct words of `phrases`, sorted, in lower case, without punctuation around them.
fn words<'a>(phrases: impl Iterator<Item = &'a str>) -> Vec<String> {
    let distinct: BTreeSet<String> = phrases
        .flat_map(|phrase| phrase.split([' ', '-', '/']))
        .map(|word| {
            word.trim_matches(|c: char| !c.is_alphanumeric())
                .to_lowercase()
        })
        .filter(|word| !word.is_empty() && word.is_ascii())
        .collect();
    distinct.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_thousand_words_and_all_class_words() {
        let vocabulary = Vocabulary::new();
        assert!(
            vocabulary.english.len() > 1_500,
            "{}",
            vocabulary.english.len()
        );
        for domain in domains() {
            for name in domain.class_names() {
                for word in words([name.as_str()].into_iter()) {
                    assert!(vocabulary.class_words.contains(&word), "{word} of {name:?}");
                }
            }
        }
    }
}
