//! Linear CKA against the definition, and its invariances.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use paint_eval::{Alignment, Cka, Result, mean_alignment};

/// Numbers in [-1, 1): SplitMix64.
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let number = |i: u64| {
        let z = (seed << 32)
            .wrapping_add(i + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n as u64).map(number).collect()
}

fn alignment(batches: &[(Vec<f32>, Vec<f32>)], dims: [usize; 2]) -> Alignment {
    let mut cka = Cka::new(dims).unwrap();
    for (x, y) in batches {
        cka.add(x, y).unwrap();
    }
    cka.alignment().unwrap()
}

/// Features that are partly those of `x`: `[n, 3]` of `[n, 5]`.
fn related(x: &[f32], seed: u64, noise: f32) -> Vec<f32> {
    let noises = numbers(seed, x.len() / 5 * 3);
    let mixed = |(i, value): (usize, f32)| {
        let row = &x[i / 3 * 5..][..5];
        row[i % 3] - 0.5 * row[(i + 2) % 5] + noise * value
    };
    noises.into_iter().enumerate().map(mixed).collect()
}

fn inner(features: &[f32], dim: usize, i: usize, j: usize) -> f64 {
    let row = |i: usize| features[i * dim..][..dim].iter().map(|&v| f64::from(v));
    row(i).zip(row(j)).map(|(a, b)| a * b).sum()
}

/// HSIC as the U-statistic it is: the mean over all four distinct images (Song et al. 2012,
/// theorem 2).
fn naive_hsic(k: impl Fn(usize, usize) -> f64, l: impl Fn(usize, usize) -> f64, n: usize) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for i in 0..n {
        for j in (0..n).filter(|&j| j != i) {
            for q in (0..n).filter(|q| ![i, j].contains(q)) {
                for r in (0..n).filter(|r| ![i, j, q].contains(r)) {
                    sum += k(i, j) * (l(i, j) + l(q, r) - 2.0 * l(i, q));
                    count += 1.0;
                }
            }
        }
    }
    sum / count
}

#[test]
fn one_batch_is_the_u_statistic_over_all_quadruples() {
    for n in [4, 5, 9] {
        let x = numbers(1, n * 5);
        let y = related(&x, 2, 0.5);
        let k = |i, j| inner(&x, 5, i, j);
        let l = |i, j| inner(&y, 3, i, j);
        let hsic = [
            naive_hsic(k, k, n),
            naive_hsic(k, l, n),
            naive_hsic(l, l, n),
        ];
        let expected = hsic[1] / (hsic[0] * hsic[2]).sqrt();
        let found = alignment(&[(x.clone(), y.clone())], [5, 3]);
        assert!(
            (found.value - expected).abs() < 1e-9,
            "{n}: {found:?} {expected}"
        );
        assert_eq!((found.low, found.n, found.n_batches), (None, n as u64, 1));
    }
}

#[test]
fn a_model_is_like_itself_turned_scaled_and_shifted() {
    let batch = |seed| {
        let x = numbers(seed, 40 * 2);
        let (sin, cos) = 0.7_f32.sin_cos();
        let turn = |row: &[f32]| {
            let [a, b] = [row[0], row[1]];
            [3.0 * (cos * a - sin * b) + 10.0, 3.0 * (sin * a + cos * b)]
        };
        let y = x.chunks(2).flat_map(turn).collect();
        (x, y)
    };
    let found = alignment(&[batch(1), batch(2), batch(3)], [2, 2]);
    assert!((found.value - 1.0).abs() < 1e-5, "{found:?}");
    assert!(found.high.unwrap() - found.low.unwrap() < 1e-4);
}

#[test]
fn strangers_have_nothing_in_common_however_small_the_batches() {
    // The usual, biased estimate would be above 0.5 for batches of 8.
    let batches: Vec<_> = (0..150)
        .map(|i| (numbers(2 * i + 1, 8 * 5), numbers(2 * i + 2, 8 * 3)))
        .collect();
    let found = alignment(&batches, [5, 3]);
    assert!(found.value.abs() < 0.1, "{found:?}");
    assert!(found.low.unwrap() < 0.0 && found.high.unwrap() > 0.0);
    assert_eq!((found.n, found.n_batches), (1200, 150));
}

#[test]
fn intervals_cover_the_value_of_many_images() {
    let batches = |from: u64, n_batches: u64, n: usize| -> Vec<_> {
        (from..from + n_batches)
            .map(|i| {
                let x = numbers(10_000 + i, n * 5);
                let y = related(&x, 20_000 + i, 0.5);
                (x, y)
            })
            .collect()
    };
    let truth = alignment(&batches(0, 20, 300), [5, 3]).value;
    let covered = (1..=60).filter(|round| {
        let found = alignment(&batches(100 * round, 8, 32), [5, 3]);
        (found.low.unwrap()..=found.high.unwrap()).contains(&truth)
    });
    // 57 expected of 60; fewer than 51 in one of 250 series.
    let n_covered = covered.count();
    assert!(n_covered >= 51, "{n_covered} of 60 cover {truth}");
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let says = |result: Result<()>, part: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is not in {message}");
    };
    says(Cka::new([0, 3]).map(drop), "no features");
    let mut cka = Cka::new([2, 3]).unwrap();
    says(cka.alignment().map(drop), "no batches");
    says(
        cka.add(&[0.0; 7], &[0.0; 9]),
        "features x: expected 6, found 7",
    );
    says(
        cka.add(&[0.0; 8], &[0.0; 9]),
        "features y: expected 12, found 9",
    );
    says(
        cka.add(&[0.0; 6], &[0.0; 9]),
        "3 images; CKA needs at least 4",
    );
    cka.add(&[1.0; 8], &[0.5; 12]).unwrap();
    let mut broken = [0.0; 8];
    broken[5] = f32::NAN;
    says(cka.add(&broken, &[0.0; 12]), "image 6: a feature is NaN");
    says(cka.alignment().map(drop), "do not vary");
}

#[test]
fn the_mean_of_alignments_has_the_mean_of_their_intervals() {
    let one = |value, half: Option<f64>, n| Alignment {
        value,
        low: half.map(|half| value - half),
        high: half.map(|half| value + half),
        n,
        n_batches: 2,
    };
    let mean = mean_alignment(&[one(0.5, Some(0.25), 10), one(1.0, Some(0.75), 30)]).unwrap();
    assert_eq!(
        (mean.value, mean.low, mean.high),
        (0.75, Some(0.25), Some(1.25))
    );
    assert_eq!((mean.n, mean.n_batches), (40, 4));
    let without = mean_alignment(&[one(0.5, Some(0.25), 10), one(1.0, None, 30)]).unwrap();
    assert_eq!(
        (without.value, without.low, without.high),
        (0.75, None, None)
    );
    assert!(mean_alignment(&[]).is_err());
}
