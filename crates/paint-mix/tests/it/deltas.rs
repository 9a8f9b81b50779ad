//! Deltas: written, added, stacked, taken away, compared, and refused where they do not belong.

use crate::checkpoints::{Tensor, Values, f16s, f32s, i64s, save};
use paint_mix::{
    DeltaDtype, Error, LayerGroup, Origin, Tower, apply_delta, conflict, read_delta, read_record,
    remove_delta, weights_sha256, write_delta,
};
use safetensors::SafeTensors;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

const LAYER: &str = "vision_model.encoder.layers.0.mlp.fc1.weight";
const PROJECTION: &str = "visual_projection.weight";
const TEXT: &str = "text_projection.weight";

struct Place {
    dir: tempfile::TempDir,
    layer: Vec<f32>,
    projection: Vec<f32>,
}

impl Place {
    /// With a `base`, and two models tuned from it, `one` and `two`.
    fn new(seed: u64) -> Self {
        let mut values = Values(seed);
        let weight = |values: &mut Values| (values.unit() as f32 - 0.5) * 0.2;
        let layer: Vec<f32> = (0..6000).map(|_| weight(&mut values)).collect();
        let projection: Vec<f32> = (0..64).map(|_| weight(&mut values)).collect();
        let dir = tempfile::tempdir().unwrap();
        let place = Self {
            dir,
            layer,
            projection,
        };
        place.write("base", &place.layer, &place.projection);
        for name in ["one", "two"] {
            let moved = |values: &mut Values, from: &[f32]| -> Vec<f32> {
                let step = |v: &f32| v + (values.unit() as f32 - 0.5) * 4e-4;
                from.iter().map(step).collect()
            };
            let layer = moved(&mut values, &place.layer);
            let projection = match name {
                "one" => moved(&mut values, &place.projection),
                _ => place.projection.clone(),
            };
            place.write(name, &layer, &projection);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, layer: &[f32], projection: &[f32]) {
        let tensors: Vec<Tensor> = vec![
            f32s(LAYER, &[60, 100], layer),
            f32s(PROJECTION, &[8, 8], projection),
            f32s(TEXT, &[2], &[1.0, -0.0]),
            i64s("vision_model.embeddings.position_ids", &[0, 1, 2]),
        ];
        save(self.dir.path(), name, &tensors);
    }

    fn delta(&self, tuned: &str, dtype: DeltaDtype) -> PathBuf {
        let out = self.path(&format!("{tuned}-{dtype:?}.delta"));
        write_delta(&self.path("base"), &self.path(tuned), &out, dtype).unwrap();
        out
    }

    fn values(&self, name: &str, tensor: &str) -> Vec<f32> {
        let bytes = std::fs::read(self.path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor(tensor).unwrap();
        let values = tensor.data().as_chunks::<4>().0.iter();
        values.map(|&value| f32::from_le_bytes(value)).collect()
    }

    fn apply(&self, deltas: &[(&Path, f64)], out: &str) {
        let (base, out) = (self.path("base"), self.path(out));
        apply_delta(&base, deltas, &out, Origin::Verified).unwrap();
    }
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Error>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn a_delta_has_what_differs_and_knows_how_exact_it_is() {
    let place = Place::new(1);
    let mut found = Vec::new();
    for dtype in [DeltaDtype::F16, DeltaDtype::Bf16] {
        let path = place.delta("two", dtype);
        let info = read_delta(&path).unwrap();
        assert_eq!((info.n_tensors, info.n_values), (1, 6000));
        assert!(info.n_bytes < 2 * 6000 + 1000, "{}", info.n_bytes);
        assert_eq!(
            info.base_sha256,
            weights_sha256(&place.path("base")).unwrap()
        );
        let tuned = weights_sha256(&place.path("two")).unwrap();
        assert_eq!(info.fine_tuned_sha256, tuned);
        place.apply(&[(&path, 1.0)], "patched");
        let patched = place.values("patched", LAYER);
        let tuned = place.values("two", LAYER);
        let error = |(p, t): (&f32, &f32)| (f64::from(*p) - f64::from(*t)).abs();
        let largest = patched.iter().zip(&tuned).map(error).fold(0.0, f64::max);
        // Adding rounds once more.
        assert!(largest <= info.rounding.max_absolute + 0.1 * 2_f64.powi(-24));
        found.push(info.rounding);
    }
    let [f16, bf16] = found[..] else { panic!() };
    // Half a unit of eleven bits, and of eight.
    assert!(f16.max_relative <= 2_f64.powi(-11), "{f16:?}");
    assert!(bf16.max_relative <= 2_f64.powi(-8), "{bf16:?}");
    assert!(6.0 * f16.relative_l2 < bf16.relative_l2, "{f16:?} {bf16:?}");
}

#[test]
fn changes_too_small_for_f16_are_kept_by_the_exponent() {
    let place = Place::new(2);
    let tiny: Vec<f32> = place.layer.iter().map(|_| 0.0).collect();
    place.write("base", &tiny, &place.projection);
    // Far below f16's smallest number, 6e-8; the last is lost beside the others.
    let mut changed = tiny.clone();
    (changed[0], changed[1], changed[2]) = (1e-12, -3e-13, 1e-30);
    place.write("one", &changed, &place.projection);
    let path = place.delta("one", DeltaDtype::F16);
    assert_eq!(read_delta(&path).unwrap().rounding.max_relative, 1.0);
    place.apply(&[(&path, 1.0)], "patched");
    let patched = place.values("patched", LAYER);
    assert!((patched[0] / 1e-12 - 1.0).abs() < 5e-4);
    assert!((patched[1] / -3e-13 - 1.0).abs() < 5e-4);
    assert_eq!(patched[2..], tiny[2..]);
}

#[test]
fn deltas_add_up_scale_and_leave_the_rest_alone() {
    let place = Place::new(3);
    let (one, two) = (
        place.delta("one", DeltaDtype::F16),
        place.delta("two", DeltaDtype::F16),
    );
    place.apply(&[(&one, 0.4), (&two, -0.7)], "patched");
    let found = place.values("patched", LAYER);
    let (a, b) = (place.values("one", LAYER), place.values("two", LAYER));
    for i in 0..found.len() {
        let z = f64::from(place.layer[i]);
        let expected = z + 0.4 * (f64::from(a[i]) - z) - 0.7 * (f64::from(b[i]) - z);
        assert!((f64::from(found[i]) - expected).abs() < 2e-7, "{i}");
    }
    let names = |name: &str| {
        let bytes = std::fs::read(place.path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        file.names()
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(names("patched"), names("base"));
    assert_eq!(
        place.values("patched", TEXT)[1].to_bits(),
        (-0.0_f32).to_bits()
    );
    let record = read_record(&place.path("patched")).unwrap().unwrap();
    let base = weights_sha256(&place.path("base")).unwrap();
    assert_eq!(record.base_sha256, base);
    let alphas: Vec<f64> = record.deltas.iter().map(|delta| delta.alpha).collect();
    assert_eq!(alphas, [0.4, -0.7]);
    place.apply(&[(&one, 0.0)], "same");
    assert_eq!(weights_sha256(&place.path("same")).unwrap(), base);
}

#[test]
fn a_delta_is_taken_away_as_exactly_as_is_said() {
    let place = Place::new(4);
    let (one, two) = (
        place.delta("one", DeltaDtype::F16),
        place.delta("two", DeltaDtype::F16),
    );
    place.apply(&[(&one, 0.4), (&two, 1.0)], "both");
    let (both, less, none) = (place.path("both"), place.path("less"), place.path("none"));
    let removed = remove_delta(&both, &one, 0.4, &less, Origin::Verified).unwrap();
    assert_eq!((removed.record.deltas.len(), removed.restored), (1, None));
    let removed = remove_delta(&less, &two, 1.0, &none, Origin::Verified).unwrap();
    assert!(removed.record.deltas.is_empty());
    let found = place.values("none", LAYER);
    let pairs = || found.iter().zip(&place.layer);
    let error = |(f, z): (&f32, &f32)| (f64::from(*f) - f64::from(*z)).abs();
    // Two roundings were undone.
    assert!(pairs().map(error).fold(0.0, f64::max) <= 2.0 * removed.max_error);
    assert!(removed.max_error < 2e-8, "{}", removed.max_error);
    let n_exact = pairs().filter(|(f, z)| f.to_bits() == z.to_bits()).count();
    assert!(n_exact as f64 > 0.9 * found.len() as f64, "{n_exact}");
    let exact = found == place.layer && place.values("none", PROJECTION) == place.projection;
    assert_eq!(removed.restored, Some(exact));
    let same = read_record(&none).unwrap().unwrap().base_sha256;
    assert_eq!(same, weights_sha256(&place.path("base")).unwrap());
}

#[test]
fn weights_that_come_back_whole_are_recognised() {
    let place = Place::new(5);
    // Changes that are whole units of the values, which no rounding touches.
    let base = vec![1.0; 6000];
    let tuned = vec![1.25; 6000];
    place.write("base", &base, &place.projection);
    place.write("one", &tuned, &place.projection);
    let delta = place.delta("one", DeltaDtype::Bf16);
    place.apply(&[(&delta, 1.0)], "patched");
    assert_eq!(place.values("patched", LAYER), tuned);
    let (patched, out) = (place.path("patched"), place.path("out"));
    let removed = remove_delta(&patched, &delta, 1.0, &out, Origin::Verified).unwrap();
    assert_eq!(removed.restored, Some(true));
    // What was restored takes deltas as the base does.
    apply_delta(
        &out,
        &[(&delta, 0.5)],
        &place.path("again"),
        Origin::Verified,
    )
    .unwrap();
}

#[test]
fn a_delta_stays_with_its_base_unless_told_otherwise() {
    let place = Place::new(6);
    let (one, two) = (
        place.delta("one", DeltaDtype::F16),
        place.delta("two", DeltaDtype::F16),
    );
    let (base, out) = (
        weights_sha256(&place.path("base")).unwrap(),
        place.path("out"),
    );
    let tuned = weights_sha256(&place.path("two")).unwrap();
    says(
        apply_delta(&place.path("two"), &[(&one, 1.0)], &out, Origin::Verified),
        &[&base, &tuned, "name the checkpoint the delta was made from"],
    );
    place.apply(&[(&one, 0.5)], "patched");
    let patched = place.path("patched");
    says(
        apply_delta(&patched, &[(&two, 1.0)], &out, Origin::Verified),
        &[&base, "carries 1 deltas on that base", "--stack"],
    );
    assert!(!out.exists());
    let stacked = apply_delta(&patched, &[(&two, 1.0)], &out, Origin::Any).unwrap();
    assert_eq!(stacked.record.base_sha256, base);
    assert_eq!(stacked.record.deltas.len(), 2);
    // One after the other is the same as both at once, but for one rounding more.
    place.apply(&[(&one, 0.5), (&two, 1.0)], "at-once");
    let pair = [place.values("out", LAYER), place.values("at-once", LAYER)];
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 2e-8;
    assert!(pair[0].iter().zip(&pair[1]).all(near));
}

#[test]
fn what_was_not_added_is_not_taken_away() {
    let place = Place::new(7);
    let (one, two) = (
        place.delta("one", DeltaDtype::F16),
        place.delta("two", DeltaDtype::F16),
    );
    place.apply(&[(&one, 0.5)], "patched");
    let (patched, out) = (place.path("patched"), place.path("out"));
    says(
        remove_delta(&patched, &two, 0.5, &out, Origin::Verified),
        &[
            "two-F16.delta",
            "it carries",
            "with alpha 0.5",
            "--unrecorded",
        ],
    );
    says(
        remove_delta(&patched, &one, 0.4, &out, Origin::Verified),
        &["with alpha 0.4", "with alpha 0.5"],
    );
    says(
        remove_delta(&place.path("one"), &one, 1.0, &out, Origin::Verified),
        &["it carries nothing"],
    );
    assert!(!out.exists());
    // The fine-tuned model carries it without saying so.
    let removed = remove_delta(&place.path("one"), &one, 1.0, &out, Origin::Any).unwrap();
    let error = |(f, z): (&f32, &f32)| (f64::from(*f) - f64::from(*z)).abs();
    let found = place.values("out", LAYER);
    let largest = found
        .iter()
        .zip(&place.layer)
        .map(error)
        .fold(0.0, f64::max);
    let rounding = read_delta(&one).unwrap().rounding.max_absolute;
    assert!(largest <= removed.max_error + rounding);
}

#[test]
fn conflicts_are_counted_by_layer_group() {
    let place = Place::new(8);
    let up: Vec<f32> = place.layer.iter().map(|v| v + 0.25).collect();
    let mut down = place.layer.clone();
    // Of ten values four are untouched, two move the other way, four along.
    for (i, value) in down.iter_mut().enumerate() {
        *value += [0.0, 0.0, 0.0, 0.0, -0.5, -0.25, 0.25, 0.25, 0.25, 0.25][i % 10];
    }
    let projection = vec![9.0; 64];
    place.write("one", &up, &projection);
    place.write("two", &down, &place.projection);
    let (one, two) = (
        place.delta("one", DeltaDtype::F16),
        place.delta("two", DeltaDtype::F16),
    );
    let groups = conflict(&one, &two, 1e-3).unwrap();
    let layer = groups[&LayerGroup::Layer(Tower::Vision, 0)];
    assert_eq!((layer.n, layer.n_both, layer.n_opposed), (6000, 3600, 1200));
    assert_eq!(layer.sign_disagreement(), Some(1.0 / 3.0));
    let cosine = (4.0 - 3.0) / (10.0_f64 * (5.0 + 4.0)).sqrt();
    assert!((layer.cosine.unwrap() - cosine).abs() < 1e-3, "{layer:?}");
    let at_projection = groups[&LayerGroup::Projection(Tower::Vision)];
    assert_eq!((at_projection.n, at_projection.n_both), (64, 0));
    assert_eq!(
        (at_projection.cosine, at_projection.sign_disagreement()),
        (None, None)
    );
    let large = conflict(&one, &two, 0.3).unwrap();
    assert_eq!(large[&LayerGroup::Layer(Tower::Vision, 0)].n_both, 0);
    let same = conflict(&one, &one, 0.0).unwrap();
    let same = same[&LayerGroup::Layer(Tower::Vision, 0)];
    assert_eq!((same.n_opposed, same.cosine), (0, Some(1.0)));
    says(conflict(&one, &two, f64::NAN), &["above is NaN"]);
    place.write("base", &up, &projection);
    let other = place.delta("two", DeltaDtype::Bf16);
    says(conflict(&one, &other, 0.0), &["only deltas of one base"]);
}

#[test]
fn what_is_no_delta_or_does_not_fit_is_refused() {
    let place = Place::new(9);
    let delta = place.delta("one", DeltaDtype::F16);
    let (base, out) = (place.path("base"), place.path("out"));
    let apply = |base: &Path, delta: &Path, alpha, out: &Path| {
        apply_delta(base, &[(delta, alpha)], out, Origin::Any)
    };
    says(
        apply(&base, &base, 1.0, &out),
        &["base is not a usable delta", "format is not paint-delta"],
    );
    says(
        apply(&base, &delta, f64::NAN, &out),
        &["alpha of", "one-F16.delta is NaN"],
    );
    says(apply(&base, &delta, 1.0, &delta), &["also an input"]);
    says(
        apply(&base, &delta, 1e300, &out),
        &["overflow in", "fc1.weight"],
    );
    says(apply_delta(&base, &[], &out, Origin::Any), &["no deltas"]);
    says(
        write_delta(&base, &base, &out, DeltaDtype::F16),
        &["the same weights"],
    );
    let stranger = save(place.dir.path(), "stranger", &[f16s(LAYER, &[1.0; 6])]);
    says(
        apply(&stranger, &delta, 1.0, &out),
        &["does not fit", "[60, 100] is F16 [6]", "is missing"],
    );
    let mut broken = place.layer.clone();
    broken[7] = f32::NAN;
    place.write("two", &broken, &place.projection);
    says(
        write_delta(&base, &place.path("two"), &out, DeltaDtype::F16),
        &["two: NaN or infinite values", "fc1.weight: 1 of 6000"],
    );
    assert!(!out.exists());
    // A version of the future.
    let bytes = std::fs::read(&delta).unwrap();
    let text = br#""version":"1""#;
    let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
    let mut newer = bytes.clone();
    newer[at + text.len() - 2] = b'2';
    std::fs::write(place.path("newer"), newer).unwrap();
    says(read_delta(&place.path("newer")), &["version 2; 1 is read"]);
}
