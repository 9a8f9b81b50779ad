//! Confidence as agreement of a model with itself.

use crate::{Embeddings, Error, Result, error::check_size};

/// Of the classifiers that were asked, how many agree with the bare one, image by image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    agreeing: Vec<u32>,
    n_asked: u32,
}

impl Agreement {
    fn new(reference: &[u32]) -> Self {
        Self {
            agreeing: vec![0; reference.len()],
            n_asked: 0,
        }
    }

    fn count(&mut self, reference: &[u32], answers: &[u32]) {
        self.n_asked += 1;
        let pairs = reference.iter().zip(answers);
        for (agreeing, (reference, answer)) in self.agreeing.iter_mut().zip(pairs) {
            *agreeing += u32::from(reference == answer);
        }
    }

    /// The share that agrees, in [0, 1]: `[n]`.
    #[must_use]
    pub fn share(&self) -> Vec<f64> {
        let share = |&agreeing| f64::from(agreeing) / f64::from(self.n_asked);
        self.agreeing.iter().map(share).collect()
    }
}

/// A zero-shot model's text side: bare class names, and the same names in templates.
#[derive(Clone, Debug)]
pub struct SelfConsistency {
    bare: Embeddings,
    /// One classifier for each template.
    templates: Vec<Embeddings>,
    /// The first half of the templates, the second, and all, as ensembles.
    ensembles: [Embeddings; 3],
}

/// What self-consistency says of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Confidence {
    /// The bare classifier's prediction, to which everything refers: `[n]`.
    pub bare: Vec<u32>,
    /// Its largest cosine: max-logit, the usual confidence.
    pub bare_cosine: Vec<f32>,
    /// The prediction of all templates as an ensemble.
    pub prompted: Vec<u32>,
    /// Its largest cosine: max-logit with prompts, which is about *that* prediction.
    pub prompted_cosine: Vec<f32>,
    /// Agreement over the templates.
    pub text: Agreement,
    /// Agreement over the image's views; none if there were no views.
    pub views: Option<Agreement>,
    /// Whether the four text predictions (first half, second half, all, bare) are not all the same.
    pub text_differs: Vec<bool>,
    /// Whether the bare prediction for the first view, the mirrored image, is another one.
    pub view_differs: Vec<bool>,
}

impl SelfConsistency {
    /// `bare`: [classes, width], class names alone; `prompted`: [templates, classes, width].
    ///
    /// The halves of the discrete rule are the templates' first and second half, the first the
    /// smaller if their number is odd.
    ///
    /// # Errors
    /// If the sizes do not fit, there are fewer than two templates, or an embedding has no
    /// direction.
    pub fn new(bare: &[f32], prompted: &[f32], width: usize) -> Result<Self> {
        let classes = Embeddings::new("class", bare, width)?;
        let n_templates = prompted.len().div_ceil(bare.len());
        check_size(
            "values of prompted classes",
            n_templates * bare.len(),
            prompted.len(),
        )?;
        if n_templates < 2 {
            return Err(Error::Empty {
                what: "second template",
            });
        }
        let one = |template: &[f32]| Embeddings::new("class", template, width);
        let templates: Vec<Embeddings> = prompted
            .chunks_exact(bare.len())
            .map(one)
            .collect::<Result<_>>()?;
        let half = n_templates / 2;
        let ensembles = [&templates[..half], &templates[half..], &templates[..]];
        let [first, second, all] = ensembles.map(ensemble);
        Ok(Self {
            bare: classes,
            ensembles: [first?, second?, all?],
            templates,
        })
    }

    /// The classifier of bare names.
    #[must_use]
    pub fn bare(&self) -> &Embeddings {
        &self.bare
    }

    /// The classifier of all templates together.
    #[must_use]
    pub fn prompted(&self) -> &Embeddings {
        &self.ensembles[2]
    }

    /// Asks every classifier about the images, and the bare one about their views, each the same
    /// images in the same order; the first view is the left-right mirrored one, which alone
    /// decides the discrete rule.
    ///
    /// # Errors
    /// If the sizes do not fit.
    pub fn measure(&self, images: &Embeddings, views: &[Embeddings]) -> Result<Confidence> {
        let (bare, bare_cosine) = best(images, &self.bare)?;
        let mut text = Agreement::new(&bare);
        for template in &self.templates {
            text.count(&bare, &best(images, template)?.0);
        }
        let mut text_differs = vec![false; bare.len()];
        let [first, second, all] = &self.ensembles;
        let (prompted, prompted_cosine) = best(images, all)?;
        for half in [first, second] {
            mark_differences(&bare, &best(images, half)?.0, &mut text_differs);
        }
        mark_differences(&bare, &prompted, &mut text_differs);
        let mut over_views = Agreement::new(&bare);
        let mut view_differs = vec![false; bare.len()];
        for (i, view) in views.iter().enumerate() {
            check_size("images of a view", images.len(), view.len())?;
            let seen = best(view, &self.bare)?.0;
            over_views.count(&bare, &seen);
            if i == 0 {
                mark_differences(&bare, &seen, &mut view_differs);
            }
        }
        Ok(Confidence {
            bare,
            bare_cosine,
            prompted,
            prompted_cosine,
            text,
            views: (!views.is_empty()).then_some(over_views),
            text_differs,
            view_differs,
        })
    }
}

impl Confidence {
    /// The low-confidence set of the discrete rule, which has no threshold: images whose text
    /// predictions differ or whose mirrored image is another class.
    #[must_use]
    pub fn low(&self) -> Vec<bool> {
        let pairs = self.text_differs.iter().zip(&self.view_differs);
        pairs.map(|(text, view)| text | view).collect()
    }

    /// The low-confidence set of thresholds in [0, 1]: images whose agreement over templates, or
    /// over views, is not above them.
    #[must_use]
    pub fn low_at(&self, text_threshold: f64, view_threshold: f64) -> Vec<bool> {
        let text = self.text.share();
        let views = self.views.as_ref().map(Agreement::share);
        let low = |i: usize| {
            text[i] <= text_threshold || views.as_ref().is_some_and(|v| v[i] <= view_threshold)
        };
        (0..text.len()).map(low).collect()
    }

    /// One score to rank images by: the share of all that were asked, templates and views, which
    /// agree; where it is equal, the larger bare cosine is surer. Below 1 + 1/asked.
    #[must_use]
    pub fn score(&self) -> Vec<f64> {
        let asked = self.text.n_asked + self.views.as_ref().map_or(0, |v| v.n_asked);
        let score = |i: usize| {
            let agreeing = self.text.agreeing[i] + self.views.as_ref().map_or(0, |v| v.agreeing[i]);
            // In [0, 1), less than one more that agrees.
            let cosine = (0.5 + 0.499 * f64::from(self.bare_cosine[i])).clamp(0.0, 0.9999);
            (f64::from(agreeing) + cosine) / f64::from(asked)
        };
        (0..self.bare.len()).map(score).collect()
    }

    /// Appends the next images, measured by the same classifiers on as many views.
    ///
    /// # Errors
    /// [`Error::Size`] if other numbers of classifiers were asked.
    pub fn append(&mut self, next: Self) -> Result<()> {
        let asked = |c: &Self| c.views.as_ref().map_or(0, |v| v.n_asked) as usize;
        check_size("views", asked(self), asked(&next))?;
        check_size(
            "templates",
            self.text.n_asked as usize,
            next.text.n_asked as usize,
        )?;
        self.bare.extend(next.bare);
        self.bare_cosine.extend(next.bare_cosine);
        self.prompted.extend(next.prompted);
        self.prompted_cosine.extend(next.prompted_cosine);
        self.text.agreeing.extend(next.text.agreeing);
        if let (Some(mine), Some(next)) = (&mut self.views, next.views) {
            mine.agreeing.extend(next.agreeing);
        }
        self.text_differs.extend(next.text_differs);
        self.view_differs.extend(next.view_differs);
        Ok(())
    }
}

fn ensemble(templates: &[Embeddings]) -> Result<Embeddings> {
    let width = templates[0].width();
    let by_class: Vec<f32> = (0..templates[0].len())
        .flat_map(|class| templates.iter().flat_map(move |t| t.row(class)).copied())
        .collect();
    Embeddings::ensemble("class", &by_class, templates.len(), width)
}

/// The best class and its cosine, image by image.
fn best(images: &Embeddings, classes: &Embeddings) -> Result<(Vec<u32>, Vec<f32>)> {
    let (ranked, cosines) = images.nearest(classes)?;
    let width = ranked.len() / images.len();
    Ok((
        ranked.into_iter().step_by(width).collect(),
        cosines.into_iter().step_by(width).collect(),
    ))
}

fn mark_differences(reference: &[u32], answers: &[u32], differs: &mut [bool]) {
    let pairs = reference.iter().zip(answers);
    for (differs, (reference, answer)) in differs.iter_mut().zip(pairs) {
        *differs |= reference != answer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes on the axes; four templates, of which the third swaps the classes.
    fn model() -> SelfConsistency {
        let (same, swapped) = ([2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]);
        SelfConsistency::new(&same, &[same, same, swapped, same].concat(), 2).unwrap()
    }

    #[test]
    fn agreement_by_hand() {
        let images = Embeddings::new("image", &[1.0, 0.1, 0.0, 3.0], 2).unwrap();
        let mirrored = Embeddings::new("image", &[0.1, 1.0, 0.0, 3.0], 2).unwrap();
        let turned = Embeddings::new("image", &[1.0, 0.0, 0.2, 0.1], 2).unwrap();
        let found = model().measure(&images, &[mirrored, turned]).unwrap();
        assert_eq!(found.bare, [0, 1]);
        assert_eq!(found.text.share(), [0.75, 0.75]);
        assert_eq!(found.views.as_ref().unwrap().share(), [0.5, 0.5]);
        // Only the first view, the mirrored image, decides.
        assert_eq!(found.view_differs, [true, false]);
        // The second half is one swapped and one straight template: a tie, which is class 0.
        assert_eq!(found.text_differs, [false, true]);
        assert_eq!(found.low(), [true, true]);
        assert_eq!(found.low_at(0.75, 0.4), [true, true]);
        assert_eq!(found.low_at(0.74, 0.4), [false, false]);
        assert_eq!(found.low_at(0.74, 0.5), [true, true]);
        // Four of six agree with both; the second image's cosine is larger.
        let score = found.score();
        assert!(
            score[1] > score[0] && score[0] > 4.0 / 6.0 && score[1] < 5.0 / 6.0,
            "{score:?}"
        );
    }

    #[test]
    fn all_agreeing_leaves_nothing_in_doubt() {
        let same = [1.0, 0.0, 0.0, 1.0];
        let model = SelfConsistency::new(&same, &[same, same, same].concat(), 2).unwrap();
        let images = Embeddings::new("image", &[1.0, 0.1, 0.2, 0.3], 2).unwrap();
        let found = model
            .measure(&images, std::slice::from_ref(&images))
            .unwrap();
        assert_eq!(found.text.share(), [1.0, 1.0]);
        assert_eq!(found.low(), [false, false]);
        assert_eq!(found.bare, found.prompted);
    }

    #[test]
    fn batches_append_to_the_whole() {
        let values = [1.0, 0.1, 0.0, 3.0, -1.0, 0.2, 0.5, 0.6];
        let model = model();
        let part = |range: std::ops::Range<usize>| {
            let images = Embeddings::new("image", &values[range], 2).unwrap();
            model
                .measure(&images, std::slice::from_ref(&images))
                .unwrap()
        };
        let mut joined = part(0..4);
        joined.append(part(4..8)).unwrap();
        assert_eq!(joined, part(0..8));
        let images = Embeddings::new("image", &values, 2).unwrap();
        assert!(joined.append(model.measure(&images, &[]).unwrap()).is_err());
    }

    #[test]
    fn bad_sizes_are_refused() {
        let same = [1.0, 0.0, 0.0, 1.0];
        assert!(SelfConsistency::new(&same, &same, 2).is_err());
        assert!(SelfConsistency::new(&same, &[same, same].concat()[..6], 2).is_err());
        let images = Embeddings::new("image", &[1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let fewer = Embeddings::new("image", &[1.0, 0.0], 2).unwrap();
        let wide = Embeddings::new("image", &[1.0, 0.0, 0.0, 1.0], 4).unwrap();
        assert!(model().measure(&images, &[fewer]).is_err());
        assert!(model().measure(&wide, &[]).is_err());
    }
}
