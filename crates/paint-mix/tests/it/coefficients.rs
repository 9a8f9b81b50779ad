//! The search for coefficients, and the distances between weights.

use paint_mix::{BUDGET, Error, LayerGroup, Searched, Tower, WeightDistances, search_coefficients};

/// A hill with its top at `top`, in steps as an accuracy on 500 images is.
fn hill<'a>(top: &'a [f64]) -> impl FnMut(&[f64]) -> Result<f64, Error> + 'a {
    move |point| {
        let squares = point.iter().zip(top).map(|(p, t)| (p - t) * (p - t));
        Ok((500.0 * (1.0 - squares.sum::<f64>() / top.len() as f64)).floor() / 500.0)
    }
}

fn searched(top: &[f64], start: f64, budget: usize, seed: u64) -> Searched {
    let start = vec![start; top.len()];
    search_coefficients(top.len(), &start, budget, seed, hill(top)).unwrap()
}

const TOP: [f64; 9] = [0.9, 0.2, 0.6, 0.4, 0.75, 0.3, 1.0, 0.0, 0.5];

#[test]
fn the_start_is_measured_first_and_the_best_is_the_best_that_was_measured() {
    for k in 1..=9 {
        for budget in [1, 2, 7, 30, BUDGET, 200] {
            let found = searched(&TOP[..k], 0.5, budget, 1);
            assert_eq!(found.evaluated[0].coefficients, vec![0.5; k]);
            assert!(found.evaluated.len() <= budget);
            let scores = || found.evaluated.iter().map(|e| e.score);
            assert_eq!(found.best.score, scores().fold(0.0, f64::max));
            assert!(found.evaluated.contains(&found.best));
            for (position, one) in found.evaluated.iter().enumerate() {
                assert!(one.coefficients.iter().all(|c| (0.0..=1.0).contains(c)));
                let before = &found.evaluated[..position];
                assert!(before.iter().all(|e| e.coefficients != one.coefficients));
            }
        }
    }
}

#[test]
fn the_top_is_approached_within_the_default_budget() {
    for k in 1..=9 {
        let top = &TOP[..k];
        let start = hill(top)(&vec![0.5; k]).unwrap();
        for seed in 0..5 {
            let found = searched(top, 0.5, BUDGET, seed).best.score;
            // Of what the start lacks: all but a tenth on the grid, most of it beyond.
            let lacking = (1.0 - found) / (1.0 - start);
            let allowed = if k <= 3 { 0.1 } else { 0.67 };
            assert!(lacking <= allowed, "k {k}, seed {seed}: {lacking}");
        }
    }
}

#[test]
fn the_same_seed_asks_the_same_and_the_grid_needs_none() {
    assert_eq!(searched(&TOP, 0.3, 40, 5), searched(&TOP, 0.3, 40, 5));
    assert_ne!(searched(&TOP, 0.3, 40, 5), searched(&TOP, 0.3, 40, 6));
    let top = &TOP[..3];
    assert_eq!(searched(top, 0.3, 40, 5), searched(top, 0.3, 40, 6));
}

#[test]
fn one_coefficient_is_searched_in_steps_of_a_twentieth() {
    let found = searched(&[0.35], 0.5, BUDGET, 0);
    for step in 0..=20 {
        let alpha = f64::from(step) / 20.0;
        assert!(found.evaluated.iter().any(|e| e.coefficients == [alpha]));
    }
}

#[test]
fn a_plateau_ends_and_the_start_stays() {
    for k in [2, 5] {
        let start = vec![0.4; k];
        let flat = |_: &[f64]| Ok::<_, Error>(0.7);
        let found = search_coefficients(k, &start, 300, 0, flat).unwrap();
        assert_eq!(found.best.coefficients, start);
    }
}

#[test]
fn an_objective_that_fails_ends_the_search() {
    let mut n = 0;
    let result = search_coefficients(5, &[0.5; 5], 50, 0, |_| {
        n += 1;
        match n {
            12 => Err(Error::Nothing("the disk is full")),
            _ => Ok(0.5),
        }
    });
    assert_eq!(result.unwrap_err().to_string(), "the disk is full");
    assert_eq!(n, 12);
}

#[test]
fn settings_are_checked() {
    let says = |k: usize, start: &[f64], budget: usize, part: &str| {
        let result = search_coefficients(k, start, budget, 0, |_| Ok::<_, Error>(f64::NAN));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is not in {message}");
    };
    says(0, &[], 5, "no tasks");
    says(2, &[0.5; 2], 0, "budget of 0");
    says(2, &[0.5], 5, "start: expected 2 values, found 1");
    says(2, &[0.5, 1.5], 5, "start, coefficient 1, is 1.5");
    says(2, &[f64::NAN, 0.0], 5, "start, coefficient 0, is NaN");
    says(2, &[0.5; 2], 5, "[0.5, 0.5] is not a number");
}

#[test]
fn distances_are_those_of_the_formula_in_any_order_of_the_tensors() {
    let tensors: [(&str, [f32; 2], [f32; 2]); 4] = [
        (
            "vision_model.encoder.layers.0.mlp.fc1.weight",
            [3.0, 0.0],
            [3.0, 1.0],
        ),
        (
            "vision_model.encoder.layers.0.mlp.fc1.bias",
            [0.0, 4.0],
            [0.0, 4.0],
        ),
        ("visual_projection.weight", [1.0, 0.0], [0.0, 1.0]),
        ("logit_scale", [0.0, 0.0], [0.0, 2.0]),
    ];
    let gather = |order: [usize; 4]| {
        let mut distances = WeightDistances::default();
        for (name, zero_shot, fine_tuned) in order.map(|i| tensors[i]) {
            distances.add(name, &zero_shot, &fine_tuned).unwrap();
        }
        (distances.groups(), distances.total())
    };
    let (groups, total) = gather([0, 1, 2, 3]);
    assert_eq!((groups.clone(), total), gather([3, 1, 0, 2]));
    let layer = groups[&LayerGroup::Layer(Tower::Vision, 0)];
    assert_eq!((layer.n, layer.relative), (4, Some(0.2)));
    let cosine = 25.0 / (5.0 * 26_f64.sqrt());
    assert!((layer.cosine.unwrap() - cosine).abs() < 1e-15);
    let projection = groups[&LayerGroup::Projection(Tower::Vision)];
    assert_eq!(projection.relative, Some(2_f64.sqrt()));
    assert_eq!(projection.cosine, Some(0.0));
    let other = groups[&LayerGroup::Other];
    assert_eq!((other.relative, other.cosine), (None, None));
    assert_eq!(total.n, 8);
    assert!((total.relative.unwrap() - (7.0_f64 / 26.0).sqrt()).abs() < 1e-15);
    let mut distances = WeightDistances::default();
    let error = distances.add("logit_scale", &[1.0], &[]).unwrap_err();
    assert!(error.to_string().contains("expected 1 values, found 0"));
}
