//! When a zero-shot prediction is unreliable, and re-ranking it with a label hierarchy.
//!
//! A model that names an image differently under other prompts, or when the image is mirrored, is
//! unsure, and more reliably so than a low logit says: [`SelfConsistency`] measures it, without
//! labels or training. For such images the five best classes are compared once more, each by what
//! it is a kind of and what is a kind of it: a [`Hierarchy`] (WordNet's files, is-a files, or a
//! TOML tree) gives [`Phrases`], and a [`Reranker`] the new order.
//!
//! Works on embeddings alone, a batch of images at a time; knows no model and no images. Accuracy,
//! AUROC and selective prediction are [`paint_eval`]'s.
//!
//! Source: Ge et al. 2023, "Improving zero-shot generalization and robustness of multi-modal
//! models". Unlike its public code, every image is normalised by itself, a class's parents do not
//! depend on the order of lines, and two classes never share a synset.
//!
//! ```
//! use paint_hierarchy::*;
//!
//! let hierarchy = parse_toml_tree("[cat]\ntabby = []\n[dog]", "pets.toml")?;
//! let names = ["dog", "cat"].map(str::to_owned);
//! let ids = names.clone().map(Some);
//! let phrases = Phrases::new(&Sparse::all(&hierarchy), &names, &ids, Augmentation::default())?;
//! assert_eq!(phrases.texts(), ["dog", "cat", "tabby"]);
//!
//! // Bare names, two templates, the three phrases, and one image, all of width 2.
//! let bare = [1.0, 0.0, 0.0, 1.0];
//! let prompted = [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]].concat();
//! let embedded = Embeddings::new("phrase", &[1.0, 0.0, 0.0, 1.0, 1.0, 0.9], 2)?;
//! let images = Embeddings::new("image", &[1.0, 0.9], 2)?;
//!
//! let model = SelfConsistency::new(&bare, &prompted, 2)?;
//! let confidence = model.measure(&images, &[])?;
//! assert_eq!((confidence.bare[0], confidence.low()[0]), (0, true));
//! let reranker = Reranker::new(model.bare(), &phrases, &embedded)?;
//! assert_eq!(reranker.rerank(&images, &confidence.low())?, [1, 0]);
//! # Ok::<(), Error>(())
//! ```

mod hierarchy;
mod is_a;
mod sparse;
mod toml_tree;
mod wordnet;

mod phrases;

mod confidence;
mod embeddings;
mod report;
mod rerank;

mod error;

pub use confidence::{Agreement, Confidence, SelfConsistency};
pub use embeddings::Embeddings;
pub use error::{Error, Result};
pub use hierarchy::Hierarchy;
pub use is_a::read_is_a;
pub use phrases::{Augmentation, Phrases};
pub use report::{Change, RerankReport, by_number_of_children};
pub use rerank::Reranker;
pub use sparse::{ABSTRACT, Sparse, norm_variance};
pub use toml_tree::{parse_toml_tree, read_toml_tree};
pub use wordnet::WordNet;
