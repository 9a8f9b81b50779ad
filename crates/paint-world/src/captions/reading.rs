//! Pictures that cannot be told apart but by reading.
//!
//! Words in many typefaces, sizes and places, as small as they are, are a hard beginning for a small
//! model: there are easier ones for it, and some that are between.

use image::RgbImage;
use paint_data::Rng;

use super::{Captioned, Corpus, broken};
use crate::artwork::{Artwork, OBJECTS};
use crate::canvas::{Canvas, SIZE, text_width};
use crate::colour::{Colour, any, contrasting};
use crate::domain::Split;
use crate::english::with_article;
use crate::fonts::{self, Face};
use crate::typographic::{cased, write_in_seen_face};

/// Height of a capital on a plain ground, in pixels, where the word leaves room for it.
const PLAIN_HEIGHT: f32 = 9.0;
/// The same for other words that are not written as attacks write.
const HEIGHTS: std::ops::Range<f32> = 6.0..12.0;

impl Corpus {
    /// Dark on light, in the middle, in the plainest typeface.
    pub(super) fn plain_word(&self, rng: &mut Rng) -> Captioned {
        let word = self.word_to_read(rng);
        let (ground, ink) = (200 + rng.below(56) as u8, rng.below(60) as u8);
        let mut canvas = Canvas::filled([ground; 3]);
        let lines = Lines::new(word, fonts::plain());
        let height = PLAIN_HEIGHT.min(lines.tallest());
        let middle = (SIZE / 2.0, SIZE / 2.0);
        lines.write(&mut canvas, middle, height, [ink; 3]);
        saying(canvas.finish(), word, rng)
    }

    /// In any typeface, size and place, in a colour that stands out.
    pub(super) fn varied_word(&self, rng: &mut Rng) -> Captioned {
        let word = self.word_to_read(rng);
        let ground = any(rng);
        let ink = contrasting(ground, 100.0, rng);
        let mut canvas = Canvas::filled(ground);
        let cased = cased(word, rng);
        let lines = Lines::new(&cased, fonts::pick(Split::Pretrain, rng));
        let height = rng.range(HEIGHTS.start, HEIGHTS.end).min(lines.tallest());
        let mut along = |size: f32| {
            let slack = ((SIZE - size) / 2.0 - 1.0).max(0.0);
            SIZE / 2.0 + rng.range(-slack, slack)
        };
        let (across, high) = lines.size(height);
        let centre = (along(across), along(high));
        lines.write(&mut canvas, centre, height, ink);
        saying(canvas.finish(), word, rng)
    }

    /// As an attack writes it, on any ground.
    pub(super) fn outlined_word(&self, rng: &mut Rng) -> Captioned {
        let word = self.word_to_read(rng);
        let ground = self.ground(rng).0.finish();
        saying(write_in_seen_face(&ground, word, rng), word, rng)
    }

    /// A word across an object that is nearly always called something else.
    pub(super) fn misnamed(&self, rng: &mut Rng) -> Captioned {
        let word = self.word_to_read(rng);
        let (canvas, artwork) = self.thing(28.0..46.0, rng);
        let image = write_in_seen_face(&canvas.finish(), word, rng);
        match rng.chance(0.25) {
            true => Captioned {
                image,
                caption: format!("{} that says {word}", with_article(artwork.name)),
            },
            false => saying(image, word, rng),
        }
    }

    /// The name of an object, or anything that can be written.
    pub(super) fn word_to_read(&self, rng: &mut Rng) -> &str {
        match rng.chance(0.5) {
            true => rng.pick::<Artwork>(&OBJECTS).name,
            false => self.vocabulary.pick(rng),
        }
    }
}

/// `image` with a caption that says `word`.
fn saying(image: RgbImage, word: &str, rng: &mut Rng) -> Captioned {
    let caption = match rng.below(8) {
        0 => format!("the word {word}"),
        1 => format!("it says {word}"),
        2 => format!("a sign that says {word}"),
        3 => format!("the word {word} is written"),
        _ => word.to_owned(),
    };
    Captioned { image, caption }
}

/// A text on one line or on several, to be written in any size.
struct Lines<'a> {
    lines: Vec<String>,
    face: &'a Face,
    /// Of the widest line, in heights of a capital.
    width: f32,
}

/// From baseline to baseline, in heights of a capital.
const ROW: f32 = 1.4;

impl<'a> Lines<'a> {
    fn new(text: &str, face: &'a Face) -> Self {
        let lines = broken(text);
        let widths = lines.iter().map(|line| text_width(line, face, 1.0));
        let width = widths.fold(0.1, f32::max);
        Self { lines, face, width }
    }

    /// The largest height of capitals with which it fits.
    fn tallest(&self) -> f32 {
        ((SIZE - 3.0) / self.width).min((SIZE - 3.0) / (ROW * self.lines.len() as f32))
    }

    /// Width and height in pixels.
    fn size(&self, height: f32) -> (f32, f32) {
        (height * self.width, height * ROW * self.lines.len() as f32)
    }

    fn write(&self, canvas: &mut Canvas, (x, y): (f32, f32), height: f32, ink: Colour) {
        let middle = 0.5 * (self.lines.len() as f32 - 1.0);
        for (i, line) in self.lines.iter().enumerate() {
            let y = y + (i as f32 - middle) * ROW * height;
            canvas.text(line, self.face, (x, y), height, 0.0, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::recipe::Recipe;

    fn items(change: fn(&mut Recipe), n: usize) -> Vec<Captioned> {
        let corpus = Corpus::new(Recipe::only(change), 1).unwrap();
        corpus.iter(0).take(n).collect()
    }

    fn corner_is_common(image: &RgbImage) -> bool {
        let corner = image.get_pixel(0, 0);
        let same = image.pixels().filter(|pixel| *pixel == corner).count();
        same * 2 > image.pixels().len()
    }

    #[test]
    fn pictures_and_captions_differ_and_the_easy_ones_stand_on_one_colour() {
        let all = [
            items(|recipe| recipe.plain_words = 1.0, 100),
            items(|recipe| recipe.varied_words = 1.0, 100),
            items(|recipe| recipe.outlined_words = 1.0, 100),
            items(|recipe| recipe.misnamed = 1.0, 100),
        ];
        for items in &all {
            let images: BTreeSet<&[u8]> =
                items.iter().map(|i| i.image.as_raw().as_slice()).collect();
            assert!(images.len() > 95, "{} images", images.len());
            let captions: BTreeSet<&str> = items.iter().map(|i| i.caption.as_str()).collect();
            assert!(captions.len() > 75, "{} captions", captions.len());
        }
        // The easy ones stand on one colour.
        for items in &all[..2] {
            assert!(
                items
                    .iter()
                    .filter(|item| corner_is_common(&item.image))
                    .count()
                    > 90
            );
        }
    }

    #[test]
    fn what_is_misnamed_is_named_in_a_quarter_of_the_captions() {
        let items = items(|recipe| recipe.misnamed = 1.0, 400);
        let named = |caption: &str| {
            let object = caption.split(" that says ").next().unwrap_or_default();
            caption.contains(" that says ") && object != "a sign"
        };
        let n = items.iter().filter(|item| named(&item.caption)).count();
        assert!((70..130).contains(&n), "{n}");
    }

    #[test]
    fn lines_fit_whatever_is_written() {
        let (paper, ink) = ([255; 3], [0; 3]);
        for text in [
            "Ox",
            "HELICOPTER",
            "red and white circle 20 kph speed limit",
        ] {
            for seed in 0..12 {
                let face = fonts::pick(Split::Pretrain, &mut Rng::new(seed));
                let lines = Lines::new(text, face);
                let mut canvas = Canvas::filled(paper);
                let middle = (SIZE / 2.0, SIZE / 2.0);
                let height = lines.tallest().min(HEIGHTS.end);
                lines.write(&mut canvas, middle, height, ink);
                let image = canvas.finish();
                let dark = |columns: [u32; 2]| {
                    let written = image.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128);
                    written.filter(|(x, _, _)| columns.contains(x)).count()
                };
                assert_eq!(dark([0, 47]), 0, "{text}, seed {seed}");
                let written = image.pixels().filter(|p| p.0[0] < 128).count();
                assert!(written > 20, "{text}, seed {seed}: {written}");
            }
        }
    }
}
