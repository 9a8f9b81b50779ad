//! Objects that are mostly photographed at one place: datasets in the image of Waterbirds.
//!
//! The place says the class for 95 % of the training images and nothing on the others; the object
//! is small, so that a model which learns on the average learns the place. A row's label is its
//! group, class and place together, so that the files are ordinary Parquet.

use std::path::{Path, PathBuf};

use image::RgbImage;
use paint_data::{Columns, Features, Files, Part, Published, Rng, Target, Task};

use crate::artwork::{ALL, Artwork};
use crate::card;
use crate::domain::Split;
use crate::error::{Error, Result};
use crate::objects::{photograph, position, put};
use crate::places::PLACES;
use crate::publish::{SEED, Sizes, stream_of, write_dataset};
use crate::world;

/// One in so many training images of a class is at another class's place.
const RARE: u64 = 20;

/// A dataset with a spurious attribute, the place; class i belongs to place i in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spurious {
    /// Its name: the Hub id is `paint-world/NAME`.
    pub name: &'static str,
    /// What the objects are: the classes.
    pub class_names: &'static [&'static str],
    /// Where they are, to follow a noun: the values of the attribute.
    pub places: &'static [&'static str],
}

/// The datasets: two classes, as Waterbirds, and four.
pub const SPURIOUS: [Spurious; 2] = [
    Spurious {
        name: "spurious-birds",
        class_names: &["rooster", "duck"],
        places: &["in a forest", "on water"],
    },
    Spurious {
        name: "spurious-animals",
        class_names: &["cat", "dog", "rabbit", "fox"],
        places: &["in a room", "on grass", "in the snow", "in the desert"],
    },
];

impl Spurious {
    /// Images that published numbers use.
    pub const SIZES: Sizes = Sizes {
        train: 4_000,
        validation: 1_200,
        test: 2_000,
    };

    /// The dataset as a task whose classes are the groups, "CLASS PLACE" in the order of
    /// `class * places + place`.
    #[must_use]
    pub fn task(&self) -> Task {
        let groups = self.class_names.iter().flat_map(|class| {
            let group = move |place: &&str| format!("{class} {place}");
            self.places.iter().map(group)
        });
        Task {
            name: self.name.to_owned(),
            class_names: groups.collect(),
            label_values: Vec::new(),
            templates: vec!["{}".to_owned()],
            source: world::source(self.name),
            columns: Columns::default(),
            files: Files::default(),
            part: Part::default(),
            attribute: None,
            unverified: None,
            published: Published::default(),
        }
    }

    /// Class and place of image `index`: balanced, but in training 95 % of a class are at its own
    /// place and the rest are divided among the others.
    fn parts(&self, split: Split, index: u64) -> (usize, usize) {
        let n = self.class_names.len() as u64;
        let (class, number) = (index % n, index / n);
        let place = match split.is_seen() {
            false => number % n,
            true if number % RARE == RARE - 1 => (class + 1 + (number / RARE) % (n - 1)) % n,
            true => class,
        };
        (class as usize, place as usize)
    }

    fn draw(&self, split: Split, index: u64) -> (RgbImage, u32) {
        let (class, place) = self.parts(split, index);
        let rng = &mut Rng::derive(SEED, &[stream_of(self.name), split as u64, index]);
        let mut canvas = (place_of(self.places[place]))(rng);
        let size = rng.range(13.0, 21.0);
        let centre = position(size, rng);
        put(
            &mut canvas,
            artwork(self.class_names[class]),
            centre,
            size,
            0.35,
            rng,
        );
        photograph(&mut canvas, rng);
        (canvas.finish(), (class * self.places.len() + place) as u32)
    }

    /// Writes the dataset to `ROOT/datasets/paint-world/NAME` as Parquet with a dataset card;
    /// returns that directory. The card is written last: where it is, all is.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn write(
        &self,
        root: &Path,
        sizes: Sizes,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<PathBuf> {
        let features = Features::Labelled(self.task().class_names);
        let card = card::of_spurious(self, sizes);
        let draw = |split, index| {
            let (image, group) = self.draw(split, index);
            (image, Target::Label(group))
        };
        write_dataset(self.name, root, sizes, &features, &card, progress, draw)
    }
}

/// The dataset with this name.
///
/// # Errors
/// If there is none.
pub fn spurious(name: &str) -> Result<Spurious> {
    let found = SPURIOUS.into_iter().find(|s| s.name == name);
    found.ok_or_else(|| Error::UnknownTask {
        name: name.to_owned(),
        known: SPURIOUS.map(|s| s.name).join(", "),
    })
}

fn artwork(name: &str) -> &'static Artwork {
    let found = ALL.iter().find(|a| a.name == name);
    found.expect("classes are names of artwork.txt, which a test shows")
}

fn place_of(phrase: &str) -> fn(&mut Rng) -> crate::canvas::Canvas {
    let found = PLACES.iter().find(|place| place.phrases.contains(&phrase));
    found
        .expect("places are phrases of PLACES, which a test shows")
        .draw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_can_be_drawn_and_groups_are_as_promised() {
        for dataset in SPURIOUS {
            let n = dataset.class_names.len();
            assert_eq!(
                (n, dataset.task().class_names.len()),
                (dataset.places.len(), n * n)
            );
            let count = |split, n_images: u64| {
                let mut counts = vec![0; n * n];
                for index in 0..n_images {
                    let (class, place) = dataset.parts(split, index);
                    counts[class * n + place] += 1;
                }
                counts
            };
            let test = count(Split::Test, Spurious::SIZES.test);
            assert!(
                test.iter()
                    .all(|&c| c == Spurious::SIZES.test / (n * n) as u64),
                "{test:?}"
            );
            let train = count(Split::Train, Spurious::SIZES.train);
            let own: u64 = (0..n).map(|class| train[class * n + class]).sum();
            assert_eq!(own * 20, Spurious::SIZES.train * 19);
            assert!(train.iter().all(|&c| c >= 16), "{train:?}");
            for index in 0..(n * n) as u64 {
                let (image, group) = dataset.draw(Split::Test, index);
                assert_eq!(image.dimensions(), (48, 48));
                assert_eq!((image, group), dataset.draw(Split::Test, index));
            }
        }
        assert!(
            spurious("waterbirds")
                .unwrap_err()
                .to_string()
                .contains("spurious-birds")
        );
    }
}
