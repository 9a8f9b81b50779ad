//! Counting: scenes with three to ten objects, in the image of CLEVR.
//!
//! Only some counts are trained on; the others show whether the model counts or has learnt what a
//! picture of each number looks like.
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! its case studies; Johnson et al. 2017, "CLEVR".

use std::path::{Path, PathBuf};

use image::RgbImage;
use paint_data::{Features, Rng, Target, Task};

use crate::canvas::{Canvas, SIZE};
use crate::card;
use crate::colour::{Colour, mix};
use crate::domain::Split;
use crate::english::NUMBERS;
use crate::error::Result;
use crate::publish::{SEED, Sizes, stream_of, write_dataset};
use crate::shapes::Shape;
use crate::world;

const NAME: &str = "counting";

/// How many objects there are in the images of class i.
pub const COUNTS: [u32; 8] = [3, 4, 5, 6, 7, 8, 9, 10];
/// The counts that training and validation images have, as classes; the others are in `test` only.
pub const SEEN_COUNTS: [u32; 5] = [1, 2, 3, 5, 6];
/// The class between those of [`SEEN_COUNTS`]: seven.
pub const BETWEEN_COUNTS: [u32; 1] = [4];
/// The classes beyond those of [`SEEN_COUNTS`]: three and ten.
pub const BEYOND_COUNTS: [u32; 2] = [0, 7];
/// Images that published numbers use; 200 test images of each count.
pub const COUNTING_SIZES: Sizes = Sizes {
    train: 6_000,
    validation: 500,
    test: 1_600,
};

/// The task: classes "three" to "ten".
///
/// Prompts are as the captions of the corpus speak of numbers.
pub fn counting_task() -> Task {
    let names = COUNTS.map(|n| NUMBERS[n as usize].to_owned()).to_vec();
    let templates = ["{}", "a group of {}", "there are {}"].map(str::to_owned);
    let source = world::source(NAME);
    Task::new(NAME, names, templates.to_vec(), source).expect("which a test shows")
}

/// Writes the task to `ROOT/datasets/paint-world/counting` as Parquet with a dataset card; returns
/// that directory. The card is written last: where it is, all is.
///
/// # Errors
/// If the files cannot be written.
pub fn write_counting(
    root: &Path,
    sizes: Sizes,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PathBuf> {
    let features = Features::Labelled(counting_task().class_names);
    let card = card::of_counting(sizes);
    write_dataset(
        NAME,
        root,
        sizes,
        &features,
        &card,
        progress,
        |split, index| {
            let (image, label) = draw(split, index);
            (image, Target::Label(label))
        },
    )
}

fn draw(split: Split, index: u64) -> (RgbImage, u32) {
    let label = match split {
        Split::Test => index as u32 % COUNTS.len() as u32,
        _ => SEEN_COUNTS[index as usize % SEEN_COUNTS.len()],
    };
    let rng = &mut Rng::derive(SEED, &[stream_of(NAME), split as u64, index]);
    let n = COUNTS[label as usize] as usize;
    let shapes: Vec<Shape> = (0..n).map(|_| Shape::random(rng)).collect();
    let canvas = scene(&shapes, 6.5..10.0, split, rng);
    (canvas.finish(), label)
}

/// Shapes on a plain ground, each of a size within `sizes`, none nearer to another than a pixel.
/// Sizes do not depend on how many there are, nor does anything else.
pub(crate) fn scene(
    shapes: &[Shape],
    sizes: std::ops::Range<f32>,
    split: Split,
    rng: &mut Rng,
) -> Canvas {
    let mut canvas = ground(split, rng);
    put_shapes(&mut canvas, shapes, sizes, rng);
    if rng.chance(0.5) {
        canvas.degrade(rng.range(0.1, 0.4), rng);
    }
    canvas
}

/// Draws the shapes, each of a size within `sizes`, none nearer to another than a pixel.
pub(crate) fn put_shapes(
    canvas: &mut Canvas,
    shapes: &[Shape],
    sizes: std::ops::Range<f32>,
    rng: &mut Rng,
) {
    let sizes: Vec<f32> = shapes
        .iter()
        .map(|_| rng.range(sizes.start, sizes.end))
        .collect();
    for ((shape, size), centre) in shapes.iter().zip(&sizes).zip(scattered(&sizes, rng)) {
        shape.put(canvas, centre, *size, rng);
    }
}

/// How far a shape reaches from its centre, of half its size: a turned square's corner.
const REACH: f32 = 1.25;

/// Centres for things of these sizes.
pub(crate) fn scattered(sizes: &[f32], rng: &mut Rng) -> Vec<(f32, f32)> {
    let reach = |size: f32| REACH * size / 2.0;
    // A thousand times begun anew, there is no room for these sizes: they overlap rather than hang.
    let mut spacing = 1.0;
    for attempt in 0.. {
        if attempt % 1_000 == 999 {
            spacing *= 0.9;
        }
        let mut centres: Vec<(f32, f32)> = Vec::with_capacity(sizes.len());
        for &size in sizes {
            let margin = reach(size) + 0.5;
            let clear = |&(x, y): &(f32, f32)| {
                centres
                    .iter()
                    .zip(sizes)
                    .all(|(&(other_x, other_y), &other)| {
                        (x - other_x).hypot(y - other_y)
                            > spacing * (reach(size) + reach(other) + 1.0)
                    })
            };
            let mut any = || {
                (
                    rng.range(margin, SIZE - margin),
                    rng.range(margin, SIZE - margin),
                )
            };
            let found = (0..200).map(|_| any()).find(clear);
            let Some(centre) = found else { break };
            centres.push(centre);
        }
        // Those that stand may leave no room for the last: begin again.
        if centres.len() == sizes.len() {
            return centres;
        }
    }
    Vec::new()
}

/// A plain light or dark ground, lit from a side; on all the colours of shapes stand out.
pub(crate) fn ground(split: Split, rng: &mut Rng) -> Canvas {
    const N_SEEN: usize = 5;
    const GROUNDS: [Colour; 8] = [
        [226, 226, 224],
        [214, 218, 226],
        [228, 222, 210],
        [36, 38, 44],
        [44, 40, 38],
        [212, 220, 210],
        [224, 214, 220],
        [28, 36, 34],
    ];
    let base = *rng.pick(split.pool(&GROUNDS, N_SEEN));
    let shadow = mix(base, [0, 0, 0], rng.range(0.02, 0.16));
    let (sin, cos) = rng.range(0.0, std::f32::consts::TAU).sin_cos();
    Canvas::from_fn(|x, y| {
        let along = ((x / SIZE - 0.5) * cos + (y / SIZE - 0.5) * sin) / std::f32::consts::SQRT_2;
        mix(base, shadow, along + 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_test_split_has_all_counts_and_each_as_often() {
        let count = |split, n: u64| {
            let mut counts = [0; COUNTS.len()];
            (0..n).for_each(|index| counts[draw(split, index).1 as usize] += 1);
            counts
        };
        assert_eq!(count(Split::Train, 50), [0, 10, 10, 10, 0, 10, 10, 0]);
        assert_eq!(count(Split::Validation, 25), [0, 5, 5, 5, 0, 5, 5, 0]);
        assert_eq!(count(Split::Test, 40), [5; 8]);
        let all = [&SEEN_COUNTS[..], &BETWEEN_COUNTS, &BEYOND_COUNTS].concat();
        let counts: Vec<u32> = all.iter().map(|&class| COUNTS[class as usize]).collect();
        assert_eq!(counts, [4, 5, 6, 8, 9, 7, 3, 10]);
        assert_eq!(
            counting_task().class_names[BETWEEN_COUNTS[0] as usize],
            "seven"
        );
    }

    #[test]
    fn nothing_touches_and_all_is_inside() {
        let rng = &mut Rng::new(1);
        for n in 1..=10 {
            for _ in 0..20 {
                let sizes: Vec<f32> = (0..n).map(|_| rng.range(6.5, 10.0)).collect();
                let centres = scattered(&sizes, rng);
                for i in 0..n {
                    let ((x, y), r) = (centres[i], REACH * sizes[i] / 2.0);
                    assert!(x.min(y) > r && x.max(y) < SIZE - r);
                    for j in 0..i {
                        let gap = (x - centres[j].0).hypot(y - centres[j].1);
                        assert!(gap > r + REACH * sizes[j] / 2.0 + 1.0);
                    }
                }
            }
        }
    }

    /// The areas that differ from the ground, on a scene without noise.
    #[test]
    fn the_objects_can_be_counted_in_the_pixels() {
        for seed in 0..40 {
            let rng = &mut Rng::new(seed);
            let n = 3 + seed as usize % 8;
            let sizes: Vec<f32> = (0..n).map(|_| rng.range(6.5, 10.0)).collect();
            let bare = ground(Split::Test, rng);
            let mut canvas = bare.clone();
            for (size, centre) in sizes.iter().zip(scattered(&sizes, rng)) {
                Shape::random(rng).put(&mut canvas, centre, *size, rng);
            }
            assert_eq!(n_areas(&bare.finish(), &canvas.finish()), n, "seed {seed}");
        }
    }

    fn n_areas(bare: &RgbImage, image: &RgbImage) -> usize {
        let differs = |x: u32, y: u32| {
            let (a, b) = (bare.get_pixel(x, y).0, image.get_pixel(x, y).0);
            (0..3).map(|i| a[i].abs_diff(b[i])).max() > Some(30)
        };
        let mut left: std::collections::BTreeSet<(u32, u32)> = (0..48)
            .flat_map(|x| (0..48).map(move |y| (x, y)))
            .filter(|&(x, y)| differs(x, y))
            .collect();
        let mut n = 0;
        while let Some(first) = left.pop_first() {
            n += 1;
            let mut edge = vec![first];
            while let Some((x, y)) = edge.pop() {
                for (dx, dy) in (0..9).map(|i| (i % 3, i / 3)) {
                    let near = ((x + dx).wrapping_sub(1), (y + dy).wrapping_sub(1));
                    if left.remove(&near) {
                        edge.push(near);
                    }
                }
            }
        }
        n
    }
}
