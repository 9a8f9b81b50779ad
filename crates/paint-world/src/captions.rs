//! The caption corpus: pictures with a sentence each, over more than a thousand concepts.

use image::RgbImage;
use paint_data::Rng;

use crate::artwork::{ALL, Artwork, OBJECTS, SKETCHED};
use crate::backgrounds;
use crate::canvas::{Canvas, SIZE, text_width};
use crate::colour::{NAMED, contrasting, jitter, luma, shade_of};
use crate::domain::{Domain, Split};
use crate::english::{NUMBERS, plural, with_article};
use crate::error::Result;
use crate::fonts;
use crate::kinds::kinds_of;
use crate::objects::{photograph, position, put, stands_out};
use crate::places::PLACES;
use crate::recipe::Recipe;
use crate::shapes::{Shape, named_background};
use crate::sketches::{Style, sketch};
use crate::tasks::patching_domains;
use crate::vocabulary::Vocabulary;

mod albums;
mod reading;

/// One picture and its caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captioned {
    /// 48 x 48 pixels.
    pub image: RgbImage,
    /// One sentence or phrase, in lower case but for names of countries.
    pub caption: String,
}

/// The endless caption corpus of a recipe and a seed.
///
/// Item `index` depends on these three alone, so that any part of it can be drawn on any
/// thread. It only uses what [`Split::Pretrain`] allows.
pub struct Corpus {
    recipe: Recipe,
    seed: u64,
    vocabulary: Vocabulary,
}

/// Keeps the corpus' random streams apart from those of the tasks.
const STREAM: u64 = 1_000;

/// As [`STREAM`], for what an album has in common.
const ALBUM_STREAM: u64 = 1_001;

/// Neighbouring items that are of one kind and, if they show a patching task's domain, with
/// captions of one kind: in a batch with its album, a picture must be told from its like.
pub const ALBUM: u64 = 32;

/// How the captions of an album speak of a domain.
#[derive(Clone, Copy)]
enum Speech {
    Vague,
    Attributes,
    Named,
}

impl Corpus {
    /// The corpus of `recipe` and `seed`.
    ///
    /// # Errors
    /// If a share of the recipe is not a fraction, or names a domain that does not exist.
    pub fn new(recipe: Recipe, seed: u64) -> Result<Self> {
        recipe.check()?;
        Ok(Self {
            recipe,
            seed,
            vocabulary: Vocabulary::new(),
        })
    }

    /// Draws item `index`.
    pub fn get(&self, index: u64) -> Captioned {
        let album = &mut Rng::derive(self.seed, &[ALBUM_STREAM, index / ALBUM]);
        let rng = &mut Rng::derive(self.seed, &[STREAM, index]);
        let (canvas, caption) = match weighted(&self.recipe.shares(), album) {
            0 => self.object(rng),
            1 => self.sketch(rng),
            2 => shape(rng),
            3 => self.count(rng),
            4 => self.word(rng),
            5 => number(rng),
            6 => self.pair(rng),
            7 => return self.domain(album, rng),
            8 => self.scattered(album, rng),
            9 => self.arranged(album, rng),
            10 => self.labelled(rng),
            11 => return self.plain_word(rng),
            12 => return self.varied_word(rng),
            13 => return self.outlined_word(rng),
            _ => return self.misnamed(rng),
        };
        Captioned {
            image: canvas.finish(),
            caption,
        }
    }

    /// The items from `start` on.
    pub fn iter(&self, start: u64) -> impl Iterator<Item = Captioned> {
        (start..).map(|index| self.get(index))
    }

    fn artwork(&self, known: &'static [Artwork], rng: &mut Rng) -> &'static Artwork {
        if rng.chance(self.recipe.known_objects) {
            rng.pick(known)
        } else {
            rng.pick(&ALL)
        }
    }

    fn object(&self, rng: &mut Rng) -> (Canvas, String) {
        let artwork = self.artwork(&OBJECTS, rng);
        if rng.chance(0.1) {
            return far_or_near(artwork, rng);
        }
        let (mut canvas, phrase) = loop {
            let (canvas, phrase) = self.ground(rng);
            if stands_out(artwork, &canvas) || rng.chance(0.05) {
                break (canvas, phrase);
            }
        };
        let size = rng.range(28.0, 46.0);
        put(&mut canvas, artwork, position(size, rng), size, 0.35, rng);
        photograph(&mut canvas, rng);
        let caption = sentence(artwork.name, &phrase, rng);
        (canvas, self.or_kind(artwork, caption, rng))
    }

    /// `caption`, or in some cases one that says what the object is a kind of.
    fn or_kind(&self, artwork: &Artwork, caption: String, rng: &mut Rng) -> String {
        let kinds = kinds_of(artwork.name);
        if kinds.is_empty() || self.recipe.kinds == 0.0 || !rng.chance(self.recipe.kinds) {
            return caption;
        }
        let kind: &String = rng.pick(kinds);
        let noun = noun_phrase(artwork.name, rng);
        match rng.below(5) {
            0 => format!("{noun}, {}", with_article(kind)),
            1 => with_article(kind),
            2 => format!("a picture of {}", with_article(kind)),
            _ => format!("{noun} which is a kind of {kind}"),
        }
    }

    /// A background and what may follow the object's name: "", "on grass", …
    fn ground(&self, rng: &mut Rng) -> (Canvas, String) {
        if rng.chance(self.recipe.places) {
            let place = rng.pick(&PLACES);
            let phrase = if rng.chance(0.75) {
                *rng.pick(place.phrases)
            } else {
                ""
            };
            ((place.draw)(rng), phrase.to_owned())
        } else if rng.chance(0.2) {
            let (name, colour) = *rng.pick(&NAMED);
            let canvas = backgrounds::near(jitter(colour, 10.0, rng), rng);
            (canvas, on_background(name, rng))
        } else {
            (backgrounds::any(Split::Pretrain, rng), String::new())
        }
    }

    fn sketch(&self, rng: &mut Rng) -> (Canvas, String) {
        let artwork = self.artwork(&SKETCHED, rng);
        let style = Style::pick(Split::Pretrain, rng);
        let canvas = sketch(artwork, style, rng);
        let noun = noun_phrase(artwork.name, rng);
        let caption = match rng.below(5) {
            0 => noun,
            1 => format!("a drawing of {noun}"),
            2 => format!("a picture of {noun}"),
            _ => format!("{} of {noun}", rng.pick(style.phrase())),
        };
        (canvas, self.or_kind(artwork, caption, rng))
    }

    fn count(&self, rng: &mut Rng) -> (Canvas, String) {
        // Small numbers are more frequent, as they are in the world.
        let n = 1 + rng.below(10).min(rng.below(12));
        let (mut canvas, kind) = if rng.chance(0.4) {
            let shape = Shape::random(rng);
            (
                shape.background(Split::Pretrain, rng),
                Counted::Shape(shape),
            )
        } else {
            let artwork = loop {
                let artwork = self.artwork(&OBJECTS, rng);
                if plural(artwork.name).is_some() {
                    break artwork;
                }
            };
            (
                backgrounds::any(Split::Pretrain, rng),
                Counted::Object(artwork),
            )
        };
        for (centre, size) in spread(n, rng) {
            match kind {
                Counted::Shape(shape) => shape.put(&mut canvas, centre, size, rng),
                Counted::Object(artwork) => put(&mut canvas, artwork, centre, size, 0.3, rng),
            }
        }
        let (one, many) = match kind {
            Counted::Shape(shape) => (
                shape.name(),
                format!("{}s", shape.name()).replace("crosss", "crosses"),
            ),
            Counted::Object(artwork) => (
                artwork.name.to_owned(),
                plural(artwork.name).unwrap_or_default(),
            ),
        };
        if rng.chance(0.3) {
            canvas.degrade(rng.range(0.1, 0.6), rng);
        }
        (canvas, counted(n, &one, &many, rng))
    }

    fn word(&self, rng: &mut Rng) -> (Canvas, String) {
        let text = self.vocabulary.pick(rng);
        written(text, rng)
    }

    /// An object with a word on it: in most cases its own name, and the caption need not say that it
    /// is written.
    fn labelled(&self, rng: &mut Rng) -> (Canvas, String) {
        let (mut canvas, artwork) = self.thing(26.0..46.0, rng);
        if rng.chance(0.65) {
            label(&mut canvas, artwork.name, rng);
            return (canvas, sentence(artwork.name, "", rng));
        }
        let word = self.word_to_read(rng);
        label(&mut canvas, word, rng);
        let noun = with_article(artwork.name);
        // What is written often says what a picture is about.
        let caption = match rng.below(5) {
            0 => format!("{noun} with the word {word}"),
            1 => format!("{noun} that says {word}"),
            2 => format!("it says {word}"),
            3 => format!("the word {word}"),
            _ => word.to_owned(),
        };
        (canvas, caption)
    }

    /// An object of a size within `sizes` on any ground.
    fn thing(&self, sizes: std::ops::Range<f32>, rng: &mut Rng) -> (Canvas, &'static Artwork) {
        let artwork = self.artwork(&OBJECTS, rng);
        let (mut canvas, _) = self.ground(rng);
        let size = rng.range(sizes.start, sizes.end);
        put(&mut canvas, artwork, position(size, rng), size, 0.35, rng);
        (canvas, artwork)
    }

    fn pair(&self, rng: &mut Rng) -> (Canvas, String) {
        let (mut canvas, place) = self.ground(rng);
        let (first, second) = (self.artwork(&OBJECTS, rng), self.artwork(&OBJECTS, rng));
        let (a, b) = (with_article(first.name), with_article(second.name));
        let (centres, words) = relation(rng);
        let size = rng.range(19.0, 24.0);
        for (artwork, centre) in [first, second].into_iter().zip(centres) {
            put(&mut canvas, artwork, centre, size, 0.3, rng);
        }
        let join = match rng.below(4) {
            0 => "and",
            1 => "next to",
            _ => words,
        };
        let place = if place.is_empty() || rng.chance(0.5) {
            String::new()
        } else {
            format!(" {place}")
        };
        (canvas, format!("{a} {join} {b}{place}"))
    }

    fn domain(&self, album: &mut Rng, rng: &mut Rng) -> Captioned {
        let domain = patching_domains()[weighted(&self.recipe.weights(), album)];
        let (vague, attributes) = self.recipe.captions_of(domain.name());
        let speech = match album.uniform() {
            share if share < vague => Speech::Vague,
            share if share < vague + attributes => Speech::Attributes,
            _ => Speech::Named,
        };
        let names = domain.class_names();
        let class_idx = rng.below(names.len());
        let drawing = domain.draw(class_idx, Split::Pretrain, rng);
        let caption = match speech {
            Speech::Vague => (*rng.pick(domain.vague())).to_owned(),
            Speech::Attributes => described(domain, &drawing.attributes, rng),
            Speech::Named => rng
                .pick(&domain.templates())
                .replace("{}", &names[class_idx]),
        };
        Captioned {
            image: drawing.image,
            caption,
        }
    }
}

#[derive(Clone, Copy)]
enum Counted {
    Shape(Shape),
    Object(&'static Artwork),
}

/// An index, each as likely as its weight says.
fn weighted(weights: &[f32], rng: &mut Rng) -> usize {
    let mut left = rng.uniform() * weights.iter().sum::<f32>();
    for (i, weight) in weights.iter().enumerate() {
        if left < *weight {
            return i;
        }
        left -= weight;
    }
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}

/// "a dog", "the dog" or "dog".
fn noun_phrase(name: &str, rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => format!("the {name}"),
        1 => name.to_owned(),
        _ => with_article(name),
    }
}

fn sentence(name: &str, place: &str, rng: &mut Rng) -> String {
    let noun = noun_phrase(name, rng);
    let picture = match rng.below(8) {
        0 => format!("a picture of {noun}"),
        1 => format!("a photo of {noun}"),
        2 => format!("an image of {noun}"),
        3 => format!("this is {noun}"),
        _ => noun,
    };
    if place.is_empty() {
        picture
    } else {
        format!("{picture} {place}")
    }
}

fn on_background(colour: &str, rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => format!("on {colour}"),
        1 => format!("in front of {}", with_article(&format!("{colour} wall"))),
        _ => format!("on {}", with_article(&format!("{colour} background"))),
    }
}

/// An object seen very small or very large, or at a side of the picture.
fn far_or_near(artwork: &Artwork, rng: &mut Rng) -> (Canvas, String) {
    let mut canvas = (rng.pick(&PLACES).draw)(rng);
    let noun = with_article(artwork.name);
    let middle = SIZE / 2.0;
    let (size, centre, caption) = match rng.below(6) {
        0 => {
            let size = rng.range(7.0, 12.0);
            (
                size,
                position(size, rng),
                format!("a small {} in the distance", artwork.name),
            )
        }
        1 => {
            let size = rng.range(7.0, 12.0);
            (
                size,
                position(size, rng),
                format!("{noun} far away, in the distance"),
            )
        }
        2 => (
            rng.range(46.0, 58.0),
            (middle, middle),
            format!("{noun} nearby"),
        ),
        3 => (
            rng.range(46.0, 58.0),
            (middle, middle),
            format!("a large {} close to me", artwork.name),
        ),
        4 => (
            22.0,
            (rng.range(7.0, 13.0), middle),
            format!("{noun} on the left side"),
        ),
        _ => (
            22.0,
            (SIZE - rng.range(7.0, 13.0), middle),
            format!("{noun} on the right side"),
        ),
    };
    put(&mut canvas, artwork, centre, size, 0.3, rng);
    (canvas, caption)
}

fn shape(rng: &mut Rng) -> (Canvas, String) {
    let shape = Shape::random(rng);
    if rng.chance(0.2) {
        return two_shapes(shape, rng);
    }
    let size = rng.range(13.0, 42.0);
    let centre = position(size, rng);
    let adjective = if rng.chance(0.3) { size_word(size) } else { "" };
    let (mut canvas, place) = if rng.chance(0.4) {
        let (name, canvas) = named_background(shape, rng);
        (canvas, format!(" {}", on_background(name, rng)))
    } else {
        (shape.background(Split::Pretrain, rng), String::new())
    };
    shape.put(&mut canvas, centre, size, rng);
    photograph(&mut canvas, rng);
    let name = format!("{adjective}{}", shape.name());
    (canvas, sentence(&name, place.trim_start(), rng))
}

fn size_word(size: f32) -> &'static str {
    match size {
        s if s < 21.0 => "small ",
        s if s > 34.0 => "large ",
        _ => "",
    }
}

fn two_shapes(first: Shape, rng: &mut Rng) -> (Canvas, String) {
    let second = Shape::random(rng);
    let mut canvas = first.background(Split::Pretrain, rng);
    let (centres, words) = relation(rng);
    let join = if rng.chance(0.25) { "and" } else { words };
    for (shape, centre) in [first, second].into_iter().zip(centres) {
        shape.put(&mut canvas, centre, rng.range(15.0, 21.0), rng);
    }
    let (a, b) = (with_article(&first.name()), with_article(&second.name()));
    (canvas, format!("{a} {join} {b}"))
}

/// Two centres and how the first one stands to the second.
pub(crate) fn relation(rng: &mut Rng) -> ([(f32, f32); 2], &'static str) {
    let (near, far, shift) = (12.5, SIZE - 12.5, rng.range(-5.0, 5.0));
    let middle = SIZE / 2.0;
    match rng.below(4) {
        0 => ([(near, middle + shift), (far, middle - shift)], "left of"),
        1 => ([(far, middle + shift), (near, middle - shift)], "right of"),
        2 => ([(middle + shift, near), (middle - shift, far)], "above"),
        _ => ([(middle + shift, far), (middle - shift, near)], "below"),
    }
}

/// `n` centres that keep clear of each other, with the size that fits.
fn spread(n: usize, rng: &mut Rng) -> Vec<((f32, f32), f32)> {
    let columns = (n as f32).sqrt().ceil() as usize;
    let rows = n.div_ceil(columns);
    let (width, height) = (SIZE / columns as f32, SIZE / rows as f32);
    let size = 0.92 * width.min(height) * rng.range(0.8, 1.0);
    let mut cells: Vec<usize> = (0..columns * rows).collect();
    rng.shuffle(&mut cells);
    let mut jitter = |room: f32| rng.range(-0.5, 0.5) * (room - size).max(0.0);
    let centre = |cell: usize| {
        let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
        (
            (column + 0.5) * width + jitter(width),
            (row + 0.5) * height + jitter(height),
        )
    };
    cells
        .into_iter()
        .take(n)
        .map(centre)
        .map(|c| (c, size))
        .collect()
}

fn counted(n: usize, one: &str, many: &str, rng: &mut Rng) -> String {
    let noun = if n == 1 { one } else { many };
    let number = if rng.chance(0.3) {
        n.to_string()
    } else {
        NUMBERS[n].to_owned()
    };
    let verb = if n == 1 { "is" } else { "are" };
    match rng.below(8) {
        0 => format!("a picture of {number} {noun}"),
        1 if n > 1 => format!("a group of {number} {noun}"),
        2 => format!("there {verb} {number} {noun}"),
        3 => format!("{number} {noun} in the picture"),
        _ => format!("{number} {noun}"),
    }
}

/// `text` written across the picture, on one line or on several.
fn written(text: &str, rng: &mut Rng) -> (Canvas, String) {
    let (ink_name, ground_name, canvas) = writing(text, Split::Pretrain, rng);
    let caption = match rng.below(9) {
        0 => format!("the word {text} written in {ink_name}"),
        1 => format!("the word \"{text}\""),
        2 => format!("a sign that says {text}"),
        3 => format!("the text {text} in {ink_name}"),
        4 => format!(
            "the word {text} on {}",
            with_article(&format!("{ground_name} background"))
        ),
        5 => format!("{text} in {ink_name} letters"),
        6 => format!("it says {text}"),
        7 => format!("the word {text}"),
        _ => text.to_owned(),
    };
    (canvas, caption)
}

/// A written number, called by its word or by its figures.
fn number(rng: &mut Rng) -> (Canvas, String) {
    const ROUND: [usize; 8] = [20, 30, 50, 60, 70, 80, 100, 120];
    let n = match rng.below(10) {
        0 | 1 => *rng.pick(&ROUND),
        2 => rng.below(100),
        _ => rng.below(10),
    };
    let figures = n.to_string();
    let (ink, ground, canvas) = writing(&figures, Split::Pretrain, rng);
    let called = if rng.chance(0.6) {
        NUMBERS.get(n).map_or(figures.clone(), |w| (*w).to_owned())
    } else {
        figures
    };
    let caption = match rng.below(6) {
        0 => format!("the number {called} written in {ink}"),
        1 => format!(
            "the number {called} on {}",
            with_article(&format!("{ground} background"))
        ),
        2 => format!("it says {called}"),
        3 if n < 10 => format!("the digit {called}"),
        _ => format!("the number {called}"),
    };
    (canvas, caption)
}

/// The names of ink and ground, and `text` written in them.
pub(crate) fn writing(
    text: &str,
    split: Split,
    rng: &mut Rng,
) -> (&'static str, &'static str, Canvas) {
    let (ground_name, ground) = *rng.pick(&NAMED);
    let ground = jitter(ground, 16.0, rng);
    let (ink_name, ink) = loop {
        let (name, _) = *rng.pick(&NAMED);
        let ink = shade_of(name, rng);
        if (luma(ink) - luma(ground)).abs() > 70.0 {
            break (name, ink);
        }
    };
    let mut canvas = backgrounds::near(ground, rng);
    if rng.chance(0.25) {
        let frame = contrasting(ground, 30.0, rng);
        let corners = [
            (2.0, 2.0),
            (SIZE - 2.0, 2.0),
            (SIZE - 2.0, SIZE - 2.0),
            (2.0, SIZE - 2.0),
        ];
        canvas.polygon_outline(&corners, rng.range(0.8, 2.0), frame);
    }
    write_lines(&mut canvas, text, fonts::pick(split, rng), ink, rng);
    if rng.chance(0.4) {
        canvas.degrade(rng.range(0.1, 0.5), rng);
    }
    (ink_name, ground_name, canvas)
}

/// `text` on one or more lines at the top, the middle or the bottom, in half of the cases on a strip
/// of paper.
fn label(canvas: &mut Canvas, text: &str, rng: &mut Rng) {
    let face = fonts::pick(Split::Pretrain, rng);
    let lines = broken(text);
    let widths = lines.iter().map(|line| text_width(line, face, 1.0));
    let widest = widths.fold(0.1, f32::max);
    let height = ((SIZE - 2.0) / widest).min(rng.range(5.5, 10.0));
    let (row, n) = (1.4 * height, lines.len() as f32);
    let middle = match rng.below(3) {
        0 => 0.5 * row * n + 0.5,
        1 => SIZE / 2.0,
        _ => SIZE - 0.5 * row * n - 0.5,
    };
    let paper = *rng.pick(&NAMED);
    let paper = jitter(paper.1, 16.0, rng);
    let ink = contrasting(paper, 90.0, rng);
    let shift = rng.range(-0.5, 0.5) * (SIZE - height * widest - 2.0).max(0.0);
    if rng.chance(0.5) {
        let width = height * widest + 3.0;
        let left = SIZE / 2.0 + shift - width / 2.0;
        canvas.rect(left, middle - 0.5 * row * n, width, row * n, paper);
    }
    for (i, line) in lines.iter().enumerate() {
        let y = middle + (i as f32 - 0.5 * (n - 1.0)) * row;
        canvas.text(line, face, (SIZE / 2.0 + shift, y), height, 0.0, ink);
    }
}

fn write_lines(
    canvas: &mut Canvas,
    text: &str,
    face: &fonts::Face,
    ink: crate::colour::Colour,
    rng: &mut Rng,
) {
    let cased = match rng.below(4) {
        0 => text.to_uppercase(),
        1 => text[..1].to_uppercase() + &text[1..],
        _ => text.to_owned(),
    };
    let lines = broken(&cased);
    let widest = lines
        .iter()
        .map(|l| text_width(l, face, 1.0))
        .fold(0.1, f32::max);
    let most = (43.0 / widest)
        .min(38.0 / (1.5 * lines.len() as f32))
        .min(26.0);
    let height = most * rng.range(if widest > 4.0 { 0.9 } else { 0.55 }, 1.0);
    let angle = rng.range(-0.12, 0.12);
    let slack = ((SIZE - height * widest) / 2.0 - 1.0).max(0.0);
    let (cx, shift) = (SIZE / 2.0 + rng.range(-slack, slack), rng.range(-3.0, 3.0));
    for (i, line) in lines.iter().enumerate() {
        let row = i as f32 - (lines.len() as f32 - 1.0) / 2.0;
        canvas.text(
            line,
            face,
            (cx, SIZE / 2.0 + shift + row * 1.5 * height),
            height,
            angle,
            ink,
        );
    }
}

/// Words on lines of about nine letters.
fn broken(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 9 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn described(domain: &dyn Domain, attributes: &[String], rng: &mut Rng) -> String {
    let first = rng.pick(attributes);
    match rng.below(4) {
        0 => first.clone(),
        1 if attributes.len() > 1 => {
            let second = rng.pick(attributes);
            if first == second {
                first.clone()
            } else {
                format!("{first} and {second}")
            }
        }
        _ => format!("{} with {first}", rng.pick(domain.vague())),
    }
}
