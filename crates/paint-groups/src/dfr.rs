//! Last-layer retraining on group-balanced data: the oracle for "the features suffice".

use paint_data::Rng;

use crate::{
    Classifier, Error, GroupMetrics, GroupedSamples, Result,
    descent::BALANCE,
    error::check_setting,
    logistic::{Weights, fit},
};

/// Settings of [`dfr`]; the defaults are the paper's.
#[derive(Clone, Debug, PartialEq)]
pub struct DfrConfig {
    /// Inverse strengths of the ℓ1 penalty to choose from, as scikit-learn's `C`.
    pub strengths: Vec<f64>,
    /// Balanced subsets whose solutions are averaged in the end.
    pub n_refits: usize,
    /// Seed of the balanced subsets.
    pub seed: u64,
}

impl Default for DfrConfig {
    fn default() -> Self {
        Self {
            strengths: vec![1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01],
            n_refits: 20,
            seed: 0,
        }
    }
}

/// A retrained last layer.
#[derive(Clone, Debug)]
pub struct Dfr {
    /// The block of the base with the new head.
    pub classifier: Classifier,
    /// The inverse strength that the worst group on the other half chose.
    pub strength: f64,
    /// Samples of each group in a balanced subset.
    pub n_per_group: usize,
}

/// Deep feature reweighting: ℓ1 logistic regression on the base's embeddings of held-out data
/// **with group labels**, every group cut down to the smallest.
///
/// One half of the data chooses the strength by worst-group accuracy on the other; the solutions on
/// balanced subsets of all of it are averaged. Features are scaled by their mean and deviation
/// there. Source: Kirichenko et al. 2022, "Last layer re-training is sufficient for robustness to
/// spurious correlations".
///
/// # Errors
/// If a group has fewer than two samples, sizes do not fit, or a setting is out of range.
pub fn dfr(base: &Classifier, held_out: &GroupedSamples<'_>, config: &DfrConfig) -> Result<Dfr> {
    base.check(held_out.samples())?;
    if config.strengths.is_empty() {
        return Err(Error::Empty { what: "strengths" });
    }
    let refits = config.n_refits;
    check_setting("n_refits", refits as f64, refits > 0, "must be at least 1")?;
    for &strength in &config.strengths {
        check_setting("strength", strength, strength > 0.0, "must be above 0")?;
    }
    let strength = choose_strength(base, held_out, config)?;
    let problem = Problem::new(base, held_out)?;
    let mut sum = vec![0.0; base.n_classes() * (base.width + 1)];
    let mut weights = None;
    for refit in 0..refits {
        let rows = problem.balanced(config.seed, 1 + refit as u64);
        let found = problem.fit(&rows, strength, weights.take());
        sum.iter_mut()
            .zip(&found)
            .for_each(|(sum, w)| *sum += w / refits as f32);
        // The next subset is similar, so its solution is near.
        weights = Some(found);
    }
    Ok(Dfr {
        classifier: problem.classifier(&sum),
        strength,
        n_per_group: problem.n_per_group(),
    })
}

fn choose_strength(
    base: &Classifier,
    held_out: &GroupedSamples<'_>,
    config: &DfrConfig,
) -> Result<f64> {
    let (tune, judge) = halves(held_out, config.seed)?;
    let problem = Problem::new(base, &tune)?;
    let rows = problem.balanced(config.seed, 0);
    let unit = base.embed(judge.samples())?;
    let (mut weights, mut best) = (None, (f64::NEG_INFINITY, config.strengths[0]));
    for &strength in &config.strengths {
        let found = problem.fit(&rows, strength, weights.take());
        let predicted = problem.classifier(&found).classes(&unit);
        let worst = GroupMetrics::new(&predicted, judge.groups())?
            .worst()
            .1
            .value;
        if worst > best.0 {
            best = (worst, strength);
        }
        weights = Some(found);
    }
    Ok(best.1)
}

/// Two halves with half of every group each.
fn halves(
    all: &GroupedSamples<'_>,
    seed: u64,
) -> Result<(GroupedSamples<'static>, GroupedSamples<'static>)> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (group, mut rows) in all.groups().rows("DFR")?.into_iter().enumerate() {
        if rows.len() < 2 {
            return Err(all.groups().empty(group, " for one of two halves", "DFR"));
        }
        Rng::derive(seed, &[BALANCE, u64::MAX, group as u64]).shuffle(&mut rows);
        let (a, b) = rows.split_at(rows.len() / 2);
        first.extend_from_slice(a);
        second.extend_from_slice(b);
    }
    first.sort_unstable();
    second.sort_unstable();
    Ok((all.subset(&first)?, all.subset(&second)?))
}

/// Scaled features with labels, and the rows of each group.
struct Problem<'a> {
    base: &'a Classifier,
    features: Vec<f32>,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    labels: Vec<usize>,
    groups: Vec<Vec<usize>>,
}

impl<'a> Problem<'a> {
    fn new(base: &'a Classifier, data: &GroupedSamples<'_>) -> Result<Self> {
        let groups = data.groups().rows("DFR")?;
        let mut features = base.embed(data.samples())?;
        let (mean, deviation) = moments(&features, base.width);
        for row in features.chunks_exact_mut(base.width) {
            for ((x, mean), deviation) in row.iter_mut().zip(&mean).zip(&deviation) {
                *x = (*x - mean) / deviation;
            }
        }
        let labels = data
            .samples()
            .labels()
            .iter()
            .map(|&l| l as usize)
            .collect();
        Ok(Self {
            base,
            features,
            mean,
            deviation,
            labels,
            groups,
        })
    }

    fn n_per_group(&self) -> usize {
        self.groups.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// As many rows of every group as the smallest has, drawn without replacement.
    fn balanced(&self, seed: u64, draw: u64) -> Vec<usize> {
        let mut rng = Rng::derive(seed, &[BALANCE, draw]);
        let mut rows = Vec::new();
        for group in &self.groups {
            let mut group = group.clone();
            rng.shuffle(&mut group);
            rows.extend_from_slice(&group[..self.n_per_group()]);
        }
        rows
    }

    fn fit(&self, rows: &[usize], strength: f64, start: Option<Weights>) -> Weights {
        let width = self.base.width;
        let mut features = Vec::with_capacity(rows.len() * width);
        for &row in rows {
            features.extend_from_slice(&self.features[row * width..][..width]);
        }
        let labels: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
        // scikit-learn minimises Σ|w| + C Σ loss; here the mean loss has weight 1.
        let penalty = (1.0 / (strength * rows.len() as f64)) as f32;
        fit(
            &features,
            width,
            &labels,
            self.base.n_classes(),
            penalty,
            start,
        )
    }

    /// The scaling goes into the head.
    fn classifier(&self, weights: &[f32]) -> Classifier {
        let width = self.base.width;
        let (mut head, mut bias) = (Vec::new(), Vec::new());
        for row in weights.chunks_exact(width + 1) {
            let scaled = row
                .iter()
                .zip(&self.deviation)
                .map(|(w, deviation)| w / deviation);
            let scaled: Vec<f32> = scaled.collect();
            let shift: f32 = scaled
                .iter()
                .zip(&self.mean)
                .map(|(w, mean)| w * mean)
                .sum();
            bias.push(row[width] - shift);
            head.extend(scaled);
        }
        self.base.with_head(head, bias)
    }
}

/// Mean and standard deviation of every column; 1 for a column that does not vary.
fn moments(features: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let n = (features.len() / width) as f64;
    let column = |j: usize| {
        features
            .iter()
            .skip(j)
            .step_by(width)
            .map(|&x| f64::from(x))
    };
    let mut moments = (Vec::with_capacity(width), Vec::with_capacity(width));
    for j in 0..width {
        let mean = column(j).sum::<f64>() / n;
        let deviation = (column(j).map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        moments.0.push(mean as f32);
        moments.1.push(if deviation > 1e-8 {
            deviation as f32
        } else {
            1.0
        });
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, Groups, Samples, classifier::tests::random};

    #[test]
    fn subsets_are_balanced_and_halves_have_every_group() {
        let labels: Vec<u32> = (0..30).map(|i| u32::from(i >= 20)).collect();
        let places: Vec<u32> = (0..30).map(|i| u32::from(i % 5 == 0)).collect();
        let attribute = Attribute {
            name: "place",
            values: &places,
            n_values: 2,
        };
        let groups = Groups::new(&labels, 2, attribute).unwrap();
        assert_eq!(groups.counts(), [16, 4, 8, 2]);
        let values = random(30 * 3, 1);
        let samples = Samples::new(&values, 3, &labels, 2).unwrap();
        let all = GroupedSamples::new(samples, &groups).unwrap();
        let base = Classifier::zero_shot(&random(6, 2), 3).unwrap();
        let problem = Problem::new(&base, &all).unwrap();
        let rows = problem.balanced(0, 1);
        let mut counts = [0; 4];
        rows.iter()
            .for_each(|&row| counts[groups.of_sample()[row] as usize] += 1);
        assert_eq!((counts, problem.n_per_group()), ([2; 4], 2));
        assert_ne!(rows, problem.balanced(0, 2));
        let (a, b) = halves(&all, 0).unwrap();
        assert_eq!(a.groups().counts(), [8, 2, 4, 1]);
        assert_eq!(b.groups().counts(), [8, 2, 4, 1]);
    }

    #[test]
    fn scaling_goes_into_the_head() {
        let base = Classifier::zero_shot(&random(6, 2), 3).unwrap();
        let labels = [0, 1, 0, 1];
        let attribute = Attribute {
            name: "place",
            values: &[0, 0, 1, 1],
            n_values: 2,
        };
        let groups = Groups::new(&labels, 2, attribute).unwrap();
        let values = random(12, 1);
        let samples = Samples::new(&values, 3, &labels, 2).unwrap();
        let all = GroupedSamples::new(samples.clone(), &groups).unwrap();
        let problem = Problem::new(&base, &all).unwrap();
        let weights = random(8, 3);
        let logits = problem.classifier(&weights);
        let logits = logits.logits(&base.embed(&samples).unwrap());
        for (row, features) in problem.features.chunks_exact(3).enumerate() {
            for class in 0..2 {
                let w = &weights[class * 4..][..4];
                let expected: f32 = features.iter().zip(w).map(|(x, w)| x * w).sum::<f32>() + w[3];
                assert!((logits[row * 2 + class] - expected).abs() < 1e-4);
            }
        }
    }
}
