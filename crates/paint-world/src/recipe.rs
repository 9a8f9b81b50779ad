//! The recipe of the caption corpus: what share of it shows what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tasks::patching_domains;

/// Shares of the caption corpus; all are fractions in [0, 1].
///
/// The kinds of pictures need not add up to 1: each gets its part of their sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Pictures of one object, on a background or at a place.
    pub objects: f32,
    /// Objects as silhouettes, outlines, posters and the like.
    pub sketches: f32,
    /// One coloured shape, or two.
    pub shapes: f32,
    /// One to ten objects or shapes of a kind, with the number in the caption.
    pub counts: f32,
    /// Written words.
    pub words: f32,
    /// Written numbers, named by word or by figures.
    pub numbers: f32,
    /// Two objects and how they stand to each other.
    pub pairs: f32,
    /// Images of the patching tasks' domains, all nine together.
    pub domains: f32,
    /// One to ten things of a kind, scattered, each number as often. An album shows one kind, so
    /// that nothing but the number tells its pictures apart.
    pub scattered: f32,
    /// Two objects or shapes and how they stand to each other; those of an album are the same few.
    pub arranged: f32,
    /// An object with a word on it, mostly its own name, as goods have.
    pub labelled: f32,
    /// A word in the plainest typeface, dark on light, in the middle: where reading begins.
    pub plain_words: f32,
    /// A word in any typeface, size and place, in a colour that stands out.
    pub varied_words: f32,
    /// A word written as typographic attacks write it, on any ground.
    pub outlined_words: f32,
    /// The same across an object that is nearly always called something else; the caption says
    /// the word, and in a quarter of the cases the object too.
    pub misnamed: f32,
    /// Of the objects and sketches: share whose caption says what they are a kind of, where
    /// that is known.
    pub kinds: f32,
    /// Of the objects and sketches: share that are classes of the supported tasks; the
    /// rest is any of the more than a thousand things.
    pub known_objects: f32,
    /// Of the object pictures: share at a place that captions can name.
    pub places: f32,
    /// Of the domain images: share whose caption names the domain only ("some handwriting").
    pub vague: f32,
    /// Of the domain images: share whose caption tells what is to be seen, but no class name.
    /// What `vague` and `attributes` leave has its true class name.
    pub attributes: f32,
    /// For single domains: share of its images with their true class name, in place of
    /// what `vague` and `attributes` leave; the others keep the proportion of these two.
    pub named: BTreeMap<String, f32>,
    /// For single domains: weight among the domains, 1 where not given.
    pub domain_weights: BTreeMap<String, f32>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            objects: 0.36,
            sketches: 0.08,
            shapes: 0.07,
            counts: 0.07,
            words: 0.10,
            numbers: 0.02,
            pairs: 0.05,
            domains: 0.25,
            scattered: 0.0,
            arranged: 0.0,
            labelled: 0.0,
            plain_words: 0.0,
            varied_words: 0.0,
            outlined_words: 0.0,
            misnamed: 0.0,
            kinds: 0.0,
            known_objects: 0.5,
            places: 0.35,
            vague: 0.55,
            attributes: 0.33,
            named: BTreeMap::new(),
            domain_weights: BTreeMap::new(),
        }
    }
}

impl Recipe {
    /// No kind of picture but those that `change` gives a share.
    #[cfg(test)]
    pub(crate) fn only(change: fn(&mut Self)) -> Self {
        let mut recipe = Self {
            objects: 0.0,
            sketches: 0.0,
            shapes: 0.0,
            counts: 0.0,
            words: 0.0,
            numbers: 0.0,
            pairs: 0.0,
            domains: 0.0,
            ..Self::default()
        };
        change(&mut recipe);
        recipe
    }

    /// The shares of what is shown, in the order in which [`Corpus`](crate::Corpus) takes them.
    pub(crate) fn shares(&self) -> [f32; 15] {
        [
            self.objects,
            self.sketches,
            self.shapes,
            self.counts,
            self.words,
            self.numbers,
            self.pairs,
            self.domains,
            self.scattered,
            self.arranged,
            self.labelled,
            self.plain_words,
            self.varied_words,
            self.outlined_words,
            self.misnamed,
        ]
    }

    /// (vague, attributes) of one domain; the rest is named.
    pub(crate) fn captions_of(&self, domain: &str) -> (f32, f32) {
        match self.named.get(domain) {
            Some(named) if self.vague + self.attributes > 0.0 => {
                let scale = (1.0 - named) / (self.vague + self.attributes);
                (self.vague * scale, self.attributes * scale)
            }
            Some(named) => (1.0 - named, 0.0),
            None => (self.vague, self.attributes),
        }
    }

    /// # Errors
    /// If a share is not a number in [0, 1], the kinds or domain weights are all zero, or a
    /// domain does not exist.
    pub(crate) fn check(&self) -> Result<()> {
        const NAMES: [&str; 15] = [
            "objects",
            "sketches",
            "shapes",
            "counts",
            "words",
            "numbers",
            "pairs",
            "domains",
            "scattered",
            "arranged",
            "labelled",
            "plain_words",
            "varied_words",
            "outlined_words",
            "misnamed",
        ];
        let of_pictures = [
            ("kinds", self.kinds),
            ("known_objects", self.known_objects),
            ("places", self.places),
            ("vague", self.vague),
            ("attributes", self.attributes),
            ("vague + attributes", self.vague + self.attributes),
        ];
        for (key, value) in NAMES.into_iter().zip(self.shares()).chain(of_pictures) {
            share(key, value)?;
        }
        if self.shares().iter().sum::<f32>() <= 0.0 {
            return Err(wrong(
                "objects",
                self.objects,
                "give at least one kind a share above 0",
            ));
        }
        for (key, value) in &self.named {
            known_domain(key, *value)?;
            share(key, *value)?;
        }
        for (key, value) in &self.domain_weights {
            known_domain(key, *value)?;
            if !value.is_finite() || *value < 0.0 {
                return Err(wrong(
                    key,
                    *value,
                    "a weight must be a number of at least 0",
                ));
            }
        }
        if self.domains > 0.0 && self.weights().iter().sum::<f32>() <= 0.0 {
            return Err(wrong(
                "domain_weights",
                0.0,
                "give at least one domain a weight above 0",
            ));
        }
        Ok(())
    }

    /// The domains' weights, in their order.
    pub(crate) fn weights(&self) -> [f32; 9] {
        patching_domains().map(|d| self.domain_weights.get(d.name()).copied().unwrap_or(1.0))
    }
}

fn share(key: &str, value: f32) -> Result<()> {
    // The sum of two shares may exceed 1 by rounding alone.
    if (0.0..=1.0001).contains(&value) {
        Ok(())
    } else {
        Err(wrong(key, value, "a share must be a number from 0 to 1"))
    }
}

fn known_domain(name: &str, value: f32) -> Result<()> {
    if patching_domains().iter().any(|d| d.name() == name) {
        Ok(())
    } else {
        Err(wrong(name, value, "no patching task has this name"))
    }
}

fn wrong(key: &str, value: f32, message: &'static str) -> Error {
    Error::Recipe {
        key: key.to_owned(),
        value,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_share_of_one_domain_keeps_the_others_proportion() {
        let mut recipe = Recipe::default();
        recipe.named.insert("digits".to_owned(), 0.5);
        let (vague, attributes) = recipe.captions_of("digits");
        assert!((vague + attributes - 0.5).abs() < 1e-6);
        assert!((vague / attributes - 0.55 / 0.33).abs() < 1e-5);
        assert_eq!(recipe.captions_of("signs"), (0.55, 0.33));
        assert!(recipe.check().is_ok());
    }

    fn one(key: &str, value: f32) -> BTreeMap<String, f32> {
        BTreeMap::from([(key.to_owned(), value)])
    }

    #[test]
    fn bad_recipes_are_refused_by_key() {
        let check = |change: fn(&mut Recipe), key: &str| {
            let mut recipe = Recipe::default();
            change(&mut recipe);
            let message = recipe.check().unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        };
        check(|r| r.objects = f32::NAN, "objects = NaN");
        check(|r| r.words = -0.1, "words = -0.1");
        check(|r| r.vague = 0.9, "vague + attributes");
        check(|r| r.named = one("digitz", 0.1), "digitz");
        check(|r| r.domain_weights = one("flags", -1.0), "flags");
    }
}
