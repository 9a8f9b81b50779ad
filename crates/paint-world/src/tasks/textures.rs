//! `textures`: surfaces named by their pattern, in the manner of DTD.

use std::f32::consts::TAU;

use paint_data::Rng;

use super::noise::{Noise, step};
use super::{owned, two_of};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, contrasting, mix, to_byte};
use crate::domain::{Domain, Drawing, Split};

pub(super) struct Textures;

/// How much of the second colour (0 to 1) lies at a place of the pattern's own plane.
type Pattern = fn(f32, f32, &Surface) -> f32;

/// One sample of a pattern: what varies within a class.
struct Surface {
    noise: Noise,
    /// Free shape parameters in [0, 1).
    a: f32,
    b: f32,
}

struct Texture {
    name: &'static str,
    pattern: Pattern,
    /// Repeats of the pattern across the picture, from fewest to most.
    repeats: (f32, f32),
    looks: &'static [&'static str],
}

const TEXTURES: [Texture; 22] = [
    Texture {
        name: "striped",
        pattern: striped,
        repeats: (3.0, 8.0),
        looks: &[
            "parallel bands",
            "straight bands side by side",
            "even bars of a pair of colours",
        ],
    },
    Texture {
        name: "chequered",
        pattern: chequered,
        repeats: (4.0, 9.0),
        looks: &[
            "alternating squares",
            "a board of squares",
            "squares of a pair of colours",
        ],
    },
    Texture {
        name: "polka-dotted",
        pattern: polka_dotted,
        repeats: (3.0, 7.0),
        looks: &[
            "round spots in rows",
            "evenly spaced discs",
            "regular circles on a plain ground",
        ],
    },
    Texture {
        name: "zigzagged",
        pattern: zigzagged,
        repeats: (3.0, 6.0),
        looks: &[
            "bands with sharp corners",
            "lines that go up and down",
            "rows of pointed waves",
        ],
    },
    Texture {
        name: "gridded",
        pattern: gridded,
        repeats: (3.0, 8.0),
        looks: &[
            "thin lines that cross at right angles",
            "empty boxes between lines",
            "a net of square meshes",
        ],
    },
    Texture {
        name: "woven",
        pattern: woven,
        repeats: (3.0, 6.0),
        looks: &[
            "bands passing over and under",
            "interlaced strips",
            "strips crossing like a basket",
        ],
    },
    Texture {
        name: "marbled",
        pattern: marbled,
        repeats: (2.2, 4.2),
        looks: &[
            "thin dark veins in stone",
            "soft clouds with fine veins",
            "irregular veins",
        ],
    },
    Texture {
        name: "cracked",
        pattern: cracked,
        repeats: (2.5, 5.0),
        looks: &[
            "dark fissures between plates",
            "dry broken ground",
            "irregular gaps",
        ],
    },
    Texture {
        name: "honeycombed",
        pattern: honeycombed,
        repeats: (3.0, 6.0),
        looks: &[
            "cells with six sides",
            "a wall of hexagons",
            "regular hexagonal cells",
        ],
    },
    Texture {
        name: "bubbly",
        pattern: bubbly,
        repeats: (3.0, 5.5),
        looks: &[
            "shiny round blisters",
            "foam with bright highlights",
            "round rings of many sizes",
        ],
    },
    Texture {
        name: "scaly",
        pattern: scaly,
        repeats: (3.0, 5.5),
        looks: &[
            "overlapping rounded plates",
            "rows of half discs",
            "a fish skin",
        ],
    },
    Texture {
        name: "swirly",
        pattern: swirly,
        repeats: (1.3, 2.3),
        looks: &[
            "flowing curved bands",
            "winding contours",
            "curls like mixed paint",
        ],
    },
    Texture {
        name: "speckled",
        pattern: speckled,
        repeats: (14.0, 24.0),
        looks: &[
            "many tiny specks",
            "fine random grains",
            "scattered small points",
        ],
    },
    Texture {
        name: "wrinkled",
        pattern: wrinkled,
        repeats: (1.6, 3.2),
        looks: &[
            "folds in cloth",
            "crumpled paper",
            "ridges with soft shadows",
        ],
    },
    Texture {
        name: "braided",
        pattern: braided,
        repeats: (1.5, 2.6),
        looks: &[
            "strands twisted around each other",
            "plaited ropes",
            "columns of crossing strands",
        ],
    },
    Texture {
        name: "crystalline",
        pattern: crystalline,
        repeats: (3.0, 6.0),
        looks: &[
            "flat facets with sharp edges",
            "angular pieces of different tones",
            "broken glass facets",
        ],
    },
    Texture {
        name: "knitted",
        pattern: knitted,
        repeats: (5.0, 9.0),
        looks: &[
            "rows of small v shapes",
            "stitches of yarn",
            "columns of wool loops",
        ],
    },
    Texture {
        name: "blotchy",
        pattern: blotchy,
        repeats: (2.0, 4.0),
        looks: &[
            "large irregular patches",
            "stains with soft edges",
            "random patches like camouflage",
        ],
    },
    Texture {
        name: "fibrous",
        pattern: fibrous,
        repeats: (1.0, 1.6),
        looks: &[
            "fine threads in one direction",
            "long thin streaks",
            "hairs lying side by side",
        ],
    },
    Texture {
        name: "paisley",
        pattern: paisley,
        repeats: (2.0, 3.5),
        looks: &[
            "curved drops with a bent tip",
            "ornaments shaped like tears",
            "drops with an inner drop",
        ],
    },
    Texture {
        name: "cobwebbed",
        pattern: cobwebbed,
        repeats: (4.0, 7.0),
        looks: &[
            "threads from a centre joined by rings",
            "rays crossed by thin polygons",
            "a spider's net",
        ],
    },
    Texture {
        name: "spiralled",
        pattern: spiralled,
        repeats: (3.0, 6.0),
        looks: &[
            "a band winding around a centre",
            "a curl that grows outwards",
            "arms turning round a point",
        ],
    },
];

/// Ground colours of training; held-out splits use any colour.
const SEEN_GROUNDS: [Colour; 8] = [
    [230, 226, 216],
    [40, 42, 50],
    [190, 60, 50],
    [60, 110, 180],
    [80, 140, 80],
    [220, 190, 90],
    [150, 110, 80],
    [128, 128, 130],
];

impl Domain for Textures {
    fn name(&self) -> &'static str {
        "textures"
    }

    fn class_names(&self) -> Vec<String> {
        TEXTURES.iter().map(|t| t.name.to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        owned(&[
            "a photo of a {} texture.",
            "a photo of a {} pattern.",
            "a {} surface.",
        ])
    }

    fn vague(&self) -> &'static [&'static str] {
        &[
            "a surface from near",
            "some texture",
            "a pattern",
            "a close-up of a material",
            "a coloured background",
            "a detail of a fabric or a wall",
        ]
    }

    fn draw(&self, class_idx: usize, split: Split, rng: &mut Rng) -> Drawing {
        let texture = &TEXTURES[class_idx];
        let (ground, mark) = colours(split, rng);
        let surface = Surface {
            noise: Noise::new(rng),
            a: rng.uniform(),
            b: rng.uniform(),
        };
        let scale = rng.range(texture.repeats.0, texture.repeats.1) / SIZE;
        // A spiral and a web have a middle that should be seen; their angle carries nothing.
        let centred = matches!(texture.name, "spiralled" | "cobwebbed");
        let shift = if centred { 12.0 } else { 200.0 };
        let middle = (
            SIZE / 2.0 + rng.range(-shift, shift),
            SIZE / 2.0 + rng.range(-shift, shift),
        );
        let (sin, cos) = random_turn(texture.name, rng).sin_cos();
        let stretch = rng.range(0.85, 1.18);
        let warp = rng.range(0.0, 2.0);
        let shade = Shade::random(rng);
        let canvas = Canvas::from_fn(|x, y| {
            // A slight unevenness of the surface bends the pattern.
            let bend = warp * (surface.noise.at(x / 16.0 + 50.0, y / 16.0) - 0.5);
            let (dx, dy) = (x - middle.0 + bend, (y - middle.1 + bend) * stretch);
            let (u, v) = ((cos * dx + sin * dy) * scale, (cos * dy - sin * dx) * scale);
            let t = (texture.pattern)(u, v, &surface);
            shade.light(x, y, mix(ground, mark, t.clamp(0.0, 1.0)))
        });
        let mut canvas = canvas;
        canvas.degrade(rng.range(0.0, 0.6), rng);
        Drawing {
            image: canvas.finish(),
            attributes: two_of(texture.looks, rng),
        }
    }
}

/// Cloth hangs and knits stand upright; most patterns may lie at any angle.
fn random_turn(name: &str, rng: &mut Rng) -> f32 {
    match name {
        "scaly" | "knitted" | "braided" => rng.range(-0.35, 0.35),
        _ => rng.range(0.0, TAU),
    }
}

fn colours(split: Split, rng: &mut Rng) -> (Colour, Colour) {
    let ground = if split.is_seen() || rng.chance(0.5) {
        crate::colour::jitter(*rng.pick(&SEEN_GROUNDS), 24.0, rng)
    } else {
        crate::colour::any(rng)
    };
    (ground, contrasting(ground, 55.0, rng))
}

/// Light that falls off across the surface.
struct Shade {
    slope: (f32, f32),
}

impl Shade {
    fn random(rng: &mut Rng) -> Self {
        Self {
            slope: (rng.range(-0.006, 0.006), rng.range(-0.006, 0.006)),
        }
    }

    fn light(&self, x: f32, y: f32, colour: Colour) -> Colour {
        let middle = SIZE / 2.0;
        let gain = 1.0 + self.slope.0 * (x - middle) + self.slope.1 * (y - middle);
        colour.map(|c| to_byte(f32::from(c) * gain))
    }
}

/// Distance of `x` to the nearest integer.
fn to_integer(x: f32) -> f32 {
    (x - x.round()).abs()
}

/// 1 where `distance` is below `half`, with a soft edge.
fn within(distance: f32, half: f32) -> f32 {
    step(half + 0.05, half - 0.05, distance)
}

fn striped(u: f32, _: f32, s: &Surface) -> f32 {
    within(to_integer(u), 0.15 + 0.2 * s.a)
}

fn chequered(u: f32, v: f32, _: &Surface) -> f32 {
    let wave = (u * TAU / 2.0).sin() * (v * TAU / 2.0).sin();
    step(-0.08, 0.08, wave)
}

fn polka_dotted(u: f32, v: f32, s: &Surface) -> f32 {
    let row = v.round();
    let shift = if s.b < 0.6 {
        0.5 * (row as i32 & 1) as f32
    } else {
        0.0
    };
    within(to_integer(u + shift).hypot(v - row), 0.2 + 0.16 * s.a)
}

fn zigzagged(u: f32, v: f32, s: &Surface) -> f32 {
    let height = 0.7 + 0.5 * s.b;
    within(
        to_integer(v + height * 2.0 * to_integer(u * (0.6 + 0.4 * s.a))),
        0.24,
    )
}

fn gridded(u: f32, v: f32, s: &Surface) -> f32 {
    within(to_integer(u).min(to_integer(v)), 0.07 + 0.06 * s.a)
}

fn woven(u: f32, v: f32, s: &Surface) -> f32 {
    let (i, j) = (u.floor() as i32, v.floor() as i32);
    let across = (i + j) & 1 == 0;
    let (along, over) = if across { (u, v) } else { (v, u) };
    let edge = within(to_integer(over), 0.1);
    let bulge = ((along - along.floor()) * TAU / 2.0).sin();
    let thread = 0.12 * (over * TAU * 4.0).sin();
    let tone = if across { 0.75 } else { 0.75 - 0.5 * s.a };
    ((tone * (0.45 + 0.55 * bulge) + thread) * (1.0 - edge)).clamp(0.0, 1.0)
}

fn marbled(u: f32, v: f32, s: &Surface) -> f32 {
    let n = s.noise.fractal(u + 9.0, v, 4);
    let vein =
        (1.0 - (2.0 * s.noise.fractal(u * 0.8, v * 0.8 + 20.0, 4) - 1.0).abs() * 9.0).max(0.0);
    (0.35 * step(0.35, 0.65, n) + vein).min(1.0)
}

fn cracked(u: f32, v: f32, s: &Surface) -> f32 {
    let bent = 0.35 * (s.noise.at(u * 3.0, v * 3.0) - 0.5);
    let cell = s.noise.cell(u + bent, v - bent);
    let gap = within(cell.second - cell.nearest, 0.07 + 0.05 * s.a);
    gap.max(0.15 * cell.tone)
}

fn honeycombed(u: f32, v: f32, s: &Surface) -> f32 {
    // Two shifted rectangular lattices; the distance to the nearest wall of a hexagon.
    const H: f32 = 1.732;
    let local = |x: f32, y: f32| (x - x.round(), (y / H - (y / H).round()) * H);
    let (a, b) = (local(u, v), local(u + 0.5, v + H / 2.0));
    let (x, y) = if a.0.hypot(a.1) < b.0.hypot(b.1) {
        a
    } else {
        b
    };
    let wall = 0.5 - x.abs().max(0.5 * x.abs() + 0.5 * H * y.abs());
    within(wall, 0.06 + 0.05 * s.a)
}

fn bubbly(u: f32, v: f32, s: &Surface) -> f32 {
    let cell = s.noise.cell(u, v);
    let radius = 0.3 + 0.22 * cell.tone;
    let rim = within((cell.nearest - radius).abs(), 0.07);
    // The bright spot lies up and left of the middle, where the neighbourhood is still this cell's.
    let shifted = s.noise.cell(u + 0.12, v + 0.12);
    let spot = if shifted.tone == cell.tone {
        within(shifted.nearest, 0.08)
    } else {
        0.0
    };
    let inside = if cell.nearest < radius { 0.25 } else { 0.0 };
    rim.max(spot).max(inside)
}

fn scaly(u: f32, v: f32, s: &Surface) -> f32 {
    // The scale that covers (u, v) is the one of the lowest row whose disc reaches it.
    let mut tone = 0.0;
    let pitch = 0.5;
    let base = (v / pitch).floor();
    for k in (0..3).rev() {
        let row = base - k as f32;
        let x = to_integer(u + 0.5 * (row as i32 & 1) as f32);
        let r = x.hypot(v - row * pitch) / 0.72;
        if r < 1.0 && v >= row * pitch {
            tone = if r > 0.86 {
                1.0
            } else {
                0.35 * (1.0 - r) + 0.2 * s.a
            };
            break;
        }
    }
    tone
}

fn swirly(u: f32, v: f32, s: &Surface) -> f32 {
    let (du, dv) = (
        s.noise.at(u * 1.2, v * 1.2),
        s.noise.at(u * 1.2 + 31.0, v * 1.2),
    );
    let n = s.noise.at(u + 2.2 * du, v + 2.2 * dv);
    within(to_integer(n * (3.5 + 2.0 * s.a)), 0.25)
}

fn speckled(u: f32, v: f32, s: &Surface) -> f32 {
    let cell = s.noise.cell(u, v);
    if cell.tone < 0.35 + 0.3 * s.a {
        within(cell.nearest, 0.3) * (0.5 + cell.tone)
    } else {
        0.0
    }
}

fn wrinkled(u: f32, v: f32, s: &Surface) -> f32 {
    let height = |x: f32, y: f32| {
        let n = s.noise.fractal(x + 0.6 * s.noise.at(y, x), y, 3);
        (2.0 * n - 1.0).abs()
    };
    // Light from one side: the slope, not the height, is what is seen.
    let slope = height(u + 0.09, v + 0.05) - height(u, v);
    0.4 + 2.6 * slope
}

fn braided(u: f32, v: f32, s: &Surface) -> f32 {
    let column = u.floor();
    let x = u - column - 0.5;
    let phase = v * (0.7 + 0.5 * s.a) + 3.7 * column * s.b;
    let (mut tone, mut top) = (0.0, f32::MIN);
    for strand in 0..3 {
        let angle = (phase + strand as f32 / 3.0) * TAU;
        let across = (x - 0.26 * angle.sin()).abs() / 0.2;
        // A strand that crosses lies above those that turn at the braid's edge.
        let height = (2.0 * angle).cos() * angle.cos();
        if across < 1.0 && height > top {
            top = height;
            let round = (1.0 - across * across).sqrt();
            tone = if across > 0.82 {
                0.15
            } else {
                round * (0.55 + 0.22 * strand as f32)
            };
        }
    }
    tone
}

fn crystalline(u: f32, v: f32, s: &Surface) -> f32 {
    let cell = s.noise.cell(u, v);
    let facet = 0.3 * (cell.nearest * (2.0 * cell.tone - 1.0));
    (cell.tone + facet).clamp(0.0, 1.0)
}

fn knitted(u: f32, v: f32, s: &Surface) -> f32 {
    let x = u - u.floor() - 0.5;
    let leg = 2.0 * (x.abs() - 0.25);
    let stitch = (v * 1.1 + 1.1 * x.abs()).rem_euclid(1.0) - 0.5;
    let yarn = 1.0 - (leg * leg * 3.2 + stitch * stitch * 3.6);
    let wool = 0.2 * (s.noise.at(u * 8.0, v * 8.0) - 0.5);
    (0.1 + 1.1 * yarn + wool).clamp(0.0, 1.0)
}

fn blotchy(u: f32, v: f32, s: &Surface) -> f32 {
    let soft = 0.03 + 0.07 * s.a;
    let n = s.noise.fractal(u, v, 2);
    let other = s.noise.fractal(u + 70.0, v, 2);
    (0.6 * step(0.5 - soft, 0.5 + soft, n) + 0.4 * step(0.5 - soft, 0.5 + soft, other)).min(1.0)
}

fn fibrous(u: f32, v: f32, s: &Surface) -> f32 {
    let bent = v + 0.12 * s.noise.at(u * 1.5, v);
    step(0.25, 0.75, s.noise.fractal(u * 1.2, bent * 18.0, 3))
}

fn paisley(u: f32, v: f32, s: &Surface) -> f32 {
    let (i, j) = (u.round(), v.round());
    let (mut x, y) = (u - i, v - j);
    if (i as i32 + j as i32) & 1 == 0 {
        x = -x;
    }
    // A disc whose upper part narrows and bends to one side.
    let up = (0.22 - y).max(0.0);
    let x = x - 1.3 * up * up;
    let width = if y > 0.12 {
        (0.0841 - (y - 0.12).powi(2)).max(0.0).sqrt()
    } else {
        (0.29 - 0.52 * (0.12 - y)).max(0.0)
    };
    if width <= 0.0 {
        return 0.0;
    }
    let r = x.abs() / width;
    let inner = 0.45 + 0.15 * s.a;
    if r > 1.0 || y < -0.42 {
        0.0
    } else if r < inner && y > -0.12 && y < 0.3 {
        0.25
    } else {
        1.0
    }
}

fn cobwebbed(u: f32, v: f32, s: &Surface) -> f32 {
    let spokes = 7.0 + (5.0 * s.a).floor();
    let (radius, angle) = (u.hypot(v), v.atan2(u) / TAU * spokes);
    let spoke = to_integer(angle) / spokes * TAU * radius;
    // Between two rays a thread is straight, so its distance from the middle dips.
    let sag = 1.0 + 0.16 * (1.0 - 2.0 * to_integer(angle));
    let thread = to_integer(radius * sag + 0.2 * s.noise.lattice(angle.floor() as i32, 5));
    within(spoke.min(thread * 0.9), 0.08 + 0.04 * s.b)
}

fn spiralled(u: f32, v: f32, s: &Surface) -> f32 {
    let (radius, angle) = (u.hypot(v), v.atan2(u) / TAU);
    let arms = 1.0 + (2.0 * s.b).floor();
    let turn = if s.a < 0.5 { 1.0 } else { -1.0 };
    within(to_integer(0.9 * radius + turn * arms * angle), 0.25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_patterns_have_their_colours_where_they_should() {
        let s = Surface {
            noise: Noise::new(&mut Rng::new(1)),
            a: 0.5,
            b: 0.0,
        };
        assert_eq!([striped(3.0, 0.2, &s), striped(3.5, 0.2, &s)], [1.0, 0.0]);
        assert_eq!(
            [chequered(0.5, 0.5, &s), chequered(1.5, 0.5, &s)],
            [1.0, 0.0]
        );
        assert_eq!([gridded(2.0, 0.5, &s), gridded(2.5, 0.5, &s)], [1.0, 0.0]);
        assert_eq!(
            [polka_dotted(0.0, 2.0, &s), polka_dotted(0.5, 2.0, &s)],
            [1.0, 0.0]
        );
        assert_eq!(
            [honeycombed(0.0, 0.0, &s), honeycombed(0.5, 0.0, &s)],
            [0.0, 1.0]
        );
    }
}
