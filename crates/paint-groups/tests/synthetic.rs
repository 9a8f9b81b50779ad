//! All methods on made-up embeddings: a weak core direction, a strong spurious one that agrees with
//! the class for 95 % of the training samples, and noise.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use paint_data::Rng;
use paint_groups::*;

const WIDTH: usize = 12;

struct Split {
    values: Vec<f32>,
    labels: Vec<u32>,
    groups: Groups,
}

impl Split {
    /// Four groups with these numbers of samples: (class, attribute) = (0,0), (0,1), (1,0), (1,1).
    fn new(counts: [usize; 4], seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (mut values, mut labels, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (group, n) in counts.into_iter().enumerate() {
            let (class, place) = ((group / 2) as u32, (group % 2) as u32);
            for _ in 0..n {
                let sign = |of: u32| if of == 1 { 1.0 } else { -1.0 };
                values.push(0.4 * sign(class) + 0.3 * rng.normal());
                values.push(sign(place) + 0.2 * rng.normal());
                values.extend((2..WIDTH).map(|_| 0.35 * rng.normal()));
                labels.push(class);
                places.push(place);
            }
        }
        let attribute = Attribute {
            name: "place",
            values: &places,
            n_values: 2,
        };
        let groups = Groups::new(&labels, 2, attribute).unwrap();
        Self {
            values,
            labels,
            groups,
        }
    }

    fn samples(&self) -> Samples<'_> {
        Samples::new(&self.values, WIDTH, &self.labels, 2).unwrap()
    }

    fn grouped(&self) -> GroupedSamples<'_> {
        GroupedSamples::new(self.samples(), &self.groups).unwrap()
    }

    fn metrics(&self, classifier: &Classifier) -> GroupMetrics {
        GroupMetrics::new(&classifier.predict(&self.samples()).unwrap(), &self.groups).unwrap()
    }

    fn worst(&self, classifier: &Classifier) -> f64 {
        self.metrics(classifier).worst().1.value
    }
}

struct World {
    train: Split,
    validation: Split,
    test: Split,
    zero_shot: Classifier,
}

fn world() -> World {
    // The texts confuse the class with the place, too.
    let mut texts = vec![0.0; 2 * WIDTH];
    (texts[0], texts[1]) = (-0.6, -0.6);
    (texts[WIDTH], texts[WIDTH + 1]) = (0.6, 0.6);
    World {
        train: Split::new([760, 40, 40, 760], 1),
        validation: Split::new([150, 150, 50, 50], 2),
        test: Split::new([400, 400, 400, 400], 3),
        zero_shot: Classifier::zero_shot(&texts, WIDTH).unwrap(),
    }
}

fn sgd(epochs: usize) -> SgdConfig {
    SgdConfig {
        epochs,
        learning_rate: 0.03,
        ..SgdConfig::default()
    }
}

#[test]
fn erm_relies_on_the_attribute_and_the_oracles_do_not() {
    let w = world();
    let erm = erm(&w.zero_shot, &w.train.samples(), &sgd(20), None).unwrap();
    let metrics = w.test.metrics(&erm);
    assert!(metrics.gap() > 0.1, "{metrics:?}");
    // Weighted as in training, it looks well.
    let adjusted = metrics.adjusted_average(&w.train.groups).unwrap();
    assert!(adjusted.value > metrics.mean.value + 0.05);
    let dfr = dfr(&erm, &w.validation.grouped(), &DfrConfig::default()).unwrap();
    assert_eq!(dfr.n_per_group, 50);
    assert!(w.test.worst(&dfr.classifier) > metrics.worst().1.value + 0.1);
    let dro = group_dro(&w.zero_shot, &w.train.grouped(), 0.01, &sgd(20), None).unwrap();
    assert!(w.test.worst(&dro) > metrics.worst().1.value + 0.1);
}

#[test]
fn methods_without_group_labels_raise_the_worst_group() {
    let w = world();
    let train = w.train.samples();
    let plain = erm(&w.zero_shot, &train, &sgd(20), None).unwrap();
    let floor = w.test.worst(&plain) + 0.05;

    let config = JttConfig {
        identify_epochs: 5,
        upweights: vec![50],
        sgd: sgd(20),
    };
    let (twice, n_wrong) = jtt(&w.zero_shot, &train, &config, None).unwrap();
    assert!(n_wrong > 10 && n_wrong < 200, "{n_wrong}");
    let worst = w.test.worst(&twice[0]);
    assert!(worst > floor, "JTT {worst}");

    // AFR counts on a base that gets the rare groups wrong as such; one that only misses those of
    // them whose core is weak makes it look away from the core.
    let (_, second) = train.split(0.8, 0).unwrap();
    let validation = w.validation.grouped();
    let mut selection = Selection::with_groups(&validation);
    afr(&w.zero_shot, &second, &AfrConfig::default(), &mut selection).unwrap();
    let chosen = selection.by(SelectedBy::WorstGroup).unwrap();
    let worst = w.test.worst(&chosen.classifier);
    let before = w.test.worst(&w.zero_shot);
    assert!(
        worst > before + 0.3,
        "AFR {worst} from {before}, {}",
        chosen.settings
    );

    let calibration = CalibrationSet::new(&plain, &train).unwrap();
    for positives in [
        Positives::RandomCorrect { n: 8 },
        Positives::DynamicCentroid { draws: 16 },
    ] {
        for negatives in [Negatives::RandomOther, Negatives::NearestOther] {
            for holistic in [Holistic::Cosine, Holistic::Targeted(Targeted::default())] {
                let config = CfrConfig {
                    sgd: sgd(10),
                    positives,
                    negatives,
                    n_negatives: 8,
                    temperature: 0.1,
                    holistic,
                    ..CfrConfig::default()
                };
                let mut selection = Selection::with_groups(&validation);
                cfr(
                    &w.zero_shot,
                    &train,
                    &calibration,
                    &config,
                    Some(&mut selection),
                )
                .unwrap();
                let chosen = selection.by(SelectedBy::WorstGroup).unwrap();
                let worst = w.test.worst(&chosen.classifier);
                assert!(worst > floor, "{config:?}: {worst}, not {floor}");
            }
        }
    }
}

#[test]
fn without_anchors_the_holistic_term_is_left() {
    let w = world();
    let mut values = vec![0.0; 2 * WIDTH];
    (values[0], values[WIDTH]) = (-1.0, 1.0);
    let train = Samples::new(&values, WIDTH, &[0, 1], 2).unwrap();
    let calibration = CalibrationSet::new(&w.zero_shot, &train).unwrap();
    assert!(calibration.anchors().is_empty());
    let config = CfrConfig {
        sgd: sgd(2),
        ..CfrConfig::default()
    };
    let trained = cfr(&w.zero_shot, &train, &calibration, &config, None).unwrap();
    assert_ne!(trained, w.zero_shot);
    let off = CfrConfig {
        holistic: Holistic::Off,
        sgd: SgdConfig {
            weight_decay: 0.0,
            ..sgd(2)
        },
        ..config
    };
    let untouched = cfr(&w.zero_shot, &train, &calibration, &off, None).unwrap();
    assert_eq!(untouched, w.zero_shot);
}

#[test]
fn the_seed_decides() {
    let w = world();
    let train = w.train.samples();
    let calibration = CalibrationSet::new(&w.zero_shot, &train).unwrap();
    let run = |seed| {
        let config = CfrConfig {
            sgd: SgdConfig { seed, ..sgd(1) },
            ..CfrConfig::default()
        };
        cfr(&w.zero_shot, &train, &calibration, &config, None).unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn bad_settings_are_refused_in_one_line() {
    let w = world();
    let train = w.train.samples();
    let check = |config: SgdConfig, expected: &str| {
        let error = erm(&w.zero_shot, &train, &config, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    };
    check(SgdConfig { batch: 0, ..sgd(1) }, "batch = 0");
    check(sgd(0), "epochs = 0");
    let wild = SgdConfig {
        learning_rate: 1e300,
        ..sgd(3)
    };
    check(wild, "lower the learning rate");
    let empty = Split::new([5, 5, 5, 0], 1);
    for error in [
        dfr(&w.zero_shot, &empty.grouped(), &DfrConfig::default()).err(),
        group_dro(&w.zero_shot, &empty.grouped(), 0.01, &sgd(1), None).err(),
    ] {
        let error = error.unwrap().to_string();
        assert!(
            error.contains("class 1 with attribute 1 has no samples"),
            "{error}"
        );
    }
    let other = CalibrationSet::new(&w.zero_shot, &w.test.samples()).unwrap();
    assert!(
        cfr(
            &w.zero_shot,
            &w.validation.samples(),
            &other,
            &CfrConfig::default(),
            None
        )
        .is_err()
    );
}
