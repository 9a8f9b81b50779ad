//! The binomial distribution: exact draws for the bootstrap, exact tails for McNemar's test.

use paint_data::Rng;

/// Draws the number of successes in `n` trials of probability `p`.
///
/// Inversion, searching outwards from the mode: about one standard deviation of steps, exact to
/// the rounding of f64.
pub(crate) fn draw(rng: &mut Rng, n: u64, p: f64) -> u64 {
    if n == 0 || p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    let mode = (((n + 1) as f64 * p) as u64).min(n);
    let at_mode = ln_pmf(mode, n, p).exp();
    let odds = p / (1.0 - p);
    // 53 random bits, in [0, 1).
    let mut left = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 - at_mode;
    let (mut up, mut p_up, mut down, mut p_down) = (mode, at_mode, mode, at_mode);
    while left >= 0.0 {
        let (old_up, old_down) = (up, down);
        if up < n {
            p_up *= odds * (n - up) as f64 / (up + 1) as f64;
            up += 1;
            left -= p_up;
            if left < 0.0 {
                return up;
            }
        }
        if down > 0 {
            p_down *= down as f64 / (odds * (n - down + 1) as f64);
            down -= 1;
            left -= p_down;
            if left < 0.0 {
                return down;
            }
        }
        // Rounding can leave a remainder of about 1e-13 when everything has been visited.
        if (up, down) == (old_up, old_down) || p_up + p_down == 0.0 {
            break;
        }
    }
    mode
}

/// Two-sided probability, for a fair coin, of a split of `a + b` tosses at least as uneven as
/// `a` to `b`.
pub(crate) fn fair_split(a: u64, b: u64) -> f64 {
    let (n, smaller) = (a + b, a.min(b));
    if a == b {
        return 1.0;
    }
    let mut term = ln_pmf(smaller, n, 0.5).exp();
    let mut tail = 0.0;
    for k in (0..=smaller).rev() {
        tail += term;
        term *= k as f64 / (n - k + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

fn ln_pmf(k: u64, n: u64, p: f64) -> f64 {
    let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    ways + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()
}

/// Summed where Stirling's series (to n⁻⁵) is less exact than 1e-12.
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|k| (k as f64).ln()).sum();
    }
    let n = n as f64;
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorials_agree_where_the_formulas_meet() {
        let sum = |n: u64| (2..=n).map(|k| (k as f64).ln()).sum::<f64>();
        for n in [32, 33, 100, 1000] {
            assert!((ln_factorial(n) - sum(n)).abs() < 1e-10 * sum(n), "{n}");
        }
        assert_eq!((ln_factorial(0), ln_factorial(1)), (0.0, 0.0));
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
        check(0, 1, 1.0);
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
    fn draws_follow_the_distribution() {
        let mut rng = Rng::new(3);
        let (n, p, n_draws) = (7, 0.3, 200_000);
        let mut counts = [0_u64; 8];
        for _ in 0..n_draws {
            counts[draw(&mut rng, n, p) as usize] += 1;
        }
        let mut chi_squared = 0.0;
        for (k, &count) in counts.iter().enumerate() {
            let expected = n_draws as f64 * ln_pmf(k as u64, n, p).exp();
            chi_squared += (count as f64 - expected).powi(2) / expected;
        }
        // 99.9 % quantile with 7 degrees of freedom.
        assert!(chi_squared < 24.3, "{chi_squared}");
    }

    #[test]
    fn large_draws_have_the_right_moments_and_edges_are_exact() {
        let mut rng = Rng::new(5);
        let (n, p, n_draws) = (50_000, 0.9, 20_000);
        let draws: Vec<f64> = (0..n_draws).map(|_| draw(&mut rng, n, p) as f64).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n_draws);
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n_draws);
        assert!((mean - 45_000.0).abs() < 2.5, "{mean}");
        assert!((variance / 4_500.0 - 1.0).abs() < 0.05, "{variance}");
        assert_eq!(draw(&mut rng, 9, 0.0), 0);
        assert_eq!(draw(&mut rng, 9, 1.0), 9);
        assert_eq!(draw(&mut rng, 0, 0.5), 0);
    }
}
