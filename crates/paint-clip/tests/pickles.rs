//! PyTorch files that are hostile, old, or something else. None of them is ever executed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use candle_core::Device;
use paint_clip::{Error, load_tensors};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn assert_says(dir: &Path, parts: &[&str]) {
    let error = load_tensors(dir, &Device::Cpu).unwrap_err().to_string();
    assert!(!error.contains('\n') && !error.ends_with('.'), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn model_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), "{}").unwrap();
    dir
}

/// A directory whose `pytorch_model.bin` has these entries.
fn archive(entries: &[(&str, &[u8])]) -> TempDir {
    let dir = model_dir();
    let mut zip = ZipWriter::new(File::create(dir.path().join("pytorch_model.bin")).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    dir
}

/// An archive with this pickle and one storage of 24 bytes.
fn pickled(pickle: &[u8]) -> TempDir {
    archive(&[("m/data.pkl", pickle), ("m/data/0", &[0; 24])])
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = b"X".to_vec();
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn int(n: i64) -> Vec<u8> {
    let mut bytes = b"\x8a\x08".to_vec();
    bytes.extend(n.to_le_bytes());
    bytes
}

fn tuple(numbers: &[i64]) -> Vec<u8> {
    let items: Vec<u8> = numbers.iter().flat_map(|n| int(*n)).collect();
    [b"(", items.as_slice(), b"t"].concat()
}

struct TensorOf<'a> {
    storage: &'a str,
    key: &'a str,
    len: i64,
    offset: i64,
    shape: &'a [i64],
    strides: &'a [i64],
}

impl Default for TensorOf<'_> {
    fn default() -> Self {
        Self {
            storage: "FloatStorage",
            key: "0",
            len: 6,
            offset: 0,
            shape: &[2, 3],
            strides: &[3, 1],
        }
    }
}

impl TensorOf<'_> {
    fn pickle(&self) -> Vec<u8> {
        let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
        bytes.extend(text("storage"));
        bytes.extend(format!("ctorch\n{}\n", self.storage).as_bytes());
        bytes.extend(text(self.key));
        bytes.extend(text("cpu"));
        bytes.extend(int(self.len));
        bytes.extend(b"tQ");
        bytes.extend(int(self.offset));
        bytes.extend(tuple(self.shape));
        bytes.extend(tuple(self.strides));
        bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        bytes
    }

    /// A state dict with this tensor alone, as `w`.
    fn state_dict(&self) -> Vec<u8> {
        [b"\x80\x02}".as_slice(), &text("w"), &self.pickle(), b"s."].concat()
    }
}

#[test]
fn the_builder_of_these_tests_makes_files_that_are_read() {
    let dir = pickled(&TensorOf::default().state_dict());
    assert_says(
        dir.path(),
        &[
            "398 missing: ",
            "1 not part of the model: w (in ",
            "pytorch_model.bin",
        ],
    );
}

#[test]
fn globals_that_are_no_part_of_a_state_dict_are_refused_by_name() {
    for (global, name) in [
        ("cos\nsystem\n", "os.system"),
        ("c__builtin__\neval\n", "__builtin__.eval"),
        ("cbuiltins\ngetattr\n", "builtins.getattr"),
        (
            "ctorch.storage\n_load_from_bytes\n",
            "torch.storage._load_from_bytes",
        ),
        (
            "ctorch._utils\n_rebuild_tensor_v3\n",
            "torch._utils._rebuild_tensor_v3",
        ),
        ("ctorch\nload\n", "torch.load"),
        (
            "cnumpy.core.multiarray\n_reconstruct\n",
            "numpy.core.multiarray._reconstruct",
        ),
        (
            "ctransformers.models.clip\nCLIPModel\n",
            "transformers.models.clip.CLIPModel",
        ),
    ] {
        let pickle = [b"\x80\x02(", global.as_bytes(), &text("echo"), b"\x85R."].concat();
        let dir = pickled(&pickle);
        let result = load_tensors(dir.path(), &Device::Cpu);
        assert!(
            matches!(result, Err(Error::Pickle { position: 3, .. })),
            "{name}"
        );
        assert_says(
            dir.path(),
            &["data.pkl, byte 3", &format!("`{name}`"), "not executed"],
        );
    }
}

#[test]
fn opcodes_that_could_do_more_are_refused_by_name() {
    for (opcode, name) in [
        (&b"\x80\x02(ios\nsystem\n."[..], "INST (0x69)"),
        (b"\x80\x02(\x93.", "STACK_GLOBAL (0x93)"),
        (b"\x80\x02)\x81.", "NEWOBJ (0x81)"),
        (b"\x80\x02)o.", "OBJ (0x6f)"),
        (b"\x80\x02\x82\x01.", "EXT (0x82)"),
        (b"\x80\x02P1\n.", "PERSID (0x50)"),
        (b"\x80\x02N2.", "DUP (0x32)"),
        (b"\x80\x02\xff.", "0xff"),
    ] {
        assert_says(pickled(opcode).path(), &["data.pkl, byte ", name]);
    }
}

#[test]
fn pickles_that_do_not_add_up_are_refused() {
    let calls_a_tensor = [
        b"\x80\x02".as_slice(),
        &TensorOf::default().pickle(),
        b")R.",
    ]
    .concat();
    let twice = [
        b"\x80\x02}(".as_slice(),
        &text("w"),
        &TensorOf::default().pickle(),
        &text("w"),
        &TensorOf::default().pickle(),
        b"u.",
    ]
    .concat();
    let training_state = [b"\x80\x02}", &text("epoch")[..], &int(3), b"s."].concat();
    for (pickle, part) in [
        (&b""[..], "ends in the middle"),
        (b"\x80\x02", "ends in the middle"),
        (b"\x80\x02.", "more than the stack has"),
        (b"\x80\x04.", "protocol 4"),
        (b"\x80\x02}(K\x01N", "ends in the middle"),
        (b"\x80\x02X\xff\xff\xff\xff", "ends in the middle"),
        (b"\x80\x02X\x01\0\0\0\xff.", "not UTF-8"),
        (b"\x80\x02\x8a\xff\x01", "ends in the middle"),
        (b"\x80\x02\x8a\x091234567890.", "more than 64 bits"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02N(\x86.", "more than the stack has"),
        (b"\x80\x02h\x07.", "memo 7"),
        (b"\x80\x02q\x07.", "memoises nothing"),
        (b"\x80\x02NNNs.", "no dict"),
        (b"\x80\x02}(Nu.", "no dict"),
        (b"\x80\x02NQ.", "no storage"),
        (b"\x80\x02NNR.", "no function"),
        (
            b"\x80\x02ccollections\nOrderedDict\nN\x85R.",
            "OrderedDict with arguments",
        ),
        (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
            "wrong arguments",
        ),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls a storage type"),
        (b"\x80\x02N}b.", "no OrderedDict"),
        (b"\x80\x02N.", "no dict of tensors"),
        (b"\x80\x02}NNs.", "no string"),
        (&calls_a_tensor, "no function"),
        (&twice, "`w` is there twice"),
        (&training_state, "`epoch` is no tensor"),
    ] {
        assert_says(pickled(pickle).path(), &["data.pkl, byte ", part]);
    }
}

#[test]
fn tensors_that_do_not_lie_in_their_storage_are_named() {
    let big = i64::MAX;
    let ok = TensorOf::default;
    for (tensor, part) in [
        (
            TensorOf { key: "1", ..ok() },
            "storage `1`, which the archive lacks",
        ),
        (
            TensorOf {
                key: "../data.pkl",
                ..ok()
            },
            "which the archive lacks",
        ),
        (
            TensorOf {
                storage: "QInt8Storage",
                ..ok()
            },
            "unknown type `QInt8Storage`",
        ),
        (
            TensorOf {
                storage: "HalfStorage",
                ..ok()
            },
            "24 bytes that should hold 6 values of 2",
        ),
        (
            TensorOf { len: 7, ..ok() },
            "24 bytes that should hold 7 values of 4",
        ),
        (TensorOf { len: big, ..ok() }, "24 bytes that should hold"),
        (
            TensorOf { offset: 1, ..ok() },
            "beyond its storage: offset 1",
        ),
        (
            TensorOf {
                offset: big,
                ..ok()
            },
            "beyond its storage",
        ),
        (
            TensorOf {
                shape: &[3, 3],
                ..ok()
            },
            "beyond its storage: offset 0, shape [3, 3]",
        ),
        (
            TensorOf {
                shape: &[big, big],
                ..ok()
            },
            "beyond its storage",
        ),
        (
            TensorOf {
                strides: &[4, 1],
                ..ok()
            },
            "strides [4, 1]",
        ),
        (
            TensorOf {
                strides: &[big, 1],
                ..ok()
            },
            "beyond its storage",
        ),
        // 2^40 values out of one.
        (
            TensorOf {
                shape: &[1 << 40],
                strides: &[0],
                ..ok()
            },
            "uses values of its storage twice",
        ),
        (
            TensorOf {
                shape: &[3, 3],
                strides: &[1, 1],
                ..ok()
            },
            "uses values of its storage twice",
        ),
    ] {
        assert_says(pickled(&tensor.state_dict()).path(), &["tensor `w`", part]);
    }
    for (tensor, part) in [
        (TensorOf { offset: -1, ..ok() }, "negative offset"),
        (TensorOf { len: -6, ..ok() }, "negative length"),
        (
            TensorOf {
                shape: &[-2, 3],
                ..ok()
            },
            "-2",
        ),
        (
            TensorOf {
                strides: &[3],
                ..ok()
            },
            "one stride for each axis",
        ),
        (
            TensorOf {
                shape: &[1; 65],
                strides: &[1; 65],
                ..ok()
            },
            "65 axes",
        ),
    ] {
        assert_says(
            pickled(&tensor.state_dict()).path(),
            &["data.pkl, byte ", part],
        );
    }
}

#[test]
fn bombs_stay_small() {
    // A tuple of ten of the tuple before, forty times: 10^40 items if it were ever unfolded.
    let mut memo_bomb = b"\x80\x02)q\x00".to_vec();
    for place in 0..40_u8 {
        memo_bomb.push(b'(');
        (0..10).for_each(|_| memo_bomb.extend([b'h', place]));
        memo_bomb.extend([b't', b'q', place + 1]);
    }
    memo_bomb.push(b'.');
    assert_says(pickled(&memo_bomb).path(), &["no dict of tensors"]);
    // A million tuples in each other.
    let nested = [b"\x80\x02)".as_slice(), &[0x85; 1_000_000], b"."].concat();
    assert_says(pickled(&nested).path(), &["no dict of tensors"]);
    let marks = [b"\x80\x02".as_slice(), &[b'('; 1_000_000], b"."].concat();
    assert_says(pickled(&marks).path(), &["more than the stack has"]);
    let long = vec![b'N'; (4 << 20) + 1];
    assert_says(pickled(&long).path(), &["data.pkl has 4194305 bytes"]);
    // One tensor under 40,000 names.
    let mut dict = [
        b"\x80\x02".as_slice(),
        &TensorOf::default().pickle(),
        b"q\x00}(",
    ]
    .concat();
    for i in 0..40_000 {
        dict.extend(text(&i.to_string()));
        dict.extend(b"h\x00");
    }
    dict.extend(b"u.");
    assert_says(pickled(&dict).path(), &["40000 entries"]);
}

#[test]
fn archives_that_torch_does_not_write_are_refused() {
    let good = TensorOf::default().state_dict();
    let storage = [0; 24];
    for (entries, part) in [
        (vec![("m/other.pkl", &good[..])], "not one data.pkl"),
        (
            vec![("m/data.pkl", &good[..]), ("n/data.pkl", &good)],
            "not one data.pkl",
        ),
        (vec![("data.pkl", &good[..])], "not one data.pkl"),
        (
            vec![("m/data.pkl", &good[..]), ("n/data/0", &storage)],
            "`n/data/0` lies outside of `m`",
        ),
        (
            vec![("m/data.pkl", &good[..]), ("m/../../x", &storage)],
            "`m/../../x` lies outside",
        ),
        (
            vec![("m/data.pkl", &good[..]), ("/etc/x", &storage)],
            "`/etc/x` lies outside",
        ),
        (
            vec![("m/data.pkl", &good[..]), ("m/constants.pkl", b"")],
            "TorchScript",
        ),
        (
            vec![("m/data.pkl", &good[..]), ("m/byteorder", b"big")],
            "little-endian",
        ),
    ] {
        assert_says(archive(&entries).path(), &["pytorch_model.bin", part]);
    }
}

/// Rewrites the compression method, in the local and in the central header, of the first entry.
#[test]
fn compressed_entries_are_refused() {
    let dir = pickled(&TensorOf::default().state_dict());
    let path = dir.path().join("pytorch_model.bin");
    let mut bytes = fs::read(&path).unwrap();
    let central = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[8] = 8;
    bytes[central + 10] = 8;
    fs::write(&path, bytes).unwrap();
    assert_says(dir.path(), &["`m/data.pkl` is compressed"]);
}

#[test]
fn an_archive_cut_or_changed_anywhere_is_an_error_and_no_crash() {
    let dir = pickled(&TensorOf::default().state_dict());
    let path = dir.path().join("pytorch_model.bin");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_says(dir.path(), &["pytorch_model.bin"]);
    }
    for i in 0..whole.len() {
        for value in [0x00, 0xff, whole[i] ^ 0x01, whole[i] ^ 0x80] {
            let mut changed = whole.clone();
            changed[i] = value;
            fs::write(&path, changed).unwrap();
            // The tensors are not those of the model, whatever is read.
            load_tensors(dir.path(), &Device::Cpu).unwrap_err();
        }
    }
}

#[test]
fn other_files_under_this_name_are_told_apart() {
    for (content, parts) in [
        (&b""[..], ["0 bytes", "is empty"]),
        (
            b"<!DOCTYPE html><html>Sign in</html>",
            ["35 bytes", "web page"],
        ),
        (
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02",
            [
                "before 1.6",
                "torch.save(torch.load(file, weights_only=True), file)",
            ],
        ),
        (
            b"\x80\x02}q\x00.",
            ["not a PyTorch weight file", "zip archive"],
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 605247071\n",
            [
                "git-lfs pointer to a file of 605247071 bytes",
                "git lfs pull",
            ],
        ),
        (
            b"PK\x03\x04 and nothing",
            ["truncated or damaged", "fetch the file again"],
        ),
    ] {
        let dir = model_dir();
        fs::write(dir.path().join("pytorch_model.bin"), content).unwrap();
        assert_says(dir.path(), &parts);
    }
}
