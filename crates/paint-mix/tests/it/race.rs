//! Racing against the full grid, on made-up answers whose truth is known.

use paint_mix::{
    Audit, Candidate, Error, RaceConfig, Raced, Rule, Shape, ValidationAccuracy, choose, race,
};
use std::collections::BTreeSet;

/// Uniform numbers, the same on every machine.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Whether each candidate is right: by task, candidate, image.
struct World {
    alphas: Vec<f64>,
    right: Vec<Vec<Vec<bool>>>,
}

impl World {
    /// `alpha` moves up to `gain` of the patching images from wrong to right, and up to `loss` of
    /// the supported ones from right to wrong, late rather than early. `noise` of all answers are
    /// the other way round.
    fn new(seed: u64, n_images: &[usize], gain: f64, loss: f64, noise: f64) -> Self {
        let random = &mut Random(seed);
        let alphas: Vec<f64> = (0..=10).map(|i| f64::from(i) / 10.0).collect();
        let mut right = Vec::new();
        for (task, &n) in n_images.iter().enumerate() {
            let mut of_task = vec![Vec::new(); alphas.len()];
            for _ in 0..n {
                let (at, always) = (random.unit(), random.unit() < 0.5);
                for (answers, &alpha) in of_task.iter_mut().zip(&alphas) {
                    let answer = match task {
                        0 if at < gain => at / gain < alpha,
                        0 => always,
                        _ if at < loss => alpha < (at / loss).sqrt(),
                        _ => always,
                    };
                    answers.push(answer ^ (random.unit() < noise));
                }
            }
            right.push(of_task);
        }
        Self { alphas, right }
    }

    fn accuracy(&self, task: usize, candidate: usize) -> f64 {
        let answers = &self.right[task][candidate];
        answers.iter().filter(|right| **right).count() as f64 / answers.len() as f64
    }

    fn supported(&self, candidate: usize) -> f64 {
        let n = self.right.len() - 1;
        (1..=n)
            .map(|task| self.accuracy(task, candidate))
            .sum::<f64>()
            / n as f64
    }

    fn grid(&self, rule: Rule) -> f64 {
        let accuracy = |task, j| ValidationAccuracy::new(self.accuracy(task, j)).unwrap();
        let candidate = |j| Candidate {
            alpha: self.alphas[j],
            patch: accuracy(0, j),
            supported: (1..self.right.len())
                .map(|task| accuracy(task, j))
                .collect(),
            drop_margin: 0.0,
        };
        let candidates: Vec<Candidate> = (0..self.alphas.len()).map(candidate).collect();
        choose(&candidates, rule).unwrap().alpha
    }

    fn race(&self, config: &RaceConfig) -> Raced {
        let n: Vec<usize> = self.right.iter().map(|task| task[0].len()).collect();
        let answer = |request: &paint_mix::Request<'_>| {
            let answers = &self.right[request.task][request.candidate];
            Ok::<_, Error>(request.images.iter().map(|&image| answers[image]).collect())
        };
        race(&self.alphas, &n, config, answer).unwrap()
    }

    fn n_grid_passes(&self) -> u64 {
        let n: usize = self.right.iter().map(|task| task[0].len()).sum();
        (n * self.alphas.len()) as u64
    }

    /// Whether `alpha` is not what was promised.
    fn breaks(&self, alpha: f64, config: &RaceConfig) -> bool {
        let epsilon = config.epsilon + 1e-9;
        let chosen = self.alphas.iter().position(|a| *a == alpha).unwrap();
        let drop = |j| self.supported(0) - self.supported(j);
        let mean = |j| (self.accuracy(0, j) + self.supported(j)) / 2.0;
        let mut all = 0..self.alphas.len();
        match config.rule {
            Rule::BestMean => all.any(|j| mean(j) > mean(chosen) + epsilon),
            Rule::BestPatch { max_drop } => {
                drop(chosen) > max_drop + epsilon
                    || all.any(|j| {
                        let allowed = drop(j) <= max_drop + 1e-9;
                        allowed && self.accuracy(0, j) > self.accuracy(0, chosen) + epsilon
                    })
            }
        }
    }
}

const RULES: [Rule; 2] = [Rule::BestMean, Rule::BestPatch { max_drop: 0.01 }];

#[test]
fn using_everything_up_decides_as_the_grid() {
    for seed in 0..60 {
        // Small sets of uneven sizes, with many ties; next to nothing can be proved early.
        let n = [17, 40, 23 + seed as usize % 5];
        let noise = [0.0, 0.1][seed as usize % 2];
        let world = World::new(seed, &n, 0.4, 0.2, noise);
        for rule in [RULES[0], RULES[1], Rule::BestPatch { max_drop: 0.0 }] {
            let config = RaceConfig {
                rule,
                epsilon: 0.0,
                delta: 1e-12,
                batch: 1 + seed as usize % 7,
                shape: Shape::Any,
                seed,
            };
            assert_eq!(
                world.race(&config).choice.alpha,
                world.grid(rule),
                "{seed} {rule:?}"
            );
            if noise == 0.0 {
                let config = RaceConfig {
                    shape: Shape::Nested,
                    ..config
                };
                assert_eq!(
                    world.race(&config).choice.alpha,
                    world.grid(rule),
                    "{seed} {rule:?}"
                );
            }
        }
    }
}

/// 300 races for each rule, over worlds from gentle to harsh.
fn many_races(shape: Shape, noise: f64, least_saved: [f64; 2]) {
    let n = [200, 250, 350];
    for (rule, least_saved) in RULES.into_iter().zip(least_saved) {
        let (mut n_wrong, mut saved) = (0, 0.0);
        for seed in 0..300 {
            let loss = 0.02 + 0.3 * (seed % 10) as f64 / 10.0;
            let world = World::new(seed, &n, 0.3, loss, noise);
            let config = RaceConfig {
                rule,
                shape,
                epsilon: 0.01,
                delta: 0.2,
                seed,
                ..Default::default()
            };
            let raced = world.race(&config);
            n_wrong += u64::from(world.breaks(raced.choice.alpha, &config));
            saved += world.n_grid_passes() as f64 / raced.n_passes() as f64 / 300.0;
        }
        // Of 300 at 20 %, 60 may be wrong; the bounds leave room.
        assert!(
            n_wrong <= 30,
            "{rule:?}: {n_wrong} of 300 choices are wrong"
        );
        assert!(
            saved > least_saved,
            "{rule:?}: {saved:.2} times fewer passes"
        );
    }
}

#[test]
fn choices_are_seldom_wrong_whatever_the_answers_are() {
    many_races(Shape::Any, 0.01, [1.1, 1.4]);
}

#[test]
fn choices_on_nested_answers_are_seldom_wrong_and_much_cheaper() {
    many_races(Shape::Nested, 0.0, [2.5, 3.0]);
}

#[test]
fn nothing_is_asked_twice_and_the_same_race_asks_the_same() {
    let world = World::new(5, &[60, 50, 70], 0.4, 0.2, 0.01);
    let n = [60, 50, 70];
    for shape in [Shape::Any, Shape::Nested] {
        let config = RaceConfig {
            shape,
            seed: 11,
            ..Default::default()
        };
        let asked = |seed| {
            let mut all = Vec::new();
            let config = RaceConfig { seed, ..config };
            let raced = race(&world.alphas, &n, &config, |request| {
                let (j, task) = (request.candidate, request.task);
                all.push((j, task, request.first, request.images.to_vec()));
                let answers = &world.right[task][j];
                Ok::<_, Error>(request.images.iter().map(|&image| answers[image]).collect())
            });
            (all, raced.unwrap())
        };
        let (all, raced) = asked(11);
        assert_eq!((all.clone(), raced.clone()), asked(11));
        assert_ne!(all, asked(12).0);
        let mut seen = BTreeSet::new();
        let mut n_passes = 0;
        for (j, task, first, images) in all {
            let before = seen
                .iter()
                .filter(|(k, t, _)| (*k, *t) == (j, task))
                .count();
            assert_eq!(first, before);
            for image in images {
                assert!(image < n[task] && seen.insert((j, task, image)));
                n_passes += 1;
            }
        }
        assert_eq!(raced.n_passes(), n_passes);
        let zero_shot: Vec<u64> = raced.measured[0]
            .iter()
            .map(|tally| tally.n_measured)
            .collect();
        assert_eq!(zero_shot, [60, 50, 70]);
    }
}

#[test]
fn an_audit_tells_whether_answers_are_nested() {
    let audit = |noise| {
        let world = World::new(2, &[400, 400], 0.3, 0.1, noise);
        world
            .race(&RaceConfig {
                shape: Shape::Nested,
                ..Default::default()
            })
            .audit
    };
    let Audit { n, n_wrong } = audit(0.0);
    assert!(n > 10 && n_wrong == 0, "{n_wrong} of {n}");
    let Audit { n, n_wrong } = audit(0.2);
    assert!(5 * n_wrong > n / 2, "{n_wrong} of {n}");
}

#[test]
fn what_follows_is_counted_as_known_and_not_as_measured() {
    let world = World::new(9, &[300, 300], 0.3, 0.1, 0.0);
    let raced = world.race(&RaceConfig {
        epsilon: 0.0,
        delta: 1e-9,
        shape: Shape::Nested,
        ..Default::default()
    });
    let mut n_inferred = 0;
    for (j, tallies) in raced.measured.iter().enumerate() {
        for (task, tally) in tallies.iter().enumerate() {
            n_inferred += tally.n - tally.n_measured;
            if tally.n == 300 {
                assert_eq!(tally.n_right as f64 / 300.0, world.accuracy(task, j));
            }
        }
    }
    assert!(n_inferred > 300, "{n_inferred}");
}

#[test]
fn without_supported_tasks_the_patching_task_decides() {
    let world = World::new(4, &[300], 0.5, 0.0, 0.0);
    for rule in RULES {
        let raced = world.race(&RaceConfig {
            rule,
            ..Default::default()
        });
        assert!(raced.choice.alpha >= 0.9, "{}", raced.choice.reason);
    }
}

#[test]
fn mistakes_are_refused() {
    let all_right =
        |request: &paint_mix::Request<'_>| Ok::<_, Error>(vec![true; request.images.len()]);
    let message = |alphas: &[f64], n: &[usize], config: RaceConfig| {
        race(alphas, n, &config, all_right).unwrap_err().to_string()
    };
    let good = RaceConfig::default();
    for (alphas, said) in [
        (&[][..], "alpha 0"),
        (&[0.5, 1.0], "alpha 0"),
        (&[0.0, 0.5, 0.5], "must rise"),
        (&[0.0, f64::NAN], "must rise"),
        (&[0.0, 1.5], "1.5"),
    ] {
        assert!(message(alphas, &[5, 5], good).contains(said), "{said}");
    }
    assert!(message(&[0.0, 1.0], &[5, 0], good).contains("[5, 0]"));
    assert!(message(&[0.0, 1.0], &[], good).contains("images"));
    for config in [
        RaceConfig {
            epsilon: -0.1,
            ..good
        },
        RaceConfig {
            epsilon: f64::NAN,
            ..good
        },
        RaceConfig { delta: 0.0, ..good },
        RaceConfig { delta: 1.0, ..good },
        RaceConfig { batch: 0, ..good },
        RaceConfig {
            rule: Rule::BestPatch { max_drop: 2.0 },
            ..good
        },
    ] {
        assert!(message(&[0.0, 1.0], &[5, 5], config).contains("cannot choose alpha"));
    }
    let short = race(&[0.0, 1.0], &[5, 5], &good, |_| Ok::<_, Error>(vec![true]));
    assert!(matches!(
        short,
        Err(Error::Answers {
            expected: 5,
            actual: 1
        })
    ));
    let failing = race(&[0.0, 1.0], &[5], &good, |_| {
        Err(Error::Accuracy { value: 7.0 })
    });
    assert!(matches!(failing, Err(Error::Accuracy { .. })));
    assert_eq!(
        race(&[0.0], &[5, 5], &good, all_right)
            .unwrap()
            .choice
            .alpha,
        0.0
    );
}
