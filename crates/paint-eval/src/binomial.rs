//! The binomial distribution, exactly: tails for McNemar's test, limits for rare events. And
//! Student's t, by the same function.

/// Probability outside a 95 % interval on each side.
const TAIL: f64 = 0.025;

/// Two-sided probability, for a fair coin, of a split of `a + b` tosses at least as uneven as
/// `a` to `b`.
pub(crate) fn fair_split(a: u64, b: u64) -> f64 {
    let (n, smaller) = (a + b, a.min(b));
    // No split is more even, so that all are at least as uneven.
    if a.abs_diff(b) <= 1 {
        return 1.0;
    }
    let ways =
        ln_factorial(n as f64) - ln_factorial(smaller as f64) - ln_factorial(a.max(b) as f64);
    let mut term = (ways - n as f64 * std::f64::consts::LN_2).exp();
    let mut tail = 0.0;
    for k in (0..=smaller).rev() {
        tail += term;
        term *= k as f64 / (n - k + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

/// 95 % limits of the mean of `n` weights in [0, 1], most of them 0, from their sum and the sum of
/// their squares.
///
/// Where every weight is 0 or 1 these are the exact limits of Clopper & Pearson (1934). Other
/// weights are treated as Fay & Feuer (1997, "Confidence intervals for directly standardized
/// rates") do: the distribution is stretched to the weights' mean and variance, and the upper limit
/// supposes one more event, of weight 1, than was seen.
pub(crate) fn limits(sum: f64, squares: f64, n: f64) -> (f64, f64) {
    let quantile = |tail: f64, sum: f64, squares: f64| {
        let (n_events, n_trials) = (sum * sum / squares, (n + 1.0) * sum / squares);
        beta_quantile(tail, n_events, n_trials - n_events)
    };
    let low = match sum > 0.0 {
        true => quantile(TAIL, sum, squares),
        false => 0.0,
    };
    let high = match sum < n {
        true => quantile(1.0 - TAIL, sum + 1.0, squares + 1.0),
        false => 1.0,
    };
    (low, high)
}

/// 97.5 % quantile of Student's t with `n` degrees of freedom.
pub(crate) fn student_t(n: f64) -> f64 {
    // n / (n + t²) has a beta distribution.
    let x = beta_quantile(2.0 * TAIL, n / 2.0, 0.5);
    (n * (1.0 / x - 1.0)).sqrt()
}

/// Where the beta distribution has `p` to the left: bisection to the last bits.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        match beta_cdf(middle, a, b) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function, 0 < x < 1, as its continued fraction (DLMF 8.17.22)
/// by Lentz's method.
fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    // Beyond the mean the fraction converges slowly and its mirror image fast.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_cdf(1.0 - x, b, a);
    }
    let ln_beta = ln_factorial(a - 1.0) + ln_factorial(b - 1.0) - ln_factorial(a + b - 1.0);
    let scale = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / a;
    let mut c = 1.0;
    let mut d = 1.0 / (1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    // The number of terms grows with the root of the larger parameter.
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for coefficient in [even, odd] {
            d = 1.0 / (1.0 + coefficient * d);
            c = 1.0 + coefficient / c;
            fraction *= c * d;
        }
        if (fraction - before).abs() <= 1e-15 * fraction.abs() {
            break;
        }
    }
    scale * fraction
}

/// ln Γ(x + 1) for x > -1, by Stirling's series (to x⁻⁵) where that is exact to 1e-12, which the
/// recurrence leads up to.
fn ln_factorial(x: f64) -> f64 {
    let (mut n, mut below) = (x, 0.0);
    while n < 32.0 {
        n += 1.0;
        below += n.ln();
    }
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorials_agree_with_sums_and_between_integers_with_the_gamma_function() {
        let sum = |n: u64| (2..=n).map(|k| (k as f64).ln()).sum::<f64>();
        for n in [0, 1, 2, 31, 32, 33, 100, 1000] {
            let (found, expected) = (ln_factorial(n as f64), sum(n));
            assert!((found - expected).abs() < 1e-12 * (1.0 + expected), "{n}");
        }
        // Γ(1/2) = √π.
        let half = std::f64::consts::PI.sqrt();
        assert!((ln_factorial(-0.5) - half.ln()).abs() < 1e-12);
        assert!((ln_factorial(0.5) - (half / 2.0).ln()).abs() < 1e-12);
    }

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        for (n, expected) in [(1.0, 12.706_205), (2.0, 4.302_653), (9.0, 2.262_157)] {
            assert!(
                (student_t(n) - expected).abs() < 1e-6,
                "{n}: {}",
                student_t(n)
            );
        }
        assert!((student_t(1e6) - 1.959_966).abs() < 1e-5);
    }

    #[test]
    fn fair_splits_match_values_by_hand() {
        let check = |a, b, expected: f64| {
            let found = fair_split(a, b);
            assert!(
                (found - expected).abs() < 1e-12,
                "{a}:{b} {found} {expected}"
            );
        };
        check(0, 0, 1.0);
        assert_eq!((fair_split(0, 1), fair_split(4, 3)), (1.0, 1.0));
        check(5, 5, 1.0);
        check(0, 5, 2.0 / 32.0);
        check(5, 0, 2.0 / 32.0);
        check(1, 9, 2.0 * 11.0 / 1024.0);
        check(3, 7, 2.0 * (1.0 + 10.0 + 45.0 + 120.0) / 1024.0);
        // Large counts neither overflow nor vanish too early; normal approximation with
        // continuity correction: 2 * (1 - Phi(3.1464)).
        assert!((fair_split(450, 550) - 0.001_73).abs() < 5e-5);
        assert!(fair_split(10, 20_000) < 1e-300);
    }

    #[test]
    fn beta_probabilities_match_binomial_tails() {
        // P(Beta(k, n - k + 1) < x) = P(at least k of n).
        let tail = |k: u64, n: u64, x: f64| -> f64 {
            let pmf = |i: u64| {
                let ways = (0..i).fold(1.0, |w, j| w * (n - j) as f64 / (j + 1) as f64);
                ways * x.powi(i as i32) * (1.0 - x).powi((n - i) as i32)
            };
            (k..=n).map(pmf).sum()
        };
        for (k, n) in [(1, 1), (1, 30), (3, 7), (29, 30), (15, 30)] {
            for x in [0.001, 0.1, 0.5, 0.93] {
                let (found, expected) = (beta_cdf(x, k as f64, (n - k + 1) as f64), tail(k, n, x));
                assert!((found - expected).abs() < 1e-12, "{k} {n} {x}: {found}");
            }
        }
        // By symmetry, for any size.
        assert!((beta_cdf(0.5, 1e5, 1e5) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn limits_of_counts_are_clopper_and_pearsons() {
        let check = |k: f64, n: f64, low: f64, high: f64| {
            let found = limits(k, k, n);
            assert!((found.0 - low).abs() < 5e-5, "{k}/{n}: {found:?}");
            assert!((found.1 - high).abs() < 5e-5, "{k}/{n}: {found:?}");
        };
        check(0.0, 10.0, 0.0, 0.3085);
        check(8.0, 10.0, 0.4439, 0.9748);
        check(10.0, 10.0, 0.6915, 1.0);
        check(1.0, 1.0, 0.025, 1.0);
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
        // method 5.
        check(81.0, 263.0, 0.2527, 0.3676);
        check(15.0, 148.0, 0.0578, 0.1617);
        check(0.0, 20.0, 0.0, 0.1684);
        check(1.0, 29.0, 0.0009, 0.1776);
    }

    #[test]
    fn limits_of_equal_weights_scale_but_for_what_was_not_seen() {
        let (whole, halves) = (limits(30.0, 30.0, 1e6), limits(15.0, 7.5, 1e6));
        assert!((halves.0 / whole.0 - 0.5).abs() < 1e-3, "{halves:?}");
        assert!(halves.1 > 0.5 * whole.1 && halves.1 < 0.56 * whole.1);
    }
}
