//! Named colours and arithmetic on them.

use paint_data::Rng;

/// Red, green and blue, 0 to 255.
pub(crate) type Colour = [u8; 3];

/// Colours with an English name that people would agree on.
pub(crate) const NAMED: [(&str, Colour); 12] = [
    ("red", [214, 36, 36]),
    ("green", [38, 150, 58]),
    ("blue", [34, 84, 204]),
    ("yellow", [246, 214, 40]),
    ("orange", [242, 132, 24]),
    ("purple", [128, 52, 168]),
    ("pink", [244, 134, 178]),
    ("brown", [122, 76, 40]),
    ("black", [22, 22, 24]),
    ("white", [246, 246, 244]),
    ("gray", [132, 134, 136]),
    ("cyan", [60, 200, 214]),
];

/// A shade of the named colour, or of gray if there is no such name.
pub(crate) fn shade_of(name: &str, rng: &mut Rng) -> Colour {
    let base = NAMED
        .iter()
        .find(|(n, _)| *n == name)
        .map_or([132, 134, 136], |(_, c)| *c);
    jitter(base, 14.0, rng)
}

/// Any colour at all.
pub(crate) fn any(rng: &mut Rng) -> Colour {
    [0; 3].map(|_: u8| rng.below(256) as u8)
}

/// `colour` moved by at most `amount` in each channel.
pub(crate) fn jitter(colour: Colour, amount: f32, rng: &mut Rng) -> Colour {
    colour.map(|c| to_byte(f32::from(c) + rng.range(-amount, amount)))
}

/// The colour between `a` (t = 0) and `b` (t = 1).
pub(crate) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|i| to_byte(f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * t))
}

/// Perceived brightness, 0 to 255.
pub(crate) fn luma(c: Colour) -> f32 {
    0.299 * f32::from(c[0]) + 0.587 * f32::from(c[1]) + 0.114 * f32::from(c[2])
}

/// Any colour whose brightness differs from that of `other` by at least `contrast` (0 to 120).
pub(crate) fn contrasting(other: Colour, contrast: f32, rng: &mut Rng) -> Colour {
    let base = luma(other);
    for _ in 0..16 {
        let colour = any(rng);
        if (luma(colour) - base).abs() >= contrast {
            return colour;
        }
    }
    if base > 127.0 {
        [20, 20, 24]
    } else {
        [240, 240, 236]
    }
}

/// Rounds and clamps to a byte.
pub(crate) fn to_byte(x: f32) -> u8 {
    (x + 0.5) as u8
}
