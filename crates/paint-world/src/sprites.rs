//! The Twemoji artwork, decoded once.
//!
//! Graphics: Twemoji, © Twitter, Inc. and other contributors, CC-BY 4.0.

use std::collections::BTreeMap;
use std::sync::{LazyLock, RwLock};

use tiny_skia::{IntSize, Pixmap};
use twemoji_assets::png::PngTwemojiAsset;

static DECODED: LazyLock<RwLock<BTreeMap<String, &'static Pixmap>>> =
    LazyLock::new(RwLock::default);

/// The picture of `emoji` (e.g. "🦆"), 72 x 72 or less: empty borders are cut off.
/// `None` if Twemoji has no such picture.
pub(crate) fn sprite(emoji: &str) -> Option<&'static Pixmap> {
    let read = DECODED
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(sprite) = read.get(emoji) {
        return Some(sprite);
    }
    drop(read);
    let asset = PngTwemojiAsset::from_emoji(emoji)?;
    let mut decoded = DECODED
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // Leaked on purpose: the artwork is finite, and every drawing uses it until the end.
    let sprite = decoded
        .entry(emoji.to_owned())
        .or_insert_with(|| Box::leak(decode(asset)));
    Some(sprite)
}

fn decode(asset: &PngTwemojiAsset) -> Box<Pixmap> {
    let bytes: &[u8] = asset.data.0;
    let image = image::load_from_memory(bytes)
        .expect("the embedded artwork is a PNG")
        .to_rgba8();
    let (x0, y0, x1, y1) = visible_bounds(&image);
    let image = image::imageops::crop_imm(&image, x0, y0, x1 - x0, y1 - y0).to_image();
    let size = IntSize::from_wh(image.width(), image.height()).expect("the crop is not empty");
    let mut data = image.into_raw();
    for rgba in data.chunks_exact_mut(4) {
        let alpha = u16::from(rgba[3]);
        for channel in &mut rgba[..3] {
            *channel = (u16::from(*channel) * alpha).div_ceil(255).min(alpha) as u8;
        }
    }
    Box::new(Pixmap::from_vec(data, size).expect("four bytes for each pixel"))
}

fn visible_bounds(image: &image::RgbaImage) -> (u32, u32, u32, u32) {
    let visible = || image.enumerate_pixels().filter(|(_, _, p)| p.0[3] > 16);
    let x0 = visible().map(|(x, _, _)| x).min().unwrap_or(0);
    let y0 = visible().map(|(_, y, _)| y).min().unwrap_or(0);
    let x1 = visible()
        .map(|(x, _, _)| x + 1)
        .max()
        .unwrap_or(image.width());
    let y1 = visible()
        .map(|(_, y, _)| y + 1)
        .max()
        .unwrap_or(image.height());
    (x0, y0, x1, y1)
}
