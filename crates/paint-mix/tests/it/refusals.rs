//! What is refused, with which words, and that nothing is left behind.

use crate::checkpoints::{Tensor, bf16s, f16s, f32s, f64s, i64s, listing, save};
use paint_mix::{Error, FloatDtype, Options, interpolate};
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Command,
};

/// The error's words, after checking that the directory is as before.
fn refused(zero_shot: &Path, fine_tuned: &Path, alpha: f64, options: &Options) -> String {
    let dir = zero_shot.parent().unwrap();
    let before = listing(dir);
    let result = interpolate(zero_shot, fine_tuned, alpha, &dir.join("theta"), options);
    assert_eq!(listing(dir), before);
    let message = result.unwrap_err().to_string();
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "{message}"
    );
    message
}

fn check(zero_shot: &[Tensor], fine_tuned: &[Tensor], expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let zero_shot = save(dir.path(), "zero_shot", zero_shot);
    let fine_tuned = save(dir.path(), "fine_tuned", fine_tuned);
    // In one piece, and each value by itself on any thread.
    let small = Options {
        chunk_elements: NonZeroUsize::MIN,
        ..Options::default()
    };
    for options in [&Options::default(), &small] {
        let message = refused(&zero_shot, &fine_tuned, 0.5, options);
        for part in expected {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }
}

#[test]
fn alpha_out_of_range() {
    let dir = tempfile::tempdir().unwrap();
    let w = save(dir.path(), "w", &[f32s("w", &[1], &[1.0])]);
    for alpha in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let message = refused(&w, &w, alpha, &Options::default());
        assert!(message.contains("outside [0, 1]"), "{message}");
    }
    let options = Options {
        extrapolate: true,
        ..Options::default()
    };
    assert!(refused(&w, &w, f64::NAN, &options).contains("NaN"));
}

#[test]
fn differences_are_grouped_and_only_the_first_few_listed() {
    let scalar = |name| f32s(name, &[], &[0.0]);
    let mut zero_shot: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(scalar).to_vec();
    let mut fine_tuned = vec![scalar("x")];
    zero_shot.extend([f32s("shape", &[2], &[0.0; 2]), i64s("kind", &[1])]);
    fine_tuned.extend([
        f32s("shape", &[1, 2], &[0.0; 2]),
        f32s("kind", &[1], &[1.0]),
    ]);
    check(
        &zero_shot,
        &fine_tuned,
        &[
            "only in zero_shot (6): a [], b [], c [], d [], and 2 more",
            "only in fine_tuned (1): x []",
            "different shapes (1): shape [2] and [1, 2]",
            "dtypes that do not mix (1): kind I64 and F32",
        ],
    );
}

#[test]
fn only_integer_position_ids_may_be_missing() {
    let w = || f32s("w", &[1], &[1.0]);
    check(
        &[w(), i64s("counter", &[1])],
        &[w()],
        &["only in zero_shot (1): counter"],
    );
    let floats = f32s("position_ids", &[1], &[0.0]);
    check(
        &[w()],
        &[w(), floats],
        &["only in fine_tuned (1): position_ids"],
    );
}

#[test]
fn unsupported_dtypes() {
    let eight_bit = || ("w", safetensors::Dtype::F8_E4M3, vec![1], vec![0]);
    check(
        &[eight_bit()],
        &[eight_bit()],
        &["unsupported dtypes (1): w F8_E4M3"],
    );
}

#[test]
fn integers_that_differ() {
    let (one, other) = ([i64s("steps", &[1, 2, 3])], [i64s("steps", &[1, 9, 9])]);
    check(&one, &other, &["steps: 2 of 3 values differ"]);
}

#[test]
fn values_that_are_not_finite_in_every_dtype() {
    let bad = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let wide = [1.0, f64::NAN, 0.0, 2.0];
    let fine = [
        f16s("h", &[1.0; 4]),
        bf16s("b", &[1.0; 4]),
        f32s("f", &[4], &[1.0; 4]),
    ];
    let fine: Vec<_> = fine.into_iter().chain([f64s("d", &[1.0; 4])]).collect();
    let broken = [
        f16s("h", &bad),
        bf16s("b", &bad),
        f32s("f", &[4], &bad),
        f64s("d", &wide),
    ];
    let parts = [
        "tensors (4)",
        "h: 3 of 4",
        "b: 3 of 4",
        "f: 3 of 4",
        "d: 1 of 4",
    ];
    check(&fine, &broken, &[&parts[..], &["fine_tuned: NaN"]].concat());
    check(&broken, &fine, &[&parts[..], &["zero_shot: NaN"]].concat());
}

#[test]
fn a_copy_of_values_that_are_not_finite() {
    let dir = tempfile::tempdir().unwrap();
    let good = save(dir.path(), "good", &[f32s("w", &[1], &[1.0])]);
    let bad = save(dir.path(), "bad", &[f32s("w", &[1], &[f32::INFINITY])]);
    for (zero_shot, fine_tuned, alpha) in [(&bad, &good, 0.0), (&good, &bad, 1.0)] {
        let message = refused(zero_shot, fine_tuned, alpha, &Options::default());
        assert!(message.contains("bad: NaN or infinite values in tensors (1): w: 1 of 1"));
    }
}

#[test]
fn results_that_overflow() {
    let dir = tempfile::tempdir().unwrap();
    let large = [f32s("ok", &[1], &[1.0]), f32s("w", &[3], &[1e5, 7e4, 6e4])];
    let path = save(dir.path(), "w", &large);
    let options = Options {
        output_dtype: Some(FloatDtype::F16),
        ..Options::default()
    };
    for alpha in [0.0, 0.5] {
        let message = refused(&path, &path, alpha, &options);
        assert!(
            message.contains("overflow in tensors (1): w (F16): 2 of 3"),
            "{message}"
        );
    }
    let huge = [f64s("w", &[1e300, 1.0])];
    check(&huge, &huge, &["w (F64): 1 of 2"]);
}

#[test]
fn output_that_is_an_input() {
    let dir = tempfile::tempdir().unwrap();
    let one = save(dir.path(), "one", &[f32s("w", &[1], &[1.0])]);
    let other = save(dir.path(), "other", &[f32s("w", &[1], &[2.0])]);
    let indirect = dir.path().join(".").join("other");
    let result = interpolate(&one, &other, 0.5, &indirect, &Options::default());
    assert!(matches!(result, Err(Error::OutputIsInput { .. })));
    assert!(fs::read(&other).unwrap().ends_with(&2.0_f32.to_le_bytes()));
}

#[test]
fn an_existing_output_survives_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let one = save(dir.path(), "one", &[f32s("w", &[1], &[1.0])]);
    let nan = save(dir.path(), "nan", &[f32s("w", &[1], &[f32::NAN])]);
    fs::write(dir.path().join("theta"), "precious").unwrap();
    refused(&one, &nan, 0.5, &Options::default());
    assert_eq!(
        fs::read_to_string(dir.path().join("theta")).unwrap(),
        "precious"
    );
}

#[test]
fn missing_files_and_directories() {
    let dir = tempfile::tempdir().unwrap();
    let w = save(dir.path(), "w", &[f32s("w", &[1], &[1.0])]);
    let missing = refused(&w, &dir.path().join("absent"), 0.5, &Options::default());
    assert!(
        missing.starts_with("cannot read") && missing.contains("absent"),
        "{missing}"
    );
    let folder = refused(&w, dir.path(), 0.5, &Options::default());
    assert!(folder.contains("model.safetensors"), "{folder}");
    let output = dir.path().join("no/such/dir/theta");
    let message = interpolate(&w, &w, 0.5, &output, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("cannot write") && message.contains("nothing was left"),
        "{message}"
    );
}

/// A file of these bytes in place of each of the inputs.
fn hostile(bytes: &[u8], expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let good = save(dir.path(), "good", &[f32s("w", &[2], &[1.0, 2.0])]);
    let bad = dir.path().join("bad");
    fs::write(&bad, bytes).unwrap();
    for (one, other) in [(&good, &bad), (&bad, &good)] {
        let message = refused(one, other, 0.5, &Options::default());
        for part in [&["bad: "], expected].concat() {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }
}

fn with_header(json: &str, n_data: usize) -> Vec<u8> {
    [
        &(json.len() as u64).to_le_bytes(),
        json.as_bytes(),
        &vec![0; n_data],
    ]
    .concat()
}

#[test]
fn files_that_are_something_else() {
    hostile(b"", &["empty (0 bytes)", "fetch the file again"]);
    hostile(b"abc", &["truncated: 3 bytes", "fetch the file again"]);
    hostile(
        b"\n<!DOCTYPE html><html>",
        &["HTML", "(22 bytes)", "fetch the file again"],
    );
    hostile(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 605143884\n",
        &["Git LFS pointer", "git lfs pull"],
    );
    hostile(
        b"PK\x03\x04 and so on, a zip",
        &["pickle", "safetensors.torch.save_file"],
    );
    hostile(
        &[0xff; 64],
        &["18446744073709551615 bytes", "in a file of 64"],
    );
    hostile(&with_header("not json", 0), &["header unreadable"]);
    hostile(&with_header("[1, 2]", 0), &["header unreadable"]);
    hostile(
        &[8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0],
        &["header unreadable"],
    );
}

#[test]
fn headers_that_lie() {
    let one = |shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    hostile(
        &with_header(&one("[2]", "[0,8]"), 7),
        &["truncated", "bytes expected"],
    );
    hostile(
        &with_header(&one("[2]", "[0,8]"), 9),
        &["bytes after the last tensor"],
    );
    hostile(
        &with_header(&one("[2]", "[0,8]"), 8)[..30],
        &["truncated", "the file has 30"],
    );
    hostile(
        &with_header(&one("[3]", "[0,8]"), 8),
        &["takes 12 bytes, its place is 0..8"],
    );
    hostile(
        &with_header(&one("[2]", "[4,12]"), 12),
        &["begins at data byte 4, expected 0"],
    );
    hostile(&with_header(&one("[2]", "[8,0]"), 8), &["damaged header"]);
    hostile(
        &with_header(&one("[2]", "[-8,0]"), 8),
        &["header unreadable"],
    );
    let whole = u64::MAX;
    hostile(
        &with_header(&one("[4294967296,4294967296]", "[0,8]"), 8),
        &["impossible shape"],
    );
    hostile(
        &with_header(&one("[2]", &format!("[0,{whole}]")), 8),
        &["damaged header"],
    );
    hostile(
        &with_header(&one("[2]", "[0,8]").replace("F32", "F99"), 8),
        &["header unreadable"],
    );
    let twice = r#"{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    hostile(&with_header(twice, 2), &["tensor w is listed twice"]);
    let overlap = r#"{"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#;
    hostile(
        &with_header(overlap, 3),
        &["w begins at data byte 1, expected 2"],
    );
}

#[test]
fn every_truncation_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let good = save(
        dir.path(),
        "good",
        &[f32s("w", &[2], &[1.0, 2.0]), i64s("n", &[4])],
    );
    let bytes = fs::read(&good).unwrap();
    let bad = dir.path().join("bad");
    for n in 0..bytes.len() {
        fs::write(&bad, &bytes[..n]).unwrap();
        refused(&good, &bad, 0.5, &Options::default());
    }
}

#[test]
fn flipped_header_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let good = save(
        dir.path(),
        "good",
        &[f32s("w", &[2], &[1.0, 2.0]), i64s("n", &[4])],
    );
    let bytes = fs::read(&good).unwrap();
    let (bad, out) = (dir.path().join("bad"), dir.path().join("theta"));
    let mut n_refused = 0;
    for i in 0..bytes.len() - 16 {
        for flip in [0x01, 0x10, 0x80] {
            let mut bytes = bytes.clone();
            bytes[i] ^= flip;
            fs::write(&bad, &bytes).unwrap();
            n_refused +=
                usize::from(interpolate(&good, &bad, 0.5, &out, &Options::default()).is_err());
        }
    }
    // What is left are bytes of no meaning: spaces, and names of keys that are ignored.
    assert!(
        n_refused > 2 * (bytes.len() - 16),
        "{n_refused} of {}",
        3 * (bytes.len() - 16)
    );
}

/// A file system of half a megabyte, where this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).ok()?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "paint-mix-test"])
            .arg(at)
            .output()
            .ok()?;
        mount.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_full_disk_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else {
        println!("skipped: a small file system cannot be mounted here");
        return;
    };
    let values = vec![1.0; 200_000];
    let one = save(dir.path(), "one", &[f32s("w", &[200_000], &values)]);
    for alpha in [0.0, 0.5] {
        let output = disk.0.join("theta");
        let result = interpolate(&one, &one, alpha, &output, &Options::default());
        let message = result.unwrap_err().to_string();
        assert!(message.contains("No space left"), "{message}");
        assert!(message.contains("nothing was left behind"), "{message}");
        assert_eq!(listing(&disk.0), [""; 0]);
    }
}
