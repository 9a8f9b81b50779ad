//! A bet against "the mean over all images is at most this", settled image by image.

/// Shares of the wealth that are staked side by side; the test is their mean, so none has to be
/// chosen. Small ones win against small effects with frequent disagreement, large ones where
/// nearly all images agree.
const STAKES: [f64; 4] = [0.05, 0.15, 0.4, 0.8];

/// Sums of weights are exact to far less than this, and an image weighs far more.
const ROUNDING: f64 = 1e-9;

/// Tests H: Σ `weight`·`x` ≤ `mean`, over all images of a finite set whose weights sum to 1 and
/// of which the next is drawn among the remaining with probability proportional to its weight.
///
/// Under H the wealth is a supermartingale that starts at 1, so the chance that it *ever* reaches
/// 1 / `level` is at most `level` (Ville): it may be looked at after every image. What is seen
/// leaves the set, so what remains must make up for it and the test grows sharper toward the end.
/// Sources: Waudby-Smith & Ramdas 2020, "Confidence sequences for sampling without replacement"
/// and 2024, "Estimating means of bounded random variables by betting"; weights as in Shekhar,
/// Xu, Lipton, Liang & Ramdas 2023, "Risk-limiting financial audits via weighted sampling without
/// replacement".
#[derive(Clone, Debug)]
pub(super) struct Wealth {
    mean: f64,
    level: f64,
    log_wealth: [f64; STAKES.len()],
    /// Σ weight·x of the images seen.
    known: f64,
    /// Σ weight of those not seen.
    remaining: f64,
    n: usize,
    rejected: bool,
}

impl Wealth {
    pub(super) fn new(mean: f64, level: f64) -> Self {
        Self {
            mean,
            level,
            log_wealth: [0.0; STAKES.len()],
            known: 0.0,
            remaining: 1.0,
            n: 0,
            rejected: false,
        }
    }

    /// The next image: `x` in [-1, 1].
    pub(super) fn see(&mut self, x: f64, weight: f64) {
        self.n += 1;
        if self.remaining > ROUNDING {
            // What the rest must be on average at most, if H holds.
            let rest = (self.mean - self.known) / self.remaining;
            if (-1.0..1.0).contains(&rest) {
                for (log_wealth, stake) in self.log_wealth.iter_mut().zip(STAKES) {
                    let factor = 1.0 + stake * (x - rest) / (1.0 + rest).max(ROUNDING);
                    *log_wealth += factor.ln();
                }
            }
        }
        self.known += weight * x;
        self.remaining -= weight;
        let impossible = self.known - self.remaining.max(0.0) > self.mean + ROUNDING;
        self.rejected |= impossible || self.log_mean() >= -self.level.ln();
    }

    /// How many images it has seen.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Whether H was rejected at any time.
    pub(super) fn rejected(&self) -> bool {
        self.rejected
    }

    /// A guess at how many more images a rejection takes; infinite if it is not in sight.
    pub(super) fn guess_remaining(&self) -> f64 {
        let fastest = self.log_wealth.iter().copied().fold(0.0, f64::max);
        (-self.level.ln() - self.log_mean()).max(0.0) * self.n as f64 / fastest
    }

    fn log_mean(&self) -> f64 {
        let most = self.log_wealth.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = self.log_wealth.iter().map(|w| (w - most).exp()).sum();
        most + (sum / STAKES.len() as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::pool::SplitMix;

    /// In how many of 2,000 orders "the mean is at most `mean`" is rejected at level 0.1, for 120
    /// images of which 18 count +1, 12 count -1 and each third weighs three times as much.
    fn n_rejected(mean: f64) -> usize {
        let x = |image: usize| match image % 20 {
            0..3 => 1.0,
            3..5 => -1.0,
            _ => 0.0,
        };
        let heavy = |image: usize| if image.is_multiple_of(3) { 3.0 } else { 1.0 };
        let total: f64 = (0..120).map(heavy).sum();
        let rejected = |seed: &u64| {
            let random = &mut SplitMix::of(*seed, [0, 0, 0]);
            let time = |image| (-random.unit().ln() / heavy(image), image);
            let mut order: Vec<(f64, usize)> = (0..120).map(time).collect();
            order.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut bet = Wealth::new(mean, 0.1);
            for (_, image) in order {
                bet.see(x(image), heavy(image) / total);
            }
            bet.rejected()
        };
        (0..2000).filter(rejected).count()
    }

    #[test]
    fn what_is_true_is_seldom_rejected_and_what_is_false_always_in_the_end() {
        let heavy = |image: &usize| if image.is_multiple_of(3) { 3.0 } else { 1.0 };
        let sum = |of: std::ops::Range<usize>| -> f64 {
            (0..120)
                .filter(|i| of.contains(&(i % 20)))
                .map(|i| heavy(&i))
                .sum()
        };
        let truth = (sum(0..3) - sum(3..5)) / sum(0..20);
        let n = n_rejected(truth);
        assert!((20..=200).contains(&n), "{n} of 2000 at level 0.1");
        assert!(n_rejected(truth + 0.02) <= n);
        assert_eq!(n_rejected(truth - 0.001), 2000);
    }
}
