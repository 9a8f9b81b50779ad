//! The five best classes in the order of their phrases.

use paint_eval::TOP;
use rayon::prelude::*;

use crate::{Embeddings, Phrases, Result, embeddings::dot, error::check_size};

/// A zero-shot classifier with the phrases of a hierarchy beside it.
#[derive(Clone, Debug)]
pub struct Reranker<'a> {
    classes: &'a Embeddings,
    phrases: &'a Phrases,
    embedded: &'a Embeddings,
}

impl<'a> Reranker<'a> {
    /// `classes` is the classifier whose best five are looked at again: bare names or a prompt
    /// ensemble; `embedded` are the phrases' texts, in the same way.
    ///
    /// # Errors
    /// If the sizes do not fit.
    pub fn new(
        classes: &'a Embeddings,
        phrases: &'a Phrases,
        embedded: &'a Embeddings,
    ) -> Result<Self> {
        check_size("classes of the phrases", classes.len(), phrases.n_classes())?;
        check_size("embedded phrases", phrases.texts().len(), embedded.len())?;
        check_size("width of the phrases", classes.width(), embedded.width())?;
        Ok(Self {
            classes,
            phrases,
            embedded,
        })
    }

    /// The best [`TOP`] classes of the classifier: [n, min([`TOP`], classes)], best first.
    ///
    /// # Errors
    /// If the sizes do not fit.
    pub fn base(&self, images: &Embeddings) -> Result<Vec<u32>> {
        Ok(images.nearest(self.classes)?.0)
    }

    /// As [`Reranker::base`], and for the images that `low` (`[n]`) marks, the five in the order of
    /// their best phrase: a child that wins counts for its class. Of equal ones the order stays.
    ///
    /// A class without parents and children keeps the classifier's own cosine, so that without a
    /// hierarchy nothing changes. Memory is that of the batch: [n, classes] cosines; the phrases
    /// are only compared with the images that need them.
    ///
    /// # Errors
    /// If the sizes do not fit.
    pub fn rerank(&self, images: &Embeddings, low: &[bool]) -> Result<Vec<u32>> {
        check_size("low-confidence marks of images", images.len(), low.len())?;
        let (mut ranked, cosines) = images.nearest(self.classes)?;
        let width = self.classes.len().min(TOP);
        ranked
            .par_chunks_exact_mut(width)
            .zip(cosines.par_chunks_exact(width))
            .enumerate()
            .filter(|(image, _)| low[*image])
            .for_each(|(image, (ranked, cosines))| {
                self.reorder(images.row(image), ranked, cosines);
            });
        Ok(ranked)
    }

    fn reorder(&self, image: &[f32], ranked: &mut [u32], cosines: &[f32]) {
        let score = |(&class, &cosine): (&u32, &f32)| {
            let class = class as usize;
            if self.phrases.is_plain(class) {
                return (class as u32, cosine);
            }
            let texts = self.phrases.ranges()[class].clone();
            let best = texts
                .map(|text| dot(image, self.embedded.row(text)))
                .fold(f32::NEG_INFINITY, f32::max);
            (class as u32, best)
        };
        let mut scored: Vec<(u32, f32)> = ranked.iter().zip(cosines).map(score).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (place, (class, _)) in ranked.iter_mut().zip(scored) {
            *place = class;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Augmentation, Sparse, parse_toml_tree};

    fn phrases(tree: &str, synsets: &[Option<&str>], names: &[&str]) -> Phrases {
        let hierarchy = parse_toml_tree(tree, "test").unwrap();
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let synsets: Vec<_> = synsets.iter().map(|id| id.map(str::to_owned)).collect();
        Phrases::new(
            &Sparse::all(&hierarchy),
            &names,
            &synsets,
            Augmentation::default(),
        )
        .unwrap()
    }

    /// An image between two classes goes to the one whose child it is.
    #[test]
    fn a_child_wins_for_its_class() {
        let phrases = phrases(
            "[dog]\n[cat]\ntabby = []",
            &[Some("dog"), Some("cat")],
            &["dog", "cat"],
        );
        assert_eq!(phrases.texts(), ["dog", "cat", "tabby"]);
        let classes = Embeddings::new("class", &[1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let embedded = Embeddings::new("text", &[1.0, 0.0, 0.0, 1.0, 1.0, 0.9], 2).unwrap();
        let reranker = Reranker::new(&classes, &phrases, &embedded).unwrap();
        let images = Embeddings::new("image", &[1.0, 0.9, 1.0, 0.9, 1.0, 0.0], 2).unwrap();
        assert_eq!(reranker.base(&images).unwrap(), [0, 1, 0, 1, 0, 1]);
        // Only where asked; and the last image is a dog all the same.
        let found = reranker.rerank(&images, &[true, false, true]).unwrap();
        assert_eq!(found, [1, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn without_a_hierarchy_nothing_changes() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let phrases = phrases("", &[None; 7], &names);
        let values: Vec<f32> = (0..7 * 33).map(|i| ((i * 37 % 101) as f32).sin()).collect();
        let classes = Embeddings::new("class", &values, 33).unwrap();
        let reranker = Reranker::new(&classes, &phrases, &classes).unwrap();
        let images: Vec<f32> = (0..20 * 33)
            .map(|i| ((i * 53 % 211) as f32).cos())
            .collect();
        let images = Embeddings::new("image", &images, 33).unwrap();
        let base = reranker.base(&images).unwrap();
        assert_eq!(reranker.rerank(&images, &[true; 20]).unwrap(), base);
    }

    #[test]
    fn only_five_candidates_are_looked_at() {
        // Class 5 is sixth; its child is the image itself.
        let phrases = phrases(
            "[f]\nchild = []",
            &[None, None, None, None, None, Some("f")],
            &["a", "b", "c", "d", "e", "f"],
        );
        let class = |i: usize| [1.0, 0.1 * i as f32];
        let classes: Vec<f32> = (0..6).flat_map(class).collect();
        let mut texts = classes.clone();
        texts.extend([1.0, 0.0]);
        let classes = Embeddings::new("class", &classes, 2).unwrap();
        let texts = Embeddings::new("text", &texts, 2).unwrap();
        let reranker = Reranker::new(&classes, &phrases, &texts).unwrap();
        let image = Embeddings::new("image", &[1.0, 0.0], 2).unwrap();
        assert_eq!(reranker.rerank(&image, &[true]).unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn sizes_must_fit() {
        let phrases = phrases("", &[None, None], &["a", "b"]);
        let two = Embeddings::new("class", &[1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let three = Embeddings::new("class", &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], 2).unwrap();
        assert!(Reranker::new(&three, &phrases, &two).is_err());
        assert!(Reranker::new(&two, &phrases, &three).is_err());
        let reranker = Reranker::new(&two, &phrases, &two).unwrap();
        assert!(reranker.rerank(&three, &[true]).is_err());
    }
}
