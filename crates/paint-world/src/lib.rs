//! An embedded captioned image world with its tasks and small pretrained checkpoints.
//!
//! A small benchmark that needs no download. All images are 48 x 48 pixels and drawn here: Twemoji
//! artwork, embedded typefaces, procedural textures, shapes, places and clutter.
//!
//! * [`Corpus`] is an endless stream of pictures with captions over more than a thousand
//!   concepts; its [`Recipe`] says what share shows what.
//! * [`tasks`] lists three supported tasks, which a model pretrained on the corpus can do, and nine
//!   patching tasks, whose images the corpus shows rarely and mostly does not name.
//! * [`SPURIOUS`] lists datasets whose objects are mostly at one place, for group robustness.
//! * [`write_attacked`] writes the name of a wrong class on the images of any task, [`write_counting`]
//!   scenes to be counted, [`write_questions`] images with multiple-choice questions: the case
//!   studies of the paper.
//! * [`write_task`] and [`write_captions`] write ordinary Parquet in the Hub's layout, with a
//!   dataset card, so that there is one loading path for all data.
//! * [`write_tokenizer`] writes the tokenizer and preprocessing files of a checkpoint that is
//!   trained on the corpus.
//!
//! Everything is determined by seeds, for any number of threads. Training, validation and test
//! differ in their seeds and in their factors (typefaces, backgrounds, styles, colours): see
//! [`Split`]. The crate knows nothing of models or training.
//!
//! Artwork: [Twemoji](https://github.com/jdecked/twemoji), copyright Twitter, Inc. and other
//! contributors, CC-BY 4.0. The tasks mirror those of Ilharco et al. 2022, "Patching
//! open-vocabulary models by interpolating weights".
//!
//! ```
//! use paint_world::{Corpus, Recipe, Sizes, Split, picture, write_task};
//!
//! let corpus = Corpus::new(Recipe::default(), 1)?;
//! let item = corpus.get(2);
//! assert_eq!((item.image.dimensions(), item.caption.is_empty()), ((48, 48), false));
//!
//! let (image, label) = picture("digits", Split::Test, 7)?;
//! assert_eq!((image.dimensions(), label), ((48, 48), 7));
//!
//! let root = tempfile::tempdir()?;
//! let sizes = Sizes { train: 20, validation: 10, test: 10 };
//! let directory = write_task("digits", root.path(), sizes, &|_| ())?;
//! assert!(directory.join("data/test-00000-of-00001.parquet").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artwork;
mod attacked;
mod backgrounds;
mod canvas;
mod captions;
mod card;
mod checkpoint;
mod colour;
mod counting;
mod domain;
mod english;
mod error;
mod fonts;
mod kinds;
mod label;
mod objects;
mod places;
mod publish;
mod questions;
mod recipe;
mod shapes;
mod sketches;
mod sprites;
mod spurious;
mod tasks;
mod tokenizer;
mod typographic;
mod vocabulary;
mod world;

pub use attacked::{
    TYPOGRAPHIC_SIZES, Typographic, write_attacked, write_typographic, written_classes,
    wrong_classes,
};
pub use captions::{ALBUM, Captioned, Corpus};
pub use checkpoint::{Checkpoint, checkpoints};
pub use counting::{
    BETWEEN_COUNTS, BEYOND_COUNTS, COUNTING_SIZES, COUNTS, SEEN_COUNTS, counting_task,
    write_counting,
};
pub use domain::Split;
pub use error::{Error, Result};
pub use label::label;
pub use objects::OBJECTS_HIERARCHY;
pub use publish::{Sizes, picture, write_captions, write_task};
pub use questions::{QUESTION_KINDS, QUESTION_SIZES, questions_task, write_questions};
pub use recipe::Recipe;
pub use spurious::{SPURIOUS, Spurious, spurious};
pub use tokenizer::{CONTEXT_LENGTH, VOCABULARY_SIZE, write_tokenizer};
pub use typographic::attack;
pub use world::{Role, VERSION, WorldTask, captions_task, tasks};
