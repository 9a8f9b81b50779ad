//! Merges over slices: their properties, and a plain reference for each.

use crate::checkpoints::Values;
use paint_mix::{
    Dare, Error, SlerpPath, Ties, ValidationAccuracy, add_task_vectors, dare, dare_sum,
    greedy_soup, interpolate_values, slerp, slerp_mean, ties, uniform_soup,
};

/// Enough values for several pieces and a rest.
const N: usize = 20_003;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Zero-shot weights and those of `k` tasks.
fn weights(seed: u64, k: usize) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut values = Values(seed);
    let zero_shot = values.weights(N);
    let tuned = (0..k).map(|_| values.tuned(&zero_shot)).collect();
    (zero_shot, tuned)
}

fn slices(tensors: &[Vec<f32>]) -> Vec<&[f32]> {
    tensors.iter().map(Vec::as_slice).collect()
}

fn added(zero_shot: &[f32], tasks: &[(f64, &[f32])]) -> Vec<f32> {
    let mut out = vec![f32::NAN; zero_shot.len()];
    add_task_vectors(zero_shot, tasks, &mut out).unwrap();
    out
}

fn merged(zero_shot: &[f32], fine_tuned: &[&[f32]], settings: Ties) -> Vec<f32> {
    let mut out = vec![f32::NAN; zero_shot.len()];
    ties(zero_shot, fine_tuned, &settings, &mut out).unwrap();
    out
}

fn dropped(tensor: &str, zero_shot: &[f32], fine_tuned: &[f32], drop: f64, seed: u64) -> Vec<f32> {
    let mut out = vec![f32::NAN; zero_shot.len()];
    dare(
        tensor,
        zero_shot,
        fine_tuned,
        &Dare { drop, seed },
        &mut out,
    )
    .unwrap();
    out
}

/// Largest difference in units of the last place of the larger value.
fn largest_difference(a: &[f32], b: &[f32]) -> f64 {
    let units = |(&a, &b): (&f32, &f32)| {
        let unit = f64::from(a.abs().max(b.abs()).max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON);
        (f64::from(a) - f64::from(b)).abs() / unit
    };
    a.iter().zip(b).map(units).fold(0.0, f64::max)
}

#[test]
fn one_task_is_interpolation_bit_for_bit() {
    let (zero_shot, tuned) = weights(1, 2);
    for alpha in [0.0, 1e-3, 0.3, 0.5, 0.9, 1.0] {
        let mut expected = vec![f32::NAN; N];
        interpolate_values(&zero_shot, &tuned[0], alpha, &mut expected).unwrap();
        let alone = added(&zero_shot, &[(alpha, &tuned[0])]);
        let beside_nothing = added(&zero_shot, &[(0.0, &tuned[1]), (alpha, &tuned[0])]);
        assert_eq!(bits(&alone), bits(&expected), "{alpha}");
        assert_eq!(bits(&beside_nothing), bits(&expected), "{alpha}");
    }
    assert_eq!(bits(&added(&zero_shot, &[])), bits(&zero_shot));
}

#[test]
fn tasks_add_up_in_any_order_and_a_negated_task_is_taken_away() {
    let (zero_shot, tuned) = weights(2, 3);
    let coefficients = [0.3, -0.7, 1.4];
    let tasks: Vec<(f64, &[f32])> = coefficients.into_iter().zip(slices(&tuned)).collect();
    let theta = added(&zero_shot, &tasks);
    for i in 0..N {
        let z = f64::from(zero_shot[i]);
        let change = |&(c, values): &(f64, &[f32])| c * (f64::from(values[i]) - z);
        let expected = z + tasks.iter().map(change).sum::<f64>();
        let error = (f64::from(theta[i]) - expected).abs();
        assert!(error <= 6e-8 * expected.abs() + 1e-38, "{i}");
    }
    let reversed: Vec<_> = tasks.iter().rev().copied().collect();
    assert!(largest_difference(&theta, &added(&zero_shot, &reversed)) <= 1.0);
    let cancelled = added(&zero_shot, &[(1.0, &tuned[0]), (-1.0, &tuned[0])]);
    assert_eq!(bits(&cancelled), bits(&zero_shot));
}

/// The three steps as the paper writes them, value by value.
fn naive_ties(zero_shot: &[f32], fine_tuned: &[&[f32]], settings: Ties) -> Vec<f64> {
    let n_kept = (settings.density * zero_shot.len() as f64).ceil() as usize;
    let trimmed = |values: &&[f32]| -> Vec<f64> {
        let change = |i: usize| f64::from(values[i]) - f64::from(zero_shot[i]);
        let size = |i: usize| (values[i] - zero_shot[i]).abs();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
        let smallest = size(order[n_kept - 1]);
        let keep = |i| if size(i) < smallest { 0.0 } else { change(i) };
        (0..values.len()).map(keep).collect()
    };
    let trimmed: Vec<Vec<f64>> = fine_tuned.iter().map(trimmed).collect();
    let merge = |i: usize| {
        let sign = trimmed.iter().map(|task| task[i]).sum::<f64>();
        let agree: Vec<f64> = trimmed.iter().map(|task| task[i]).collect();
        let agree: Vec<f64> = agree.into_iter().filter(|v| v * sign > 0.0).collect();
        let mean = agree.iter().sum::<f64>() / agree.len().max(1) as f64;
        f64::from(zero_shot[i]) + settings.lambda * mean
    };
    (0..zero_shot.len()).map(merge).collect()
}

#[test]
fn ties_is_the_three_steps_of_the_paper() {
    let (zero_shot, tuned) = weights(3, 4);
    for density in [1e-9, 0.01, 0.2, 0.7, 1.0] {
        let settings = Ties {
            density,
            lambda: 0.8,
        };
        let found = merged(&zero_shot, &slices(&tuned), settings);
        let expected = naive_ties(&zero_shot, &slices(&tuned), settings);
        for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(found, expected as f32, "density {density}, value {i}");
        }
        let reversed: Vec<_> = slices(&tuned).into_iter().rev().collect();
        let other = merged(&zero_shot, &reversed, settings);
        assert!(largest_difference(&found, &other) <= 1.0);
    }
}

#[test]
fn ties_on_values_by_hand() {
    let (a, b, c) = (
        [4.0, 1.0, -2.0, 0.5],
        [2.0, -3.0, -1.0, 0.0],
        [-1.0, 1.0, 3.0, 0.0],
    );
    let check = |density: f64, expected: [f32; 4]| {
        let settings = Ties {
            density,
            lambda: 1.0,
        };
        assert_eq!(merged(&[0.0; 4], &[&a, &b, &c], settings), expected);
    };
    // Signs: + (5), - (-1), none (0), + (0.5).
    check(1.0, [3.0, -3.0, 0.0, 0.5]);
    // Kept: a 4, -2; b 2, -3; c 3 and both of magnitude 1.
    check(0.5, [3.0, -3.0, 3.0, 0.0]);
    // One model that is kept whole is the model itself.
    let whole = Ties {
        density: 1.0,
        lambda: 1.0,
    };
    assert_eq!(merged(&[1.0; 4], &[&a], whole), a);
}

#[test]
fn dare_depends_on_seed_and_name_alone() {
    let (zero_shot, tuned) = weights(4, 1);
    let fine_tuned = &tuned[0];
    let one = dropped("a.weight", &zero_shot, fine_tuned, 0.9, 7);
    let again = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| dropped("a.weight", &zero_shot, fine_tuned, 0.9, 7));
    assert_eq!(bits(&one), bits(&again));
    for (name, seed) in [("b.weight", 7), ("a.weight", 8)] {
        let other = dropped(name, &zero_shot, fine_tuned, 0.9, seed);
        assert_ne!(bits(&one), bits(&other));
    }
    // A value's fate does not depend on how many there are.
    let start = dropped("a.weight", &zero_shot[..100], &fine_tuned[..100], 0.9, 7);
    assert_eq!(bits(&one[..100]), bits(&start));
    let whole = dropped("a.weight", &zero_shot, fine_tuned, 0.0, 7);
    assert_eq!(bits(&whole), bits(fine_tuned));
}

#[test]
fn dare_keeps_its_share_and_the_expected_value() {
    let (zero_shot, fine_tuned) = (vec![1.0; N], vec![1.5; N]);
    for drop in [0.1, 0.5, 0.9] {
        let out = dropped("x", &zero_shot, &fine_tuned, drop, 3);
        let kept = 1.0 + (0.5 / (1.0 - drop)) as f32;
        assert!(out.iter().all(|&v| v == 1.0 || (v - kept).abs() < 1e-6));
        let share = out.iter().filter(|&&v| v != 1.0).count() as f64 / N as f64;
        let error = (drop * (1.0 - drop) / N as f64).sqrt();
        assert!((share - (1.0 - drop)).abs() < 4.0 * error, "{drop} {share}");
        let mean = out.iter().map(|&v| f64::from(v)).sum::<f64>() / N as f64;
        assert!(
            (mean - 1.5).abs() < 4.0 * error * 0.5 / (1.0 - drop),
            "{mean}"
        );
    }
    // Different seeds drop independently: what two of three tasks keep both is a share of a share.
    let [a, b] = [1, 2].map(|seed| dropped("x", &zero_shot, &fine_tuned, 0.5, seed));
    let both = a.iter().zip(&b).filter(|(a, b)| **a != 1.0 && **b != 1.0);
    assert!((both.count() as f64 / N as f64 - 0.25).abs() < 0.02);
}

fn norm(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|&v| f64::from(v).powi(2))
        .sum::<f64>()
        .sqrt()
}

fn angle(a: &[f32], b: &[f32]) -> f64 {
    let dot: f64 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum();
    (dot / (norm(a) * norm(b))).clamp(-1.0, 1.0).acos()
}

#[test]
fn slerp_keeps_the_norm_and_divides_the_angle() {
    let mut values = Values(5);
    let mut unit = |n: usize| -> Vec<f32> {
        let raw: Vec<f32> = (0..n).map(|_| values.unit() as f32 - 0.4).collect();
        let norm = norm(&raw) as f32;
        raw.into_iter().map(|v| v / norm).collect()
    };
    let (a, b) = (unit(N), unit(N));
    let whole = angle(&a, &b);
    let mut out = vec![0.0; N];
    for alpha in [0.1, 0.5, 0.8] {
        assert_eq!(slerp(&a, &b, alpha, &mut out).unwrap(), SlerpPath::Arc);
        assert!((norm(&out) - 1.0).abs() < 1e-6);
        assert!((angle(&a, &out) - alpha * whole).abs() < 1e-6);
        assert!((angle(&out, &b) - (1.0 - alpha) * whole).abs() < 1e-6);
    }
    for (alpha, side) in [(0.0, &a), (1.0, &b)] {
        slerp(&a, &b, alpha, &mut out).unwrap();
        assert_eq!(bits(&out), bits(side));
    }
}

#[test]
fn slerp_goes_straight_where_there_is_no_arc() {
    let (zero_shot, tuned) = weights(6, 1);
    let opposite: Vec<f32> = zero_shot.iter().map(|v| -2.0 * v).collect();
    let nothing = vec![0.0; N];
    let near = added(&zero_shot, &[(0.1, &tuned[0])]);
    for other in [&near, &opposite, &nothing] {
        let (mut out, mut expected) = (vec![0.0; N], vec![0.0; N]);
        let path = slerp(&zero_shot, other, 0.3, &mut out).unwrap();
        interpolate_values(&zero_shot, other, 0.3, &mut expected).unwrap();
        let cosine = angle(&zero_shot, other).cos();
        assert_eq!(path, SlerpPath::Line, "{cosine}");
        assert_eq!(bits(&out), bits(&expected));
    }
}

#[test]
fn uniform_soup_is_the_mean_in_any_order() {
    let (_, tuned) = weights(7, 3);
    let mut soup = vec![0.0; N];
    uniform_soup(&slices(&tuned), &mut soup).unwrap();
    for i in 0..N {
        let mean = tuned.iter().map(|t| f64::from(t[i])).sum::<f64>() / 3.0;
        assert_eq!(soup[i], mean as f32);
    }
    let reversed: Vec<_> = slices(&tuned).into_iter().rev().collect();
    let mut other = vec![0.0; N];
    uniform_soup(&reversed, &mut other).unwrap();
    assert!(largest_difference(&soup, &other) <= 1.0);
    uniform_soup(&[tuned[0].as_slice(); 3], &mut soup).unwrap();
    assert_eq!(bits(&soup), bits(&tuned[0]));
}

fn accuracy(value: f64) -> ValidationAccuracy {
    ValidationAccuracy::new(value).unwrap()
}

#[test]
fn greedy_soup_adds_the_best_first_and_keeps_what_does_not_hurt() {
    let scores = [0.5, 0.9, 0.7, 0.9].map(accuracy);
    let mut asked = Vec::new();
    let soup = greedy_soup::<Error>(&scores, |members| {
        asked.push(members.to_vec());
        Ok(accuracy(match members {
            [1, 3] => 0.9,
            [1, 3, 2] => 0.85,
            _ => 0.95,
        }))
    })
    .unwrap();
    assert_eq!(asked, [vec![1, 3], vec![1, 3, 2], vec![1, 3, 0]]);
    assert_eq!((soup.members, soup.score), (vec![1, 3, 0], accuracy(0.95)));
    let kept: Vec<bool> = soup.tried.iter().map(|tried| tried.kept).collect();
    assert_eq!(kept, [true, false, true]);
}

#[test]
fn settings_and_lengths_are_checked() {
    let mut out = [0.0; 2];
    let says = |result: Result<(), Error>, parts: &[&str]| {
        let message = result.unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    };
    let (short, long) = ([0.0], [0.0; 2]);
    let tasks: [(f64, &[f32]); 2] = [(1.0, &long), (0.0, &short)];
    says(
        add_task_vectors(&long, &tasks, &mut out),
        &["fine_tuned 1", "expected 2", "found 1"],
    );
    says(
        add_task_vectors(&long, &[(f64::NAN, &long)], &mut out),
        &["coefficient 0 is NaN", "finite"],
    );
    for density in [0.0, 1.1, f64::NAN] {
        let settings = Ties {
            density,
            lambda: 1.0,
        };
        says(ties(&long, &[&long], &settings, &mut out), &["density is"]);
    }
    says(
        ties(&long, &[], &Ties::default(), &mut out),
        &["TIES needs at least one"],
    );
    for drop in [-0.1, 1.0, f64::NAN] {
        let settings = Dare { drop, seed: 0 };
        says(dare("x", &long, &long, &settings, &mut out), &["drop is"]);
    }
    let infinite = slerp(&long, &long, f64::INFINITY, &mut out).map(drop);
    says(infinite, &["alpha is inf"]);
    says(uniform_soup(&[], &mut out), &["a soup needs"]);
    let nobody = greedy_soup::<Error>(&[], |_| Ok(accuracy(0.0))).map(drop);
    says(nobody, &["a soup needs"]);
    // A tensor may have no values.
    add_task_vectors(&[], &[(0.5, &[]), (0.5, &[])], &mut []).unwrap();
    ties(&[], &[&[]], &Ties::default(), &mut []).unwrap();
    assert_eq!(slerp(&[], &[], 0.5, &mut []).unwrap(), SlerpPath::Line);
}

#[test]
fn a_mean_on_the_sphere_is_in_the_middle() {
    let members: [&[f32]; 3] = [&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0], &[0.0, 0.0, 1.0]];
    let mut mean = [0.0; 3];
    slerp_mean(&members[..2], &mut mean).unwrap();
    let half = 0.5_f32.sqrt();
    assert_eq!(
        mean.map(|x| (x * 1e6).round()),
        [half, half, 0.0].map(|x| (x * 1e6).round())
    );
    slerp_mean(&members, &mut mean).unwrap();
    // The third at a third of a right angle.
    let (side, up) = (half * 30_f32.to_radians().cos(), 0.5);
    assert!(
        (mean[0] - side).abs() < 1e-6 && (mean[2] - up).abs() < 1e-6,
        "{mean:?}"
    );
    slerp_mean(&members[..1], &mut mean).unwrap();
    assert_eq!(mean, [1.0, 0.0, 0.0]);
    assert!(slerp_mean(&[], &mut mean).is_err());
    assert!(slerp_mean(&[&[1.0]], &mut mean).is_err());
}

#[test]
fn a_sum_of_sparse_tasks_gives_each_a_seed_of_its_own() {
    let zero_shot = vec![1.0; 64];
    let tuned = vec![2.0; 64];
    let settings = Dare { drop: 0.5, seed: 7 };
    let mut out = vec![0.0; 64];
    dare_sum("w", &zero_shot, &[&tuned, &tuned], &settings, &mut out).unwrap();
    let sparse = |seed| {
        let mut out = vec![0.0; 64];
        dare(
            "w",
            &zero_shot,
            &tuned,
            &Dare { seed, ..settings },
            &mut out,
        )
        .unwrap();
        out
    };
    let expected: Vec<f32> = sparse(7)
        .iter()
        .zip(sparse(8))
        .map(|(a, b)| a + b - 1.0)
        .collect();
    assert_eq!(out, expected);
    assert_ne!(sparse(7), sparse(8));
}
