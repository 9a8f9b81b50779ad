//! Validation images of one or several tasks in the order in which all candidates meet them.

use super::{Audit, Request, Tally};
use crate::{Error, Result};

/// Of the answers taken as known, one in so many is asked for all the same.
const AUDIT: f64 = 40.0;

/// Images drawn one after the other without replacement, each with probability proportional to
/// its weight among those that remain, and what the candidates answered so far.
pub(super) struct Pool {
    images: Vec<Image>,
    /// By candidate: its answers on the first images.
    answers: Vec<Vec<Answer>>,
    /// Whether an answer is taken as known between two equal ones.
    nested: bool,
    seed: u64,
    audit: Audit,
}

#[derive(Clone, Copy)]
struct Answer {
    right: bool,
    measured: bool,
}

struct Image {
    task: usize,
    image: usize,
    weight: f64,
}

impl Pool {
    /// `shares`: task, its number of images, and its share of the weight; shares sum to 1.
    pub(super) fn new(
        shares: &[(usize, usize, f64)],
        n_candidates: usize,
        nested: bool,
        seed: u64,
    ) -> Self {
        let mut keyed: Vec<(f64, Image)> = Vec::new();
        for &(task, n, share) in shares {
            // A stream of its own for each task, whatever the others are.
            let mut random = SplitMix::of(seed, [task, 0, 0]);
            let weight = share / n as f64;
            // The smallest of exponential times with rates as the weights: Efraimidis & Spirakis
            // 2006, "Weighted random sampling with a reservoir".
            keyed.extend((0..n).map(|image| {
                let time = -random.unit().ln() / weight;
                (
                    time,
                    Image {
                        task,
                        image,
                        weight,
                    },
                )
            }));
        }
        keyed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Self {
            images: keyed.into_iter().map(|(_, image)| image).collect(),
            answers: vec![Vec::new(); n_candidates],
            nested,
            seed,
            audit: Audit::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.images.len()
    }

    /// How many images `candidate` has answered.
    pub(super) fn n(&self, candidate: usize) -> usize {
        self.answers[candidate].len()
    }

    pub(super) fn complete(&self, candidate: usize) -> bool {
        self.n(candidate) == self.len()
    }

    /// Weight and difference of right answers, `a` minus `b`, of the image at `place` in the
    /// order, if both have answered it.
    pub(super) fn difference(&self, a: usize, b: usize, place: usize) -> Option<(f64, f64)> {
        let (one, other) = (self.answers[a].get(place)?, self.answers[b].get(place)?);
        let x = f64::from(u8::from(one.right)) - f64::from(u8::from(other.right));
        Some((x, self.images[place].weight))
    }

    /// Weighted mean difference, `a` minus `b`, on the images that both have answered.
    pub(super) fn mean_difference(&self, a: usize, b: usize) -> Option<f64> {
        let pairs = (0..).map_while(|place| self.difference(a, b, place));
        let (sum, weights) = pairs.fold((0.0, 0.0), |(sum, weights), (x, weight)| {
            (sum + weight * x, weights + weight)
        });
        (weights > 0.0).then(|| sum / weights)
    }

    /// Asks `candidate`, task by task, for its answers on the first `until` images, but for those
    /// that it has given and those taken as known.
    pub(super) fn measure<E: From<Error>>(
        &mut self,
        candidate: usize,
        until: usize,
        ask: &mut impl FnMut(&Request<'_>) -> Result<Vec<bool>, E>,
    ) -> Result<(), E> {
        let places = self.n(candidate)..until.min(self.len());
        let known: Vec<Option<bool>> = places.clone().map(|p| self.known(candidate, p)).collect();
        let mut answers = known.clone();
        let start = places.start;
        let asked: Vec<usize> = places
            .filter(|&p| known[p - start].is_none() || self.audited(candidate, p))
            .collect();
        for task in 0..=self.images.iter().map(|i| i.task).max().unwrap_or(0) {
            let of_task = |place: &&usize| self.images[**place].task == task;
            let places: Vec<usize> = asked.iter().filter(of_task).copied().collect();
            if places.is_empty() {
                continue;
            }
            let images: Vec<usize> = places.iter().map(|&p| self.images[p].image).collect();
            let request = Request {
                candidate,
                task,
                first: self.tally(candidate, task).n_measured as usize,
                images: &images,
            };
            let right = ask(&request)?;
            if right.len() != images.len() {
                let (expected, actual) = (images.len(), right.len());
                return Err(Error::Answers { expected, actual }.into());
            }
            for (place, right) in places.into_iter().zip(right) {
                answers[place - start] = Some(right);
            }
        }
        for &place in &asked {
            if let Some(taken) = known[place - start] {
                self.audit.n += 1;
                self.audit.n_wrong += u64::from(answers[place - start] != Some(taken));
            }
        }
        let mut asked = asked.into_iter().peekable();
        let answers = (start..).zip(answers).map_while(|(place, right)| {
            let measured = asked.next_if_eq(&place).is_some();
            Some(Answer {
                right: right?,
                measured,
            })
        });
        self.answers[candidate].extend(answers);
        Ok(())
    }

    /// The answer at `place` of the next candidates to both sides that have one, if it is the
    /// same and may be taken for `candidate`'s.
    fn known(&self, candidate: usize, place: usize) -> Option<bool> {
        let answer = |j: usize| Some(self.answers[j].get(place)?.right);
        let below = (0..candidate).rev().find_map(answer)?;
        let above = (candidate + 1..self.answers.len()).find_map(answer)?;
        (self.nested && below == above).then_some(below)
    }

    fn audited(&self, candidate: usize, place: usize) -> bool {
        let Image { task, image, .. } = self.images[place];
        SplitMix::of(self.seed, [task, image + 1, candidate]).unit() * AUDIT <= 1.0
    }

    pub(super) fn audit(&self) -> Audit {
        self.audit
    }

    /// What `candidate` answered on `task`.
    pub(super) fn tally(&self, candidate: usize, task: usize) -> Tally {
        let answered = self.images.iter().zip(&self.answers[candidate]);
        let of_task = answered.filter(|(image, _)| image.task == task);
        of_task.fold(Tally::default(), |tally, (_, answer)| Tally {
            n: tally.n + 1,
            n_right: tally.n_right + u64::from(answer.right),
            n_measured: tally.n_measured + u64::from(answer.measured),
        })
    }
}

/// Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
pub(super) struct SplitMix(u64);

impl SplitMix {
    /// A stream for each triple of numbers.
    pub(super) fn of(seed: u64, which: [usize; 3]) -> Self {
        which.into_iter().fold(Self(seed), |state, number| {
            let mut mixed = Self(state.0 ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
            Self(mixed.next())
        })
    }

    /// Uniform in (0, 1].
    pub(super) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
