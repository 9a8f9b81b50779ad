//! Properties of the arithmetic and of the files, through the public interface.

use crate::checkpoints::{Tensor, Values, bf16s, f16s, f32s, f64s, i64s, listing, save};
use half::{bf16, f16};
use paint_mix::{Error, FloatDtype, Method, Options, Report, interpolate, interpolate_values};
use safetensors::{Dtype, SafeTensors};
use std::{fs, num::NonZeroUsize, path::Path};

const ALPHAS: [f64; 9] = [0.0, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1.0];

fn blended(zero_shot: &[f32], fine_tuned: &[f32], alpha: f64) -> Vec<f32> {
    let mut theta = vec![f32::NAN; zero_shot.len()];
    interpolate_values(zero_shot, fine_tuned, alpha, &mut theta).unwrap();
    theta
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Enough values for several pieces and a rest.
fn weights(seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut values = Values(seed);
    let zero_shot = values.weights(40_001);
    let fine_tuned = values.tuned(&zero_shot);
    (zero_shot, fine_tuned)
}

#[test]
fn follows_the_formula_in_f64_to_half_a_unit_and_a_bit() {
    let (zero_shot, fine_tuned) = weights(1);
    for alpha in ALPHAS {
        let theta = blended(&zero_shot, &fine_tuned, alpha);
        for ((&z, &f), &found) in zero_shot.iter().zip(&fine_tuned).zip(&theta) {
            let expected = (1.0 - alpha) * f64::from(z) + alpha * f64::from(f);
            let scale = f64::from(z.abs().max(f.abs()));
            let error = (f64::from(found) - expected).abs();
            assert!(
                error <= 1.5 * f64::from(f32::EPSILON) * scale,
                "{z} {f} {alpha} {found}"
            );
        }
    }
}

#[test]
fn endpoints_are_exact() {
    let (zero_shot, fine_tuned) = weights(2);
    assert_eq!(
        bits(&blended(&zero_shot, &fine_tuned, 0.0)),
        bits(&zero_shot)
    );
    assert_eq!(
        bits(&blended(&zero_shot, &fine_tuned, 1.0)),
        bits(&fine_tuned)
    );
    let broken = vec![f32::NAN; zero_shot.len()];
    assert_eq!(bits(&blended(&zero_shot, &broken, 0.0)), bits(&zero_shot));
}

#[test]
fn what_both_share_stays_as_it_is() {
    let (zero_shot, _) = weights(3);
    let theta = [0.1, 0.37, 0.5, 0.9].map(|alpha| blended(&zero_shot, &zero_shot, alpha));
    // Equality of values: a negative zero may become a positive one.
    theta.iter().for_each(|theta| assert_eq!(theta, &zero_shot));
}

#[test]
fn is_symmetric_monotone_and_linear() {
    let (zero_shot, fine_tuned) = weights(4);
    for alpha in [0.0625, 0.125, 0.25, 0.375] {
        let forth = blended(&zero_shot, &fine_tuned, alpha);
        let back = blended(&fine_tuned, &zero_shot, 1.0 - alpha);
        assert_eq!(bits(&forth), bits(&back), "{alpha}");
    }
    for half in [&ALPHAS[..4], &ALPHAS[4..]] {
        for pair in half.windows(2) {
            let one = blended(&zero_shot, &fine_tuned, pair[0]);
            let next = blended(&zero_shot, &fine_tuned, pair[1]);
            for i in 0..one.len() {
                let rises = fine_tuned[i] >= zero_shot[i];
                assert!(
                    if rises {
                        one[i] <= next[i]
                    } else {
                        one[i] >= next[i]
                    },
                    "{i} {pair:?}"
                );
            }
        }
    }
    let scaled = |values: &[f32]| values.iter().map(|value| -4.0 * value).collect::<Vec<_>>();
    let theta = blended(&zero_shot, &fine_tuned, 0.3);
    assert_eq!(
        blended(&scaled(&zero_shot), &scaled(&fine_tuned), 0.3),
        scaled(&theta)
    );
}

#[test]
fn known_values() {
    assert_eq!(
        blended(&[0.0, 2.0, -1.0], &[1.0, 4.0, 1.0], 0.25),
        [0.25, 2.5, -0.5]
    );
    assert_eq!(
        blended(&[0.0, 2.0, -1.0], &[1.0, 4.0, 1.0], 0.75),
        [0.75, 3.5, 0.5]
    );
    assert_eq!(blended(&[1.0], &[2.0], 1.5), [2.5]);
    assert_eq!(blended(&[1.0], &[2.0], -0.5), [0.5]);
    assert_eq!(blended(&[], &[], 0.5), [0.0; 0]);
}

#[test]
fn bad_arguments_are_refused() {
    let lengths = interpolate_values(&[1.0], &[1.0, 2.0], 0.5, &mut [0.0]);
    assert!(matches!(
        lengths,
        Err(Error::Lengths {
            zero_shot: 1,
            fine_tuned: 2,
            out: 1
        })
    ));
    let alpha = interpolate_values(&[1.0], &[1.0], f64::NAN, &mut [0.0]);
    assert!(matches!(alpha, Err(Error::Alpha { .. })));
}

/// Interpolates two checkpoints, reads the result with the reference reader.
fn mixed(
    dir: &Path,
    zero_shot: &[Tensor],
    fine_tuned: &[Tensor],
    alpha: f64,
    options: &Options,
) -> (Report, Vec<u8>) {
    let zero_shot = save(dir, "zero_shot", zero_shot);
    let fine_tuned = save(dir, "fine_tuned", fine_tuned);
    let output = dir.join("theta");
    let report = interpolate(&zero_shot, &fine_tuned, alpha, &output, options).unwrap();
    assert_eq!(listing(dir), ["fine_tuned", "theta", "zero_shot"]);
    (report, fs::read(output).unwrap())
}

fn chunks_of(n: usize) -> Options {
    Options {
        chunk_elements: NonZeroUsize::new(n).unwrap(),
        ..Options::default()
    }
}

#[test]
fn files_and_memory_agree_for_any_chunk_size() {
    let (zero_shot, fine_tuned) = weights(5);
    let tensors = |values: &[f32]| {
        vec![
            f32s("b.weight", &[50, 800], &values[..40_000]),
            f32s("a.bias", &[1], &values[40_000..]),
            f32s("empty", &[0, 3], &[]),
            i64s("embeddings.position_ids", &[0, 1, 2]),
        ]
    };
    let dir = tempfile::tempdir().unwrap();
    for alpha in [0.3, 0.5, 0.8] {
        let run = |chunk| {
            mixed(
                dir.path(),
                &tensors(&zero_shot),
                &tensors(&fine_tuned),
                alpha,
                &chunks_of(chunk),
            )
        };
        let (report, file) = run(1 << 20);
        let theta = blended(&zero_shot, &fine_tuned, alpha);
        let read = SafeTensors::deserialize(&file).unwrap();
        let expected: Vec<u8> = theta.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(
            read.tensor("b.weight").unwrap().data(),
            &expected[..160_000]
        );
        assert_eq!(read.tensor("a.bias").unwrap().data(), &expected[160_000..]);
        assert_eq!(read.tensor("b.weight").unwrap().shape(), [50, 800]);
        assert_eq!(read.tensor("empty").unwrap().shape(), [0, 3]);
        let ids = read.tensor("embeddings.position_ids").unwrap();
        assert_eq!(
            ids.data(),
            [0_i64, 1, 2].map(i64::to_le_bytes).as_flattened()
        );
        assert_eq!(
            (report.n_interpolated, report.n_carried, report.n_parameters),
            (3, 1, 40_001)
        );
        for chunk in [97, 16_384, 16_385, 39_999] {
            assert_eq!(
                run(chunk),
                (report.clone(), file.clone()),
                "chunks of {chunk}"
            );
        }
    }
}

#[test]
fn header_is_the_same_whatever_the_order_of_the_inputs() {
    let one = [
        f32s("b", &[1], &[1.0]),
        f32s("a", &[1], &[3.0]),
        f16s("c", &[1.0]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = mixed(dir.path(), &one, &one, 0.5, &Options::default());
    let header = concat!(
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#,
        r#""b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"#,
        r#""c":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}"#
    );
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    assert_eq!(
        std::str::from_utf8(&file[8..8 + length])
            .unwrap()
            .trim_end(),
        header
    );
}

#[test]
fn ends_are_byte_exact_copies_even_beside_a_broken_counterpart() {
    let dir = tempfile::tempdir().unwrap();
    let zero_shot = [f32s("w", &[2], &[1.0, -0.0]), i64s("position_ids", &[7])];
    let fine_tuned = [f16s("w", &[f32::NAN, 2.0])];
    let (report, file) = mixed(dir.path(), &zero_shot, &fine_tuned, 0.0, &chunks_of(1));
    assert_eq!(file, fs::read(dir.path().join("zero_shot")).unwrap());
    assert_eq!(
        (report.method, &report.output),
        (Method::CopiedZeroShot, &report.zero_shot)
    );
    assert_eq!(report.one_sided, ["position_ids"]);
    let (report, file) = mixed(
        dir.path(),
        &fine_tuned,
        &zero_shot,
        1.0,
        &Options::default(),
    );
    assert_eq!(file, fs::read(dir.path().join("fine_tuned")).unwrap());
    assert_eq!(
        (report.method, &report.output),
        (Method::CopiedFineTuned, &report.fine_tuned)
    );
}

#[test]
fn hashes_are_those_of_the_files() {
    use sha2::{Digest, Sha256};
    let dir = tempfile::tempdir().unwrap();
    let (zero_shot, fine_tuned) = weights(6);
    let tensors = |values: &[f32]| [f32s("w", &[values.len()], values)];
    let (report, _) = mixed(
        dir.path(),
        &tensors(&zero_shot),
        &tensors(&fine_tuned),
        0.4,
        &chunks_of(1000),
    );
    let files = [
        ("zero_shot", &report.zero_shot),
        ("fine_tuned", &report.fine_tuned),
        ("theta", &report.output),
    ];
    for (name, identity) in files {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        let expected: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            (identity.sha256.as_ref(), identity.n_bytes),
            (Some(&expected), bytes.len() as u64),
            "{name}"
        );
    }
}

#[test]
fn without_checksums_and_synchronisation_the_bytes_are_the_same() {
    let (zero_shot, fine_tuned) = weights(31);
    let tensors = |values: &[f32]| [f32s("w", &[values.len()], values)];
    let (zero_shot, fine_tuned) = (tensors(&zero_shot), tensors(&fine_tuned));
    let dir = tempfile::tempdir().unwrap();
    for alpha in [0.0, 0.3, 1.0] {
        let file = |checksums| {
            let options = Options {
                checksums,
                durable: checksums,
                ..chunks_of(9000)
            };
            mixed(dir.path(), &zero_shot, &fine_tuned, alpha, &options)
        };
        let ((hashed, expected), (report, bytes)) = (file(true), file(false));
        assert_eq!(bytes, expected, "alpha {alpha}");
        let hashes = |report: &Report| {
            [&report.zero_shot, &report.fine_tuned, &report.output].map(|f| f.sha256.is_some())
        };
        assert_eq!((hashes(&hashed), hashes(&report)), ([true; 3], [false; 3]));
    }
}

#[test]
fn dtypes_mix_and_are_rounded_once() {
    let (zero_shot, fine_tuned) = ([1.0, -3.0, 0.1], [1.001, 5.0, 0.3]);
    let doubles = |values: [f32; 3]| values.map(f64::from);
    let dir = tempfile::tempdir().unwrap();
    let zs = [
        f16s("half", &zero_shot),
        bf16s("brain", &zero_shot),
        f64s("double", &doubles(zero_shot)),
        f16s("mixed", &zero_shot),
        f32s("scalar", &[], &[2.5]),
    ];
    let ft = [
        f16s("half", &fine_tuned),
        bf16s("brain", &fine_tuned),
        f64s("double", &doubles(fine_tuned)),
        bf16s("mixed", &fine_tuned),
        f32s("scalar", &[], &[3.5]),
    ];
    let (report, file) = mixed(dir.path(), &zs, &ft, 0.3, &Options::default());
    let read = SafeTensors::deserialize(&file).unwrap();
    let data = |name: &str| read.tensor(name).unwrap().data().to_vec();
    let through =
        |round: fn(f32) -> f32| blended(&zero_shot.map(round), &fine_tuned.map(round), 0.3);
    let half: Vec<u8> = through(|v| f16::from_f32(v).to_f32())
        .iter()
        .flat_map(|&v| f16::from_f32(v).to_le_bytes())
        .collect();
    assert_eq!(data("half"), half);
    let brain: Vec<u8> = through(|v| bf16::from_f32(v).to_f32())
        .iter()
        .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
        .collect();
    assert_eq!(data("brain"), brain);
    let double: Vec<u8> = through(|v| v)
        .iter()
        .flat_map(|&v| f64::from(v).to_le_bytes())
        .collect();
    assert_eq!(data("double"), double);
    let mixed_values = blended(
        &zero_shot.map(|v| f16::from_f32(v).to_f32()),
        &fine_tuned.map(|v| bf16::from_f32(v).to_f32()),
        0.3,
    );
    let mixed_bytes: Vec<u8> = mixed_values.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(data("mixed"), mixed_bytes);
    assert_eq!(read.tensor("scalar").unwrap().shape(), [0_usize; 0]);
    assert_eq!(data("scalar"), 2.8_f32.to_le_bytes());
    let dtypes: Vec<_> = report
        .dtypes
        .iter()
        .map(|(k, &n)| (k.as_str(), n))
        .collect();
    assert_eq!(dtypes, [("BF16", 1), ("F16", 1), ("F32", 2), ("F64", 1)]);
}

#[test]
fn an_explicit_dtype_holds_for_all_floats_and_for_the_ends() {
    let dir = tempfile::tempdir().unwrap();
    let zs = [f32s("w", &[2], &[1.0, 0.1]), i64s("n", &[3])];
    let ft = [f32s("w", &[2], &[2.0, 0.2]), i64s("n", &[3])];
    let options = Options {
        output_dtype: Some(FloatDtype::F16),
        ..Options::default()
    };
    for (alpha, expected) in [(0.0, [1.0, 0.1]), (0.5, [1.5, 0.15]), (1.0, [2.0, 0.2])] {
        let (report, file) = mixed(dir.path(), &zs, &ft, alpha, &options);
        let read = SafeTensors::deserialize(&file).unwrap();
        let w = read.tensor("w").unwrap();
        assert_eq!(
            (report.method, w.dtype()),
            (Method::Interpolated, Dtype::F16)
        );
        assert_eq!(
            w.data(),
            expected
                .map(|v| f16::from_f32(v).to_le_bytes())
                .as_flattened()
        );
        assert_eq!(read.tensor("n").unwrap().dtype(), Dtype::I64);
    }
    let options = Options {
        output_dtype: Some(FloatDtype::F32),
        ..Options::default()
    };
    let (report, _) = mixed(dir.path(), &zs, &ft, 1.0, &options);
    assert_eq!(report.method, Method::CopiedFineTuned);
}

#[test]
fn extrapolates_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let (zs, ft) = ([f32s("w", &[1], &[1.0])], [f32s("w", &[1], &[2.0])]);
    let options = Options {
        extrapolate: true,
        ..Options::default()
    };
    let (_, file) = mixed(dir.path(), &zs, &ft, 1.5, &options);
    assert!(file.ends_with(&2.5_f32.to_le_bytes()));
}

#[test]
fn position_ids_of_the_fine_tuned_side_alone_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let zs = [f32s("w", &[1], &[1.0])];
    let ft = [
        f32s("w", &[1], &[2.0]),
        i64s("text_model.embeddings.position_ids", &[0, 1]),
    ];
    let (report, file) = mixed(dir.path(), &zs, &ft, 0.5, &Options::default());
    assert_eq!(report.one_sided, ["text_model.embeddings.position_ids"]);
    assert_eq!(SafeTensors::deserialize(&file).unwrap().names(), ["w"]);
}

#[cfg(unix)]
#[test]
fn the_output_has_the_permissions_of_an_ordinary_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let w = [f32s("w", &[1], &[1.0])];
    mixed(dir.path(), &w, &w, 0.5, &Options::default());
    let mode = |name| {
        fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("theta"), mode("zero_shot"));
}
