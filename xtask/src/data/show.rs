//! `cargo xtask data show`: some images of every class on one sheet.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use image::{Rgb, RgbImage, imageops};
use paint_data::{Dataset, SplitName, decode_image, write_atomically};
use paint_world::label;

use super::hub_for;
use crate::model::Model;
use crate::models::find_model;
use crate::progress::{Console, answer};
use crate::tasks::{find_task, hub_of};

/// Draw some images of every class with its name, as a model sees them
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of a known task, or a manifest (.toml)
    task: String,
    /// The PNG file to write
    #[arg(long)]
    out: PathBuf,
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Show the very pixels that this model sees [default: small copies of the images]
    #[arg(long)]
    model: Option<String>,
    /// Images of every class
    #[arg(long, default_value_t = 4)]
    per_class: usize,
    /// Look for datasets and models in this directory in Hub layout
    #[arg(long)]
    hub: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Split {
    Train,
    Validation,
    Test,
}

/// A copy of an image is at most so wide and high.
const THUMBNAIL: u32 = 96;
const LABEL_HEIGHT: u32 = 18;
const GAP: u32 = 4;
/// The sheet is about so wide; one class's images stay on one line.
const SHEET_WIDTH: u32 = 1600;
const MAX_SHEET_PIXELS: u64 = 100_000_000;
const PAPER: Rgb<u8> = Rgb([255; 3]);
const NO_IMAGE: Rgb<u8> = Rgb([200, 60, 60]);

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let task = find_task(&args.task)?;
    let split = match args.split {
        Split::Train => SplitName::Train,
        Split::Validation => SplitName::Validation,
        Split::Test => SplitName::Test,
    };
    if args.per_class == 0 {
        bail!("--per-class 0: at least 1");
    }
    let hub = hub_for(&task, args.hub.as_deref(), console)?;
    let dataset = Dataset::open(&task, split, &hub)?.of_each_class(args.per_class, 0);
    let model = match &args.model {
        Some(name) => {
            let found = find_model(name, &hub_of(args.hub.as_deref(), console))?;
            Some(Model::load(found)?)
        }
        None => None,
    };
    let tiles = tiles(&dataset, model.as_ref())?;
    let sheet = sheet(&dataset, &tiles, args.per_class)?;
    let mut png = std::io::Cursor::new(Vec::new());
    sheet.write_to(&mut png, image::ImageFormat::Png)?;
    write_atomically(&args.out, png.get_ref())
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    answer(format!(
        "{}: {} {split} images of {} classes, {} × {} pixels",
        args.out.display(),
        dataset.len(),
        dataset.class_names().len(),
        sheet.width(),
        sheet.height()
    ));
    Ok(())
}

/// The images as they are drawn.
fn tiles(dataset: &Dataset, model: Option<&Model>) -> Result<Vec<RgbImage>> {
    let mut tiles = Vec::with_capacity(dataset.len());
    dataset.each_image(|bytes| {
        let image = bytes.ok().and_then(|bytes| decode_image(&bytes).ok());
        tiles.push(match (image, model) {
            (None, _) => RgbImage::from_pixel(THUMBNAIL / 2, THUMBNAIL / 2, NO_IMAGE),
            (Some(image), None) => thumbnail(&image),
            (Some(image), Some(model)) => enlarged(&seen_by(model, &image)),
        });
        Ok(())
    })?;
    Ok(tiles)
}

fn seen_by(model: &Model, image: &RgbImage) -> RgbImage {
    let preprocessor = &model.preprocessor;
    let (width, height) = (preprocessor.width() as u32, preprocessor.height() as u32);
    let mut pixels = preprocessor.resize_crop(image).into_iter();
    RgbImage::from_fn(width, height, |_, _| {
        Rgb([0; 3].map(|_: u8| pixels.next().unwrap_or_default()))
    })
}

fn thumbnail(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if longer <= THUMBNAIL {
        return enlarged(image);
    }
    let scaled = |side: u32| (side * THUMBNAIL / longer).max(1);
    imageops::thumbnail(image, scaled(width), scaled(height))
}

/// Every pixel as a square, as large as a thumbnail has room for.
fn enlarged(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let times = (THUMBNAIL / width.max(height).max(1)).max(1);
    imageops::resize(
        image,
        width * times,
        height * times,
        imageops::FilterType::Nearest,
    )
}

/// The classes in label order, row by row: the name above the images.
fn sheet(dataset: &Dataset, tiles: &[RgbImage], per_class: usize) -> Result<RgbImage> {
    let side = |of: fn(&RgbImage) -> u32| tiles.iter().map(of).max().unwrap_or(THUMBNAIL) + GAP;
    let (tile_width, tile_height) = (side(RgbImage::width), side(RgbImage::height));
    let n_classes = dataset.class_names().len() as u32;
    let block = (per_class as u32).saturating_mul(tile_width) + GAP;
    let columns = (SHEET_WIDTH / block).clamp(1, n_classes.max(1));
    let block_height = LABEL_HEIGHT + tile_height + GAP;
    let (width, height) = (
        columns.saturating_mul(block) + GAP,
        n_classes.div_ceil(columns).saturating_mul(block_height) + GAP,
    );
    if u64::from(width) * u64::from(height) > MAX_SHEET_PIXELS {
        bail!("a sheet of {width} × {height} pixels is too large; show fewer with --per-class");
    }
    let mut sheet = RgbImage::from_pixel(width, height, PAPER);
    let corner = |class: u32| {
        let (x, y) = (class % columns * block, class / columns * block_height);
        (i64::from(x + GAP), i64::from(y + GAP))
    };
    for (class, name) in (0..n_classes).zip(dataset.class_names()) {
        let (x, y) = corner(class);
        let text = label(&format!("{class} {name}"), block - GAP, LABEL_HEIGHT);
        imageops::replace(&mut sheet, &text, x, y);
    }
    let mut drawn = vec![0_i64; n_classes as usize];
    for (tile, &class) in tiles.iter().zip(dataset.labels()) {
        let (x, y) = corner(class);
        let beside = drawn[class as usize] * i64::from(tile_width);
        imageops::replace(&mut sheet, tile, x + beside, y + i64::from(LABEL_HEIGHT));
        drawn[class as usize] += 1;
    }
    Ok(sheet)
}
