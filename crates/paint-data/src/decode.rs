//! Encoded image to RGB, as Python's PIL does with `Image.open(…).convert("RGB")`.
//!
//! The format is told by the first bytes, never by a name. Alpha is dropped (not blended), grey
//! is replicated, of an animation the first frame is taken. EXIF orientation is ignored, as PIL
//! ignores it. 16-bit samples keep their high byte, as in PIL's colour images; 16-bit grey too,
//! which PIL clips to white instead.
//!
//! JPEG has a decoder of its own. The standard leaves open how the inverse transform rounds and
//! how the smaller colour planes are enlarged; PIL does both as libjpeg-turbo, and a level here
//! and there changes one zero-shot prediction in a hundred. `libjpeg-turbo-rs` computes the same
//! in Rust, where the `image` crate's decoder differs by up to 6 levels in photographs. What
//! cannot be decoded as PIL would is refused: damaged data, which PIL fills up, and CMYK whose
//! planes differ in size. The crate's vector code is wanted not only for its speed: PIL's has
//! the same 16-bit arithmetic, which shows where coefficients are out of range.
//!
//! Measured against PIL 13 (libjpeg-turbo 3.2) on 32 kinds of file, 10,200 real JPEGs and 2,100
//! made ones: equal, but for JPEG data inside TIFF, which the `image` crate decodes.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use libjpeg_turbo_rs::{Decoder as JpegDecoder, JpegError, PixelFormat};

use crate::parquet_file::panic_message;

/// Larger images are refused: they are mistakes or attacks.
const MAX_PIXELS: u64 = 64_000_000;
/// Eight bytes for each pixel: 16-bit RGBA at the cap.
const MAX_BYTES: u64 = 8 * MAX_PIXELS;

/// Decodes an image to what PIL's `Image.open(…).convert("RGB")` gives, in any of the formats JPEG,
/// PNG, WebP, GIF, BMP and TIFF, told by the first bytes.
///
/// # Errors
/// [`Error::Image`](crate::Error::Image) if it is damaged, of another format, over 64 megapixels, or
/// of a kind that cannot be decoded as PIL does.
pub fn decode_image(bytes: &[u8]) -> crate::Result<RgbImage> {
    decode_rgb(bytes).map_err(crate::Error::Image)
}

/// Decodes an image; the error says why it cannot be.
pub(crate) fn decode_rgb(bytes: &[u8]) -> Result<RgbImage, String> {
    match catch_unwind(|| decode(bytes)) {
        Ok(result) => result,
        Err(panic) => Err(format!("the decoder failed: {}", panic_message(&*panic))),
    }
}

fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    if bytes.is_empty() {
        return Err("0 bytes".to_owned());
    }
    let format = image::guess_format(bytes).map_err(|_| "not an image format".to_owned())?;
    if format == ImageFormat::Jpeg {
        return decode_jpeg(bytes);
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    decoder.set_limits(limits).map_err(|e| e.to_string())?;
    DynamicImage::from_decoder(decoder)
        .map(to_rgb)
        .map_err(|e| e.to_string())
}

fn check_size(width: u32, height: u32) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("{width}×{height} has no pixels"));
    }
    if pixels > MAX_PIXELS {
        return Err(format!(
            "{width}×{height} is over {} megapixels",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok(())
}

fn decode_jpeg(bytes: &[u8]) -> Result<RgbImage, String> {
    if !jpeg_ends(bytes) {
        return Err(format!(
            "truncated JPEG ({} bytes, no end marker)",
            bytes.len()
        ));
    }
    let mut decoder = JpegDecoder::new(bytes).map_err(jpeg_error)?;
    let frame = decoder.header();
    let (width, height) = (frame.width.into(), frame.height.into());
    check_size(width, height)?;
    if frame.precision != 8 {
        return Err(format!("a JPEG of {} bits per sample", frame.precision));
    }
    // Of four planes the decoder enlarges smaller ones another way than libjpeg does.
    let sampling = |component_idx: usize| {
        let component = &frame.components[component_idx];
        (component.horizontal_sampling, component.vertical_sampling)
    };
    if frame.components.len() == 4 && (1..4).any(|i| sampling(i) != sampling(0)) {
        return Err("a CMYK JPEG with planes of several sizes".to_owned());
    }
    decoder.set_output_format(PixelFormat::Rgb);
    // As PIL: it shows in progressive files whose last scans were left out.
    decoder.set_block_smoothing(true);
    let image = decoder.decode_image().map_err(jpeg_error)?;
    let n_bytes = image.data.len();
    RgbImage::from_raw(width, height, image.data)
        .ok_or_else(|| format!("{n_bytes} bytes of pixels for {width}×{height}"))
}

fn jpeg_error(error: JpegError) -> String {
    format!("damaged or unusual JPEG: {error}")
}

/// Whether the end marker follows the last scan, which PIL asks for even where all pixels are
/// there. Compressed data never contains either marker.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    const SCAN: [u8; 2] = [0xff, 0xda];
    let mut pairs = bytes.windows(2);
    pairs.rfind(|&pair| pair == END || pair == SCAN) == Some(&END)
}

fn to_rgb(image: DynamicImage) -> RgbImage {
    // `to_rgb8` would round 16-bit samples; PIL keeps the high byte.
    let high = |sample: u16| (sample >> 8) as u8;
    let (width, height) = (image.width(), image.height());
    let pixels: Vec<u8> = match image {
        DynamicImage::ImageRgb8(image) => return image,
        DynamicImage::ImageLuma16(image) => image.iter().flat_map(|&v| [high(v); 3]).collect(),
        DynamicImage::ImageLumaA16(image) => image
            .pixels()
            .flat_map(|pixel| [high(pixel[0]); 3])
            .collect(),
        DynamicImage::ImageRgb16(image) => image.iter().map(|&v| high(v)).collect(),
        DynamicImage::ImageRgba16(image) => image
            .pixels()
            .flat_map(|p| [high(p[0]), high(p[1]), high(p[2])])
            .collect(),
        other => return other.into_rgb8(),
    };
    RgbImage::from_raw(width, height, pixels).expect("three bytes were made for each pixel")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const PIL_EQUAL: [&str; 15] = [
        "baseline-444",
        "baseline-422",
        "baseline-420",
        "progressive-444",
        "progressive-422",
        "progressive-420",
        "cifar",
        "coarse",
        "restarts",
        "one-pixel",
        "grey",
        "progressive-grey",
        "stored-as-rgb",
        "cmyk",
        "unfinished",
    ];

    /// A file that tests/reference/make_jpeg_reference.py made.
    fn reference(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/jpeg");
        std::fs::read(folder.join(name)).unwrap()
    }

    #[test]
    fn jpeg_pixels_are_those_of_pil() {
        for name in PIL_EQUAL {
            let ours = decode_rgb(&reference(&format!("{name}.jpg"))).unwrap();
            let pils = decode_rgb(&reference(&format!("{name}.png"))).unwrap();
            assert_eq!(ours.dimensions(), pils.dimensions());
            let differences = ours.iter().zip(pils.iter()).map(|(a, b)| a.abs_diff(*b));
            assert_eq!(differences.max(), Some(0), "{name}: levels");
        }
    }

    /// Sets bytes of the frame header, counted from its marker.
    fn with_frame(name: &str, changes: &[(usize, u8)]) -> Vec<u8> {
        let mut bytes = reference(name);
        let marker = [0xff, 0xc0];
        let frame = bytes.windows(2).position(|pair| pair == marker).unwrap();
        for &(offset, value) in changes {
            bytes[frame + offset] = value;
        }
        bytes
    }

    fn check_refused(bytes: &[u8], words: &str) {
        let reason = decode_rgb(bytes).unwrap_err();
        assert!(reason.contains(words), "{reason}");
    }

    #[test]
    fn jpeg_frames_pil_or_the_decoder_cannot_read_are_refused() {
        let (precision, height, width, first_sampling) = (4, 5, 7, 11);
        let large = [(height, 0x4e), (width, 0x4e)];
        check_refused(&with_frame("grey.jpg", &large), "is over 64 megapixels");
        let empty = [(height, 0), (height + 1, 0)];
        check_refused(&with_frame("grey.jpg", &empty), "has no pixels");
        check_refused(&with_frame("cmyk.jpg", &empty), "has no pixels");
        let unequal = [(first_sampling, 0x22)];
        check_refused(&with_frame("cmyk.jpg", &unequal), "planes of several sizes");
        check_refused(&with_frame("grey.jpg", &[(precision, 12)]), "12 bits");
    }

    #[test]
    fn jpegs_that_are_cut_and_closed_again_are_refused() {
        for name in ["baseline-420.jpg", "progressive-420.jpg", "cmyk.jpg"] {
            let bytes = reference(name);
            let cut = [&bytes[..bytes.len() * 9 / 10], &[0xff, 0xd9]].concat();
            check_refused(&cut, "damaged or unusual JPEG: unexpected end of data");
        }
    }
}
