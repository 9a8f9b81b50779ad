//! Image formats and images that are hard to read, through the whole path.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use paint_data::{
    Features, PixelTable, PixelTransform, Rng, Row, SkipPolicy, SplitName, Target, write_parquet,
};

use crate::fixture::{encoded, open, task};

/// The whole image, if it has the expected size.
struct Whole(usize, usize);

impl PixelTransform for Whole {
    fn key(&self) -> String {
        "whole".to_owned()
    }
    fn height(&self) -> usize {
        self.1
    }
    fn width(&self) -> usize {
        self.0
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        assert_eq!(
            (image.width() as usize, image.height() as usize),
            (self.0, self.1)
        );
        image.as_raw().clone()
    }
}

/// Decodes one image by way of a Parquet file: its pixels, or the reason it was skipped.
fn decode(bytes: &[u8], width: usize, height: usize) -> Result<Vec<u8>, String> {
    let dir = tempfile::tempdir().unwrap();
    // A second, sound image of the same size: a table must not be empty.
    let sound = encoded(
        &RgbImage::new(width as u32, height as u32),
        ImageFormat::Png,
    );
    let row = |image: &[u8]| Row {
        image: image.to_vec(),
        file_name: Some("misleading.jpg".to_owned()),
        target: Target::Label(0),
    };
    let rows = [
        row(bytes),
        row(&sound),
        row(&sound),
        row(&sound),
        row(&sound),
    ];
    write_parquet(
        &dir.path().join("train-0.parquet"),
        Features::Labelled(vec!["a".into()]),
        rows,
    )
    .unwrap();
    let mut task = task(dir.path(), &["a"]);
    task.files.test = Some("train-0.parquet".to_owned());
    let dataset = open(&task, SplitName::Test).unwrap();
    let policy = SkipPolicy { max_rate: 0.5 };
    let table =
        PixelTable::build(&dataset, &Whole(width, height), dir.path(), policy, &|_| ()).unwrap();
    if let Some(skipped) = table.skipped().first() {
        assert_eq!((skipped.row, table.len()), (0, 4));
        assert!(
            skipped
                .reason
                .contains("train-0.parquet: row 0, column `image`: ")
        );
        return Err(skipped.reason.clone());
    }
    let mut out = vec![0; table.image_bytes()];
    table.read(&[0], &mut out).unwrap();
    Ok(out)
}

fn check_refused(bytes: &[u8], word: &str) {
    let reason = decode(bytes, 2, 2).unwrap_err();
    assert!(reason.contains(word), "{reason}");
}

fn written(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn formats_are_told_by_their_first_bytes() {
    let image = RgbImage::from_fn(16, 8, |x, y| Rgb([x as u8 * 10, y as u8 * 20, 77]));
    let lossless = [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ];
    for format in lossless {
        assert_eq!(
            decode(&encoded(&image, format), 16, 8).as_ref(),
            Ok(image.as_raw())
        );
    }
    let jpeg = decode(&encoded(&image, ImageFormat::Jpeg), 16, 8).unwrap();
    let far = jpeg
        .iter()
        .zip(image.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(far < Some(60), "{far:?}");
    // An animation's first frame counts.
    let gif = decode(&encoded(&image, ImageFormat::Gif), 16, 8).unwrap();
    assert_eq!(gif.len(), image.as_raw().len());
}

#[test]
fn conversion_to_rgb_is_pils() {
    // Alpha is dropped, not blended.
    let rgba = image::RgbaImage::from_pixel(1, 1, Rgba([200, 100, 50, 0]));
    assert_eq!(
        decode(&written(rgba.into(), ImageFormat::Png), 1, 1).unwrap(),
        [200, 100, 50]
    );
    let grey_alpha = image::GrayAlphaImage::from_pixel(1, 1, LumaA([90, 3]));
    assert_eq!(
        decode(&written(grey_alpha.into(), ImageFormat::Png), 1, 1).unwrap(),
        [90; 3]
    );
    let grey = image::GrayImage::from_pixel(1, 1, Luma([90]));
    assert_eq!(
        decode(&written(grey.into(), ImageFormat::Png), 1, 1).unwrap(),
        [90; 3]
    );
    // 0x01ff rounds to 2 but its high byte is 1.
    let deep = image::ImageBuffer::from_pixel(1, 1, Rgb([0x01ff_u16, 0xffff, 0x8000]));
    let deep = DynamicImage::ImageRgb16(deep);
    assert_eq!(
        decode(&written(deep, ImageFormat::Png), 1, 1).unwrap(),
        [1, 255, 128]
    );
    let deep = image::ImageBuffer::from_pixel(1, 1, Luma([0x01ff_u16]));
    let deep = DynamicImage::ImageLuma16(deep);
    assert_eq!(
        decode(&written(deep, ImageFormat::Png), 1, 1).unwrap(),
        [1; 3]
    );
}

#[test]
fn exif_orientation_is_ignored_and_broken_exif_harmless() {
    let image = RgbImage::from_fn(16, 8, |x, _| Rgb([x as u8 * 15, 0, 0]));
    let plain = encoded(&image, ImageFormat::Jpeg);
    let expected = decode(&plain, 16, 8).unwrap();
    let rotated: &[u8] = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    for exif in [rotated, b"Exif\0\0garbage\xff\xff"] {
        let mut bytes = plain[..2].to_vec();
        bytes.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
        bytes.extend(exif);
        bytes.extend(&plain[2..]);
        assert_eq!(decode(&bytes, 16, 8).unwrap(), expected);
    }
}

#[test]
fn damaged_images_are_refused() {
    let image = RgbImage::from_fn(64, 64, |x, y| {
        Rgb([(x * y) as u8, x as u8 * 4, y as u8 * 4])
    });
    let jpeg = encoded(&image, ImageFormat::Jpeg);
    check_refused(&jpeg[..jpeg.len() / 2], "truncated JPEG");
    check_refused(&jpeg[..jpeg.len() - 2], "truncated JPEG");
    let png = encoded(&image, ImageFormat::Png);
    check_refused(&png[..png.len() / 2], "row 0");
    check_refused(&png[..20], "row 0");
    check_refused(b"", "0 bytes");
    check_refused(b"<html>", "not an image format");
    check_refused(
        b"version https://git-lfs.github.com/spec/v1\n",
        "not an image format",
    );
}

#[test]
fn the_pixel_cap_holds_before_anything_is_allocated() {
    // A PNG header that claims 20,000 × 20,000 pixels.
    let mut png = encoded(&RgbImage::new(1, 1), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    check_refused(&png, "20000×20000 is over 64 megapixels");
}

#[test]
fn thin_images_are_images() {
    let thin = RgbImage::from_fn(1, 5000, |_, y| Rgb([y as u8, 0, 0]));
    assert_eq!(
        decode(&encoded(&thin, ImageFormat::Png), 1, 5000).as_ref(),
        Ok(thin.as_raw())
    );
}

#[test]
fn flipped_bits_never_panic() {
    let image = RgbImage::from_fn(40, 30, |x, y| {
        Rgb([(x * y) as u8, x as u8 * 4, y as u8 * 4])
    });
    let formats = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    let mut rng = Rng::new(0);
    let mut rows = Vec::new();
    for bytes in formats.map(|format| encoded(&image, format)) {
        for _ in 0..150 {
            let mut image = bytes.clone();
            // Headers are short and matter most.
            let reach = if rng.chance(0.5) { 64 } else { image.len() };
            for _ in 0..1 + rng.below(3) {
                image[rng.below(reach)] ^= 1 << rng.below(8);
            }
            rows.push(Row {
                image,
                file_name: None,
                target: Target::Label(0),
            });
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test-0.parquet");
    write_parquet(&path, Features::Labelled(vec!["a".into()]), rows).unwrap();
    let dataset = open(&task(dir.path(), &["a"]), SplitName::Test).unwrap();
    let policy = SkipPolicy { max_rate: 1.0 };
    let table = PixelTable::build(&dataset, &Size, dir.path(), policy, &|_| ()).unwrap();
    assert_eq!(table.len() + table.skipped().len(), 900);
    assert!(
        table.skipped().len() > 100 && table.len() > 100,
        "{}",
        table.len()
    );
}

/// The lowest bytes of width and height, whatever they are.
struct Size;

impl PixelTransform for Size {
    fn key(&self) -> String {
        "size".to_owned()
    }
    fn height(&self) -> usize {
        1
    }
    fn width(&self) -> usize {
        1
    }
    fn apply(&self, image: &RgbImage) -> Vec<u8> {
        vec![image.width() as u8, image.height() as u8, 0]
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    };
    !bytes.iter().fold(!0, step)
}
