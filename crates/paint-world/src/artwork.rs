//! The things of the world: which artwork shows what, by its English name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tiny_skia::Pixmap;

use crate::sprites;

/// One picture of the Twemoji artwork and what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Artwork {
    /// The emoji, which is the artwork's key.
    pub(crate) emoji: &'static str,
    /// A noun phrase without article, e.g. "pine tree".
    pub(crate) name: &'static str,
}

impl Artwork {
    /// The picture, with empty borders cut off.
    pub(crate) fn sprite(&self) -> &'static Pixmap {
        sprites::sprite(self.emoji).expect("every line of artwork.txt is in Twemoji")
    }
}

/// Everything that pretraining shows, about 1,270 concepts; each name occurs once.
pub(crate) static ALL: LazyLock<Vec<Artwork>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (emoji, name) = line
            .split_once('\t')
            .expect("artwork.txt: EMOJI, tab, NAME");
        Artwork { emoji, name }
    };
    include_str!("artwork.txt").lines().map(line).collect()
});

/// The classes of the task `objects`, chosen so that people tell them apart at 48 pixels.
pub(crate) static OBJECTS: LazyLock<Vec<Artwork>> =
    LazyLock::new(|| named(include_str!("objects.txt")));

/// The classes of the task `sketches`: objects that are known by their outline.
pub(crate) static SKETCHED: LazyLock<Vec<Artwork>> =
    LazyLock::new(|| named(include_str!("sketches.txt")));

/// The artworks with these names, one a line.
fn named(names: &str) -> Vec<Artwork> {
    let by_name: BTreeMap<_, _> = ALL.iter().map(|a| (a.name, *a)).collect();
    names
        .lines()
        .map(|name| *by_name.get(name).expect("a name of artwork.txt"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_artwork_exists_once() {
        assert!(ALL.len() > 1000, "{}", ALL.len());
        assert!(OBJECTS.len() >= 150, "{}", OBJECTS.len());
        assert!(SKETCHED.len() >= 60, "{}", SKETCHED.len());
        let distinct =
            |list: &[Artwork]| list.iter().map(|a| a.name).collect::<BTreeSet<_>>().len();
        for list in [&*ALL, &*OBJECTS, &*SKETCHED] {
            assert_eq!(distinct(list), list.len());
        }
        for artwork in ALL.iter() {
            let sprite = sprites::sprite(artwork.emoji);
            assert!(
                sprite.is_some_and(|s| s.width() > 4 && s.height() > 4),
                "{artwork:?}"
            );
        }
    }
}
