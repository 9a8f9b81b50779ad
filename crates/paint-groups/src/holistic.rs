//! Terms on whole batches, so that fitting the few anchors does not spoil the rest.

use paint_data::Rng;
use paint_nn::{exp, lane_max, lane_sum, times, times_transposed, vectorized};

use crate::{
    assignment::assign,
    classifier::{Loss, normalize_rows},
    contrastive::dot,
};

/// The cosine form: same-class cosines wanted large, others small.
///
/// Per sample `−(1/B) Σ_{same} cos + (1/B) Σ_{other} cos`, itself included, averaged over the
/// batch. `unit`: [n, width].
pub(crate) fn cosine(unit: &[f32], labels: &[usize], width: usize, n_classes: usize) -> Loss {
    let n = labels.len() as f32;
    let mut of_class = vec![0.0; n_classes * width];
    let mut total = vec![0.0; width];
    for (row, &label) in unit.chunks_exact(width).zip(labels) {
        let sum = &mut of_class[label * width..][..width];
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        total.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    let mut value = 0.0;
    let mut gradient = Vec::with_capacity(unit.len());
    for (row, &label) in unit.chunks_exact(width).zip(labels) {
        let own = &of_class[label * width..][..width];
        let signed = total.iter().zip(own).map(|(total, own)| total - 2.0 * own);
        let start = gradient.len();
        gradient.extend(signed.map(|x| 2.0 * x / (n * n)));
        value += 0.5 * f64::from(dot(&gradient[start..], row));
    }
    Loss {
        value,
        unit: gradient,
        log_scale: 0.0,
    }
}

/// Settings of the targeted form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targeted {
    /// Past embeddings that a sample is compared with.
    pub queue: usize,
    /// Temperature of the comparison.
    pub temperature: f32,
    /// Weight of the targets' term.
    pub target_weight: f32,
    /// How much of a class's old mean stays when a batch is seen.
    pub centroid_decay: f32,
}

impl Default for Targeted {
    fn default() -> Self {
        Self {
            queue: 1_280,
            temperature: 0.07,
            target_weight: 0.2,
            centroid_decay: 0.9,
        }
    }
}

/// The targeted supervised contrastive form: classes are drawn to fixed targets that lie evenly on
/// the sphere, and samples to those of their class among the latest.
///
/// Source: Li et al. 2022, "Targeted supervised contrastive learning for long-tailed recognition".
pub(crate) struct Targets {
    settings: Targeted,
    width: usize,
    n_classes: usize,
    /// [queue + n_classes, width]: what samples are compared with. First the queue, the oldest of
    /// which is at `oldest`, then the targets.
    keys: Vec<f32>,
    /// Class of each of the queue, none for the random ones of the start.
    queued: Vec<Option<usize>>,
    oldest: usize,
    /// [n_classes, width]
    centroids: Vec<f32>,
    target_of: Vec<usize>,
}

impl Targets {
    /// `width` must be at least `n_classes`.
    pub(crate) fn new(settings: Targeted, width: usize, n_classes: usize, rng: &mut Rng) -> Self {
        let mut keys: Vec<f32> = (0..settings.queue * width).map(|_| rng.normal()).collect();
        normalize_rows(&mut keys, width);
        keys.extend(simplex(n_classes, width, rng));
        Self {
            width,
            n_classes,
            keys,
            queued: vec![None; settings.queue],
            oldest: 0,
            centroids: vec![0.0; n_classes * width],
            target_of: (0..n_classes).collect(),
            settings,
        }
    }

    /// [n_classes, width]
    fn targets(&self) -> &[f32] {
        &self.keys[self.queued.len() * self.width..]
    }

    /// Moves the classes' means by a batch and assigns the nearest targets to them.
    pub(crate) fn observe(&mut self, unit: &[f32], labels: &[usize]) {
        let width = self.width;
        let mut sums = vec![0.0; self.centroids.len()];
        let mut counts = vec![0.0_f32; self.n_classes];
        for (row, &label) in unit.chunks_exact(width).zip(labels) {
            let sum = &mut sums[label * width..][..width];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            counts[label] += 1.0;
        }
        let decay = self.settings.centroid_decay;
        for (class, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0.0) {
            let range = class * width..(class + 1) * width;
            let centroid = self.centroids[range.clone()].iter_mut().zip(&sums[range]);
            centroid.for_each(|(c, sum)| *c = decay * *c + (1.0 - decay) * sum / count);
        }
        normalize_rows(&mut self.centroids, width);
        let rows = self.centroids.chunks_exact(width);
        let costs: Vec<f64> = rows
            .flat_map(|c| {
                self.targets()
                    .chunks_exact(width)
                    .map(|t| -f64::from(dot(c, t)))
            })
            .collect();
        self.target_of = assign(&costs, self.n_classes);
    }

    /// With `l` the log-softmax of `[q·q, q·queue, q·targets] / T`, `n` the number of same-class
    /// queue entries plus 2, and w the targets' weight: the mean over the batch of
    /// `−(1/n) Σ_{self, same class in the queue} l − (w/n) l_target − l_self`.
    pub(crate) fn loss(&self, unit: &[f32], labels: &[usize]) -> Loss {
        let mut logits = times_transposed(unit, &self.keys, self.width);
        let n_keys = self.queued.len() + self.n_classes;
        let wanted: Vec<Wanted> = (0..self.n_classes)
            .map(|class| self.wanted(class))
            .collect();
        let share = 1.0 / labels.len() as f32;
        let temperature = self.settings.temperature;
        let value = vectorized(
            #[inline(always)]
            || {
                let rows = logits.chunks_exact_mut(n_keys).zip(labels);
                rows.map(|(row, &label)| wanted[label].loss(row, temperature, share))
                    .sum()
            },
        );
        Loss {
            value,
            unit: times(&logits, n_keys, &self.keys, self.width),
            log_scale: 0.0,
        }
    }

    fn wanted(&self, class: usize) -> Wanted {
        let is_same = |queued: &Option<usize>| *queued == Some(class);
        let n_same = self.queued.iter().filter(|queued| is_same(queued)).count() as f32;
        let per_sample = 1.0 / (n_same + 2.0);
        let of_queued = |queued: &Option<usize>| if is_same(queued) { per_sample } else { 0.0 };
        let mut weights: Vec<f32> = self.queued.iter().map(of_queued).collect();
        weights.resize(self.queued.len() + self.n_classes, 0.0);
        let target_weight = self.settings.target_weight;
        weights[self.queued.len() + self.target_of[class]] = target_weight * per_sample;
        Wanted {
            weights,
            own: 1.0 + per_sample,
            sum: 1.0 + per_sample * (1.0 + n_same + target_weight),
        }
    }

    /// Puts a batch into the queue in place of the oldest.
    pub(crate) fn enqueue(&mut self, unit: &[f32], labels: &[usize]) {
        for (row, &label) in unit.chunks_exact(self.width).zip(labels) {
            if self.queued.is_empty() {
                return;
            }
            self.keys[self.oldest * self.width..][..self.width].copy_from_slice(row);
            self.queued[self.oldest] = Some(label);
            self.oldest = (self.oldest + 1) % self.queued.len();
        }
    }
}

/// How much the samples of one class want to be near to what.
struct Wanted {
    /// Of every key.
    weights: Vec<f32>,
    /// Of the sample itself.
    own: f32,
    /// Of all.
    sum: f32,
}

impl Wanted {
    /// From a sample's cosines with the keys to its share of the loss; in place of the cosines it
    /// leaves what each of those adds to the sample's gradient.
    #[inline(always)]
    fn loss(&self, cosines: &mut [f32], temperature: f32, share: f32) -> f64 {
        let logits = cosines;
        logits.iter_mut().for_each(|cosine| *cosine /= temperature);
        // The sample itself is one of the candidates; its cosine of 1 pulls nowhere.
        let own = 1.0 / temperature;
        let largest = lane_max(logits).max(own);
        let pull = lane_sum(&self.weights, logits, |weight, logit| weight * logit);
        logits
            .iter_mut()
            .for_each(|logit| *logit = exp(*logit - largest));
        let sum = lane_sum(logits, logits, |e, _| e) + exp(own - largest);
        let normalizer = largest + sum.ln();
        for (logit, weight) in logits.iter_mut().zip(&self.weights) {
            *logit = (self.sum * (*logit / sum) - weight) * share / temperature;
        }
        f64::from(share * (self.sum * normalizer - self.own * own - pull))
    }
}

/// `n` unit vectors with equal angles, as far apart as there is room: a simplex in a random
/// position; u and −u for two. `width` must be at least `n`.
fn simplex(n: usize, width: usize, rng: &mut Rng) -> Vec<f32> {
    let mut basis: Vec<Vec<f32>> = Vec::new();
    while basis.len() < n {
        let mut vector: Vec<f32> = (0..width).map(|_| rng.normal()).collect();
        for other in &basis {
            let along = dot(&vector, other);
            vector
                .iter_mut()
                .zip(other)
                .for_each(|(v, o)| *v -= along * o);
        }
        normalize_rows(&mut vector, width);
        basis.push(vector);
    }
    let mut corners = Vec::with_capacity(n * width);
    for i in 0..n {
        for column in 0..width {
            let mean = basis.iter().map(|b| b[column]).sum::<f32>() / n as f32;
            corners.push(basis[i][column] - if n > 1 { mean } else { 0.0 });
        }
    }
    normalize_rows(&mut corners, width);
    corners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::tests::{check_gradient, random};

    #[test]
    fn cosine_known_values_and_gradient() {
        let value = |unit: &[f32], labels: &[usize]| cosine(unit, labels, 2, 2).value;
        assert_eq!(value(&[1.0, 0.0, 0.0, 1.0], &[0, 1]), -0.5);
        assert_eq!(value(&[1.0, 0.0, 1.0, 0.0], &[1, 1]), -1.0);
        assert_eq!(value(&[1.0, 0.0, 1.0, 0.0], &[0, 1]), 0.0);
        check_gradient(5, |_, unit| cosine(unit, &[0, 1, 1, 2, 0], 5, 3));
    }

    #[test]
    fn targets_lie_evenly() {
        let mut rng = Rng::new(3);
        for n in [2, 3, 5] {
            let corners = simplex(n, 7, &mut rng);
            for i in 0..n {
                for j in 0..n {
                    let expected = if i == j { 1.0 } else { -1.0 / (n as f32 - 1.0) };
                    let found = dot(&corners[i * 7..][..7], &corners[j * 7..][..7]);
                    assert!((found - expected).abs() < 1e-5, "{n}: {found}");
                }
            }
        }
    }

    fn seen() -> Targets {
        let settings = Targeted {
            queue: 8,
            temperature: 0.4,
            ..Targeted::default()
        };
        let mut targets = Targets::new(settings, 5, 3, &mut Rng::new(1));
        let mut unit = random(5 * 5, 9);
        normalize_rows(&mut unit, 5);
        let labels = [0, 1, 1, 2, 0];
        targets.observe(&unit, &labels);
        targets.enqueue(&unit, &labels);
        targets.enqueue(&unit, &labels);
        targets
    }

    #[test]
    fn targeted_has_its_gradient() {
        let targets = seen();
        assert_eq!(targets.oldest, 2);
        assert_eq!(targets.queued.iter().flatten().count(), 8);
        check_gradient(4, |_, unit| targets.loss(unit, &[0, 1, 2, 1]));
    }

    /// The formula term by term, the sample's own cosine written out.
    #[test]
    fn targeted_is_its_formula() {
        let targets = seen();
        let mut q = random(5, 4);
        normalize_rows(&mut q, 5);
        let label = 1;
        let logit = |v: &[f32]| f64::from(dot(&q, v)) / f64::from(targets.settings.temperature);
        let mut logits = vec![logit(&q)];
        logits.extend(targets.keys.chunks_exact(5).map(logit));
        let normalizer = logits.iter().map(|l| l.exp()).sum::<f64>().ln();
        let l: Vec<f64> = logits.iter().map(|logit| logit - normalizer).collect();
        let same: Vec<usize> = (0..8)
            .filter(|&i| targets.queued[i] == Some(label))
            .collect();
        let n = same.len() as f64 + 2.0;
        let target = 9 + targets.target_of[label];
        let first: f64 = l[0] + same.iter().map(|i| l[1 + i]).sum::<f64>();
        let expected = -first / n - 0.2 * l[target] / n - l[0];
        let found = targets.loss(&q, &[label]).value;
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }

    #[test]
    fn classes_get_the_targets_next_to_them() {
        let mut targets = Targets::new(Targeted::default(), 6, 3, &mut Rng::new(2));
        let order = [2, 0, 1];
        let unit: Vec<f32> = order
            .iter()
            .flat_map(|&t| targets.targets()[t * 6..][..6].to_vec())
            .collect();
        targets.observe(&unit, &[0, 1, 2]);
        assert_eq!(targets.target_of, order);
    }
}
