//! An embedded captioned image world with its tasks and small pretrained checkpoints.

mod artwork;
mod backgrounds;
mod canvas;
mod captions;
mod card;
mod colour;
mod domain;
mod english;
mod error;
mod fonts;
mod objects;
mod places;
mod publish;
mod recipe;
mod shapes;
mod sketches;
mod sprites;
mod tasks;
mod tokenizer;
mod vocabulary;
mod world;

pub use captions::{Captioned, Corpus};
pub use domain::Split;
pub use error::{Error, Result};
pub use publish::{Sizes, picture, write_captions, write_task};
pub use recipe::Recipe;
pub use tokenizer::{CONTEXT_LENGTH, VOCABULARY_SIZE, write_tokenizer};
pub use world::{Role, WorldTask, tasks};
