//! The store of embeddings on the embedded world: computed once, verified, refused where it is of
//! another checkpoint.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use candle_core::Device;
use paint_clip::{Clip, Preprocessor, Tokenizer};
use paint_data::{Dataset, Hub, PixelTable, SkipPolicy, SplitName};
use paint_embed::{
    Embeddings, Error, ImageEncoder, Key, Store, View, checkpoint_key, tokenizer_key,
};
use paint_eval::SeenBy;
use paint_world::{Sizes, checkpoints, tasks, write_task};

struct World {
    _root: tempfile::TempDir,
    dir: PathBuf,
    model: PathBuf,
    clip: Clip,
    preprocessor: Preprocessor,
    dataset: Dataset,
    checkpoint: String,
}

fn world() -> World {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_owned();
    let model = dir.join("model");
    checkpoints()[0].write(&model).unwrap();
    let sizes = Sizes {
        train: 1,
        validation: 1,
        test: 150,
    };
    write_task("digits", &dir, sizes, &|_| ()).unwrap();
    let task = tasks()
        .into_iter()
        .find(|t| t.task.name == "digits")
        .unwrap()
        .task;
    let hub = Hub::Directory(dir.clone());
    World {
        clip: Clip::load(&model, &Device::Cpu).unwrap(),
        preprocessor: Preprocessor::load(&model).unwrap(),
        dataset: Dataset::open(&task, SplitName::Test, &hub).unwrap(),
        checkpoint: checkpoint_key(&model).unwrap(),
        model,
        dir,
        _root: root,
    }
}

impl World {
    fn key(&self, view: View) -> Key {
        let preprocessing = self.preprocessor.key();
        Key::of_images(
            &self.checkpoint,
            self.dataset.content_key(),
            &preprocessing,
            view,
        )
    }

    fn store(&self) -> Store {
        Store::new(&self.dir.join("embeddings"))
    }

    fn images(
        &self,
        key: &Key,
        view: View,
        pixels: impl FnOnce() -> Result<PixelTable, Error>,
    ) -> Result<Embeddings, Error> {
        let encoder = ImageEncoder {
            clip: &self.clip,
            preprocessor: &self.preprocessor,
        };
        self.store().images(key, view, encoder, pixels, &|_| ())
    }

    fn table(&self) -> Result<PixelTable, Error> {
        let cache = self.dir.join("cache");
        let seen = SeenBy(&self.preprocessor);
        Ok(PixelTable::build(
            &self.dataset,
            &seen,
            &cache,
            SkipPolicy::default(),
            &|_| (),
        )?)
    }
}

fn no_pixels() -> Result<PixelTable, Error> {
    panic!("a second run touches no image")
}

#[test]
fn computed_once_and_for_every_view() {
    let w = world();
    let key = w.key(View::Identity);
    let first = w.images(&key, View::Identity, || w.table()).unwrap();
    let second = w.images(&key, View::Identity, no_pixels).unwrap();
    assert_eq!(
        (first.len(), first.width()),
        (150, w.clip.config().projection_dim)
    );
    assert_eq!(first.to_vec(), second.to_vec());
    assert_eq!(second.labels(), w.dataset.labels());

    // The third image, encoded by hand.
    let table = w.table().unwrap();
    let mut pixels = vec![0; table.image_bytes()];
    table.read(&[2], &mut pixels).unwrap();
    let features = |pixels: &[u8]| -> Vec<f32> {
        let images = w.preprocessor.normalize(pixels, 1, &Device::Cpu).unwrap();
        let features = w.clip.encode_image(&images).unwrap();
        features.flatten_all().unwrap().to_vec1().unwrap()
    };
    let close = |found: &[f32], expected: &[f32]| {
        found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-3)
    };
    let third = 2 * first.width()..3 * first.width();
    assert!(close(&first.to_vec()[third.clone()], &features(&pixels)));
    let view = View::FlipLeftRight;
    let mirrored = w.images(&w.key(view), view, || w.table()).unwrap();
    let row = 3 * table.width();
    let flipped: Vec<u8> = pixels
        .chunks_exact(row)
        .flat_map(|row| row.chunks_exact(3).rev().flatten().copied())
        .collect();
    assert!(close(
        &mirrored.to_vec()[third.clone()],
        &features(&flipped)
    ));
    assert!(!close(
        &mirrored.to_vec()[third.clone()],
        &first.to_vec()[third]
    ));
}

#[test]
fn other_checkpoints_are_refused_and_damage_is_mended() {
    let w = world();
    let key = w.key(View::Identity);
    let whole = w
        .images(&key, View::Identity, || w.table())
        .unwrap()
        .to_vec();
    let other = Key {
        checkpoint: "0".repeat(64),
        ..key.clone()
    };
    let store = w.store();
    std::fs::copy(store.path(&key), store.path(&other)).unwrap();
    let error = w
        .images(&other, View::Identity, no_pixels)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("embeddings of another checkpoint"),
        "{error}"
    );
    assert!(
        error.contains(&w.checkpoint) && !error.contains('\n'),
        "{error}"
    );

    let mut bytes = std::fs::read(store.path(&key)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(store.path(&key), &bytes).unwrap();
    assert!(matches!(
        Embeddings::open(&store.path(&key), &key),
        Err(Error::Damaged { .. })
    ));
    let again = w.images(&key, View::Identity, || w.table()).unwrap();
    assert_eq!(again.to_vec(), whole);

    let wrong = Key {
        inputs: "other images".to_owned(),
        ..key
    };
    let error = w.images(&wrong, View::Identity, || w.table()).unwrap_err();
    assert!(
        matches!(error, Error::Pixels { what: "inputs", .. }),
        "{error}"
    );
}

#[test]
fn texts_are_in_order_and_not_normalised() {
    let w = world();
    let texts: Vec<String> = (0..70).map(|i| format!("a photo of {i} cats")).collect();
    let tokenizer = Tokenizer::load(&w.model).unwrap();
    let key = Key::of_texts(&w.checkpoint, &tokenizer_key(&w.model).unwrap(), &texts);
    let found = w.store().texts(&key, &w.clip, &tokenizer, &texts).unwrap();
    assert_eq!((found.len(), found.rows()), (70, &[][..]));
    let ids = vec![tokenizer.encode(&texts[69]).unwrap()];
    let expected = w.clip.encode_text(&ids).unwrap();
    let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
    let last = &found.to_vec()[69 * found.width()..];
    assert!(
        last.iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-3)
    );
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length(last) - 1.0).abs() > 0.01);
    let none = Key::of_texts(&w.checkpoint, "t", &[]);
    let error = w
        .store()
        .texts(&none, &w.clip, &tokenizer, &[])
        .unwrap_err();
    assert!(matches!(error, Error::Empty { .. }));
}

#[test]
fn a_directory_that_cannot_be_made_is_one_line() {
    let w = world();
    let file = w.dir.join("file");
    std::fs::write(&file, "").unwrap();
    let tokenizer = Tokenizer::load(&w.model).unwrap();
    let texts = vec!["a".to_owned()];
    let key = Key::of_texts(&w.checkpoint, "t", &texts);
    let store = Store::new(Path::new(&file));
    let error = store
        .texts(&key, &w.clip, &tokenizer, &texts)
        .unwrap_err()
        .to_string();
    assert!(error.contains("file") && !error.contains('\n'), "{error}");
}
