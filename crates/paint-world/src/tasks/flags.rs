//! `flags`: the flags of 64 countries in the wind, the world's fine-grained task.

use paint_data::Rng;
use tiny_skia::Pixmap;

use super::noise::Noise;
use super::owned;
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, jitter, mix, to_byte};
use crate::domain::{Domain, Drawing, Split};
use crate::sprites::sprite;

pub(super) struct Flags;

/// Two-letter country code, name, and what is to be seen.
struct Flag {
    code: &'static str,
    name: &'static str,
    looks: [&'static str; 2],
}

const fn flag(code: &'static str, name: &'static str, a: &'static str, b: &'static str) -> Flag {
    Flag {
        code,
        name,
        looks: [a, b],
    }
}

const FLAGS: [Flag; 64] = [
    flag(
        "AR",
        "Argentina",
        "light blue, white and light blue bands",
        "a small golden sun in the middle",
    ),
    flag(
        "AU",
        "Australia",
        "white stars on dark blue",
        "a small cross of red and white in the corner with a big star below",
    ),
    flag(
        "AT",
        "Austria",
        "red, white and red bands",
        "three horizontal bands with white in the middle",
    ),
    flag(
        "BD",
        "Bangladesh",
        "a red disc on green",
        "a full green cloth with a round spot",
    ),
    flag(
        "BE",
        "Belgium",
        "upright bands of black, yellow and red",
        "a dark band at the pole and a red one outside",
    ),
    flag(
        "BR",
        "Brazil",
        "a yellow diamond on green",
        "a blue globe in a diamond",
    ),
    flag(
        "BG",
        "Bulgaria",
        "white, green and red bands",
        "three horizontal bands with green in the middle",
    ),
    flag(
        "CA",
        "Canada",
        "a red leaf on white",
        "red bands left and right of a leaf",
    ),
    flag(
        "CL",
        "Chile",
        "a white star in a blue square",
        "a white band above a red band with a square in the corner",
    ),
    flag(
        "CN",
        "China",
        "yellow stars on red",
        "a full red cloth with a big and four small stars",
    ),
    flag(
        "CO",
        "Colombia",
        "yellow, blue and red bands",
        "a broad yellow band above narrow ones",
    ),
    flag(
        "HR",
        "Croatia",
        "red, white and blue bands with a chequered shield",
        "a shield of red and white squares",
    ),
    flag(
        "CU",
        "Cuba",
        "a red triangle with a white star",
        "blue and white stripes beside a triangle",
    ),
    flag(
        "CZ",
        "Czechia",
        "a blue triangle beside white and red",
        "a wedge at the pole between a white and a red half",
    ),
    flag(
        "DK",
        "Denmark",
        "a white cross on red",
        "a cross that reaches the edges of a red cloth",
    ),
    flag(
        "EG",
        "Egypt",
        "red, white and black bands",
        "a golden eagle in the middle of a white band",
    ),
    flag(
        "EE",
        "Estonia",
        "blue, black and white bands",
        "three horizontal bands with black in the middle",
    ),
    flag(
        "FI",
        "Finland",
        "a blue cross on white",
        "a blue cross that reaches the edges of a white cloth",
    ),
    flag(
        "FR",
        "France",
        "upright bands of blue, white and red",
        "a blue band at the pole and a red one outside",
    ),
    flag(
        "GE",
        "Georgia",
        "a red cross with four small crosses",
        "five red crosses on white",
    ),
    flag(
        "DE",
        "Germany",
        "black, red and gold bands",
        "three horizontal bands with black at the top",
    ),
    flag(
        "GH",
        "Ghana",
        "red, yellow and green bands with a black star",
        "a black star on a yellow band",
    ),
    flag(
        "GR",
        "Greece",
        "blue and white stripes with a white cross",
        "nine stripes and a cross in the corner",
    ),
    flag(
        "HU",
        "Hungary",
        "red, white and green bands",
        "three horizontal bands from red to green",
    ),
    flag(
        "IS",
        "Iceland",
        "a red cross with white edges on blue",
        "a blue cloth parted by a red and white cross",
    ),
    flag(
        "IN",
        "India",
        "orange, white and green bands",
        "a small blue wheel in the middle",
    ),
    flag(
        "ID",
        "Indonesia",
        "a red half above a white half",
        "two halves, red above",
    ),
    flag(
        "IE",
        "Ireland",
        "upright bands of green, white and orange",
        "a green band at the pole and an orange one outside",
    ),
    flag(
        "IL",
        "Israel",
        "a blue star of lines on white",
        "two blue stripes and a star with six points",
    ),
    flag(
        "IT",
        "Italy",
        "upright bands of green, white and red",
        "a green band at the pole and a red one outside",
    ),
    flag(
        "JM",
        "Jamaica",
        "a yellow diagonal cross",
        "black and green triangles around a yellow cross",
    ),
    flag(
        "JP",
        "Japan",
        "a red disc on white",
        "a full white cloth with a round spot",
    ),
    flag(
        "KZ",
        "Kazakhstan",
        "a golden sun on light blue",
        "a sun above an eagle on a light blue cloth",
    ),
    flag(
        "KE",
        "Kenya",
        "black, red and green bands with a shield",
        "a red and black shield in the middle",
    ),
    flag(
        "KW",
        "Kuwait",
        "green, white and red bands with a black wedge",
        "a black wedge at the pole",
    ),
    flag(
        "LA",
        "Laos",
        "a white disc on a blue band",
        "a blue band between red bands with a white spot",
    ),
    flag(
        "LV",
        "Latvia",
        "a thin white band on dark red",
        "dark red above and below a narrow white band",
    ),
    flag(
        "LB",
        "Lebanon",
        "a green tree between red bands",
        "a tree in the middle of a white band",
    ),
    flag(
        "MK",
        "North Macedonia",
        "a yellow sun with broad rays on red",
        "eight yellow rays to the edges of a red cloth",
    ),
    flag(
        "MY",
        "Malaysia",
        "red and white stripes with a yellow moon",
        "a yellow moon and star in a blue corner",
    ),
    flag(
        "MX",
        "Mexico",
        "upright bands of green, white and red with an eagle",
        "an eagle in the middle of upright bands",
    ),
    flag(
        "MA",
        "Morocco",
        "a green star of lines on red",
        "a full red cloth with a star outline",
    ),
    flag(
        "NP",
        "Nepal",
        "two pointed pennants",
        "a red shape with a blue edge that is not a rectangle",
    ),
    flag(
        "NL",
        "Netherlands",
        "red, white and blue bands",
        "three horizontal bands from red to blue",
    ),
    flag(
        "NG",
        "Nigeria",
        "upright bands of green, white and green",
        "green at both sides of a white band",
    ),
    flag(
        "NO",
        "Norway",
        "a blue cross with white edges on red",
        "a red cloth parted by a blue and white cross",
    ),
    flag(
        "PK",
        "Pakistan",
        "a white moon and star on dark green",
        "a white band at the pole of a dark green cloth",
    ),
    flag(
        "PW",
        "Palau",
        "a yellow disc on light blue",
        "a light blue cloth with a yellow spot",
    ),
    flag(
        "PA",
        "Panama",
        "quarters of white, red and blue",
        "four quarters with two stars",
    ),
    flag(
        "PL",
        "Poland",
        "a white half above a red half",
        "two halves, white above",
    ),
    flag(
        "PT",
        "Portugal",
        "a green and a red part with a golden emblem",
        "a golden emblem where green meets red",
    ),
    flag(
        "QA",
        "Qatar",
        "a jagged white edge on dark purple red",
        "a white part with teeth beside dark red",
    ),
    flag(
        "RO",
        "Romania",
        "upright bands of blue, yellow and red",
        "a blue band at the pole and a yellow one in the middle",
    ),
    flag(
        "SA",
        "Saudi Arabia",
        "white writing and a sword on green",
        "a sword below white letters",
    ),
    flag(
        "ZA",
        "South Africa",
        "a green y shape with a black wedge",
        "six colours around a green y",
    ),
    flag(
        "KR",
        "South Korea",
        "a red and blue circle on white",
        "black bars around a circle of two colours",
    ),
    flag(
        "ES",
        "Spain",
        "red, yellow and red bands",
        "a broad yellow band with a small emblem",
    ),
    flag(
        "SE",
        "Sweden",
        "a yellow cross on blue",
        "a cross that reaches the edges of a blue cloth",
    ),
    flag(
        "CH",
        "Switzerland",
        "a short white cross on red",
        "a cross that does not reach the edges",
    ),
    flag(
        "TH",
        "Thailand",
        "a broad blue band between white and red stripes",
        "five horizontal stripes from red to red",
    ),
    flag(
        "TR",
        "Türkiye",
        "a white moon and star on red",
        "a full red cloth with a white moon",
    ),
    flag(
        "UA",
        "Ukraine",
        "a blue half above a yellow half",
        "two halves, blue above",
    ),
    flag(
        "GB",
        "United Kingdom",
        "crosses of red and white on blue",
        "upright and slanted crosses over each other",
    ),
    flag(
        "US",
        "United States",
        "red and white stripes with many stars",
        "white stars in a blue corner beside stripes",
    ),
];

/// What the flag flies before; held-out splits add what comes after the first `N_SEEN_SKIES`.
const SKIES: [(Colour, Colour); 8] = [
    ([120, 170, 230], [214, 228, 240]),
    ([170, 180, 190], [216, 220, 224]),
    ([60, 100, 60], [110, 140, 90]),
    ([190, 176, 160], [140, 124, 110]),
    ([40, 60, 110], [90, 120, 170]),
    ([20, 22, 40], [60, 50, 80]),
    ([236, 160, 100], [140, 100, 140]),
    ([226, 226, 226], [120, 120, 120]),
];
const N_SEEN_SKIES: usize = 5;

impl Domain for Flags {
    fn name(&self) -> &'static str {
        "flags"
    }

    fn class_names(&self) -> Vec<String> {
        FLAGS.iter().map(|f| f.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a photo of the flag of {}.",
            "the flag of {}.",
            "a {} flag in the wind.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a flag",
            "a flag in the wind",
            "the flag of a country",
            "a national flag",
            "some coloured cloth on a pole",
            "a banner",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let flag = &FLAGS[class_idx];
        let (a, b) = *rng.pick(split.pool(&SKIES, N_SEEN_SKIES));
        let mut canvas = paint_sky(jitter(a, 24.0, rng), jitter(b, 24.0, rng), rng);
        let cloth = Cloth::random(rng);
        if rng.chance(0.6) {
            cloth.paint_pole(&mut canvas);
        }
        let picture = sprite(&emoji(flag.code)).expect("Twemoji has the flag of every country");
        cloth.paint(&mut canvas, picture);
        if rng.chance(0.25) {
            canvas.occlude(rng.range(0.06, 0.16), rng);
        }
        canvas.degrade(rng.range(0.1, 0.8), rng);
        Drawing {
            image: canvas.finish(),
            attributes: owned(&flag.looks),
        }
    }
}

/// The emoji of a country's flag: its code in regional indicator letters.
fn emoji(code: &str) -> String {
    const REGIONAL_A: u32 = 0x1f1e6;
    code.bytes()
        .filter_map(|c| char::from_u32(REGIONAL_A + u32::from(c - b'A')))
        .collect()
}

fn paint_sky(a: Colour, b: Colour, rng: &mut Rng) -> Canvas {
    let noise = Noise::new(rng);
    let patch = rng.range(6.0, 24.0);
    Canvas::from_fn(|x, y| {
        let t = 0.5 * y / SIZE + noise.fractal(x / patch, y / patch, 2) - 0.25;
        mix(a, b, t.clamp(0.0, 1.0))
    })
}

/// A waving cloth: where it hangs and how its surface bends.
struct Cloth {
    middle: (f32, f32),
    half: (f32, f32),
    turn: f32,
    shear: f32,
    amplitude: f32,
    waves: f32,
    phase: f32,
}

impl Cloth {
    fn random(rng: &mut Rng) -> Self {
        let half_width = rng.range(15.0, 23.0);
        Self {
            middle: (
                SIZE / 2.0 + rng.range(-3.0, 3.0),
                SIZE / 2.0 + rng.range(-4.0, 4.0),
            ),
            half: (half_width, half_width * rng.range(0.56, 0.78)),
            turn: rng.range(-0.35, 0.35),
            shear: rng.range(-0.25, 0.25),
            amplitude: rng.range(0.0, 0.16),
            waves: rng.range(1.0, 2.4),
            phase: rng.range(0.0, std::f32::consts::TAU),
        }
    }

    /// From a point of the picture to the cloth's own plane, where the cloth is [-1, 1]²; and the
    /// slope of the surface there.
    fn unfold(&self, x: f32, y: f32) -> (f32, f32, f32) {
        let (sin, cos) = self.turn.sin_cos();
        let (dx, dy) = (x - self.middle.0, y - self.middle.1);
        let u = (cos * dx + sin * dy) / self.half.0;
        let v = (cos * dy - sin * dx) / self.half.1 - self.shear * u;
        let angle = self.waves * 2.0 * u + self.phase;
        // The cloth is fixed at the pole and free at the other end.
        let free = 0.3 + 0.35 * (u + 1.0);
        (
            u,
            v - 1.6 * self.amplitude * free * angle.sin(),
            self.amplitude * free * angle.cos(),
        )
    }

    fn paint(&self, canvas: &mut Canvas, picture: &Pixmap) {
        canvas.map(|x, y, old| {
            let mut sum = [0.0; 3];
            for (sx, sy) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
                let (u, v, slope) = self.unfold(x + sx, y + sy);
                let light = 1.0 - 2.4 * slope;
                let colour = look_up(picture, u, v, old, light);
                for (s, c) in sum.iter_mut().zip(colour) {
                    *s += 0.25 * c;
                }
            }
            sum.map(to_byte)
        });
    }

    fn paint_pole(&self, canvas: &mut Canvas) {
        let (sin, cos) = self.turn.sin_cos();
        let at = |u: f32, v: f32| {
            let (dx, dy) = (u * self.half.0, (v + self.shear * u) * self.half.1);
            (
                self.middle.0 + cos * dx - sin * dy,
                self.middle.1 + sin * dx + cos * dy,
            )
        };
        canvas.line(at(-1.03, -1.25), at(-1.03, 5.0), 1.8, [96, 84, 70]);
        canvas.line(at(-1.05, -1.25), at(-1.05, 5.0), 0.7, [190, 180, 160]);
    }
}

/// The picture's colour at (u, v) in [-1, 1]², lit; `behind` shows where it is transparent.
fn look_up(picture: &Pixmap, u: f32, v: f32, behind: Colour, light: f32) -> [f32; 3] {
    let behind = behind.map(f32::from);
    if u.abs() > 1.0 || v.abs() > 1.0 {
        return behind;
    }
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    // The artwork has round corners; a margin of a twenty-fifth is left out to square them.
    let x = ((0.5 + 0.48 * u) * width) as usize;
    let y = ((0.5 + 0.48 * v) * height) as usize;
    let i = 4
        * (y.min(picture.height() as usize - 1) * picture.width() as usize
            + x.min(picture.width() as usize - 1));
    let rgba = &picture.data()[i..i + 4];
    let clear = 1.0 - f32::from(rgba[3]) / 255.0;
    std::array::from_fn(|c| (f32::from(rgba[c]) * light).min(255.0) + clear * behind[c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_codes_become_regional_indicators() {
        assert_eq!(emoji("DE"), "🇩🇪");
        for flag in &FLAGS {
            assert!(sprite(&emoji(flag.code)).is_some(), "{}", flag.name);
        }
    }

    #[test]
    fn a_flat_cloth_unfolds_to_its_own_square() {
        let cloth = Cloth {
            middle: (24.0, 24.0),
            half: (20.0, 12.0),
            turn: 0.0,
            shear: 0.0,
            amplitude: 0.0,
            waves: 1.0,
            phase: 0.0,
        };
        assert_eq!(cloth.unfold(4.0, 36.0), (-1.0, 1.0, 0.0));
        assert_eq!(cloth.unfold(24.0, 24.0), (0.0, 0.0, 0.0));
    }
}
