//! The faces that words and digits are written in, in two pools.
//!
//! The first [`N_SEEN`] faces write the pretraining and training images; the held-out splits
//! use all of them.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef};
use paint_data::Rng;

use crate::domain::Split;

/// A typeface, ready to write with.
pub(crate) type Face = FontRef<'static>;

/// How many faces (from the front) pretraining and training may use.
pub(crate) const N_SEEN: usize = 12;

/// All faces.
static FACES: LazyLock<Vec<Face>> = LazyLock::new(|| {
    let seen: [&'static [u8]; N_SEEN] = [
        dejavu::sans::regular(),
        dejavu::sans::bold(),
        dejavu::sans_condensed::bold(),
        dejavu::sans_mono::bold(),
        dejavu::serif::regular(),
        dejavu::serif::bold_italic(),
        epaint_default_fonts::UBUNTU_LIGHT,
        typst("LibertinusSerif-Regular"),
        typst("LibertinusSerif-Bold"),
        typst("LibertinusSerif-Italic"),
        typst("NewCM10-Bold"),
        typst("NewCM10-Italic"),
    ];
    let unseen: [&'static [u8]; 6] = [
        dejavu::sans::bold_oblique(),
        dejavu::serif_condensed::bold(),
        epaint_default_fonts::HACK_REGULAR,
        typst("LibertinusSerif-SemiboldItalic"),
        typst("NewCM10-Regular"),
        typst("NewCM10-BoldItalic"),
    ];
    let read = |bytes| FontRef::try_from_slice(bytes).expect("an embedded font is readable");
    seen.into_iter().chain(unseen).map(read).collect()
});

/// The face that is easiest to read.
pub(crate) fn plain() -> &'static Face {
    &FACES[0]
}

/// A random face of those that `split` may use.
pub(crate) fn pick(split: Split, rng: &mut Rng) -> &'static Face {
    rng.pick(split.pool(&FACES, N_SEEN))
}

/// A random face of all that have every letter of `text`; of all, if none has.
pub(crate) fn able(text: &str, rng: &mut Rng) -> &'static Face {
    let has = |face: &&Face| text.chars().all(|c| c == ' ' || face.glyph_id(c).0 != 0);
    let able: Vec<&'static Face> = FACES.iter().filter(has).collect();
    match able.is_empty() {
        true => rng.pick(&FACES),
        false => able[rng.below(able.len())],
    }
}

/// `typst_assets` gives its fonts in a fixed order, without names.
fn typst(name: &str) -> &'static [u8] {
    const ORDER: [&str; 13] = [
        "LibertinusSerif-Regular",
        "LibertinusSerif-Bold",
        "LibertinusSerif-Italic",
        "LibertinusSerif-BoldItalic",
        "LibertinusSerif-Semibold",
        "LibertinusSerif-SemiboldItalic",
        "NewCMMath-Bold",
        "NewCMMath-Book",
        "NewCMMath-Regular",
        "NewCM10-Regular",
        "NewCM10-Bold",
        "NewCM10-Italic",
        "NewCM10-BoldItalic",
    ];
    let position = ORDER
        .iter()
        .position(|n| *n == name)
        .expect("a font of the list");
    typst_assets::fonts()
        .nth(position)
        .expect("typst-assets ships this font")
}
