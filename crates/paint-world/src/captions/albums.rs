//! Pictures that an album makes hard: its things are always the same, and only their number or
//! their places tell one picture from another. A batch of anything else can be told apart by what is
//! shown, and nobody learns to count from it.

use paint_data::Rng;

use super::{Corpus, counted, relation};
use crate::artwork::{Artwork, OBJECTS};
use crate::backgrounds;
use crate::canvas::Canvas;
use crate::colour::NAMED;
use crate::counting::{ground, put_shapes, scattered};
use crate::domain::Split;
use crate::english::{NUMBERS, plural, with_article};
use crate::objects::put;
use crate::shapes::{FORMS, N_COLOURS, Shape};

/// Up to so many things are scattered.
const MOST: usize = 10;

/// Across, in pixels; the same whatever their number.
const SIZES: std::ops::Range<f32> = 5.5..10.0;

/// What an album has any number of.
enum Things {
    /// Shapes that have in common what is given.
    Shapes {
        form: Option<usize>,
        colour: Option<&'static str>,
    },
    Objects(&'static Artwork),
}

impl Things {
    fn pick(corpus: &Corpus, album: &mut Rng) -> Self {
        let form = album.below(FORMS.len());
        let colour = NAMED[album.below(N_COLOURS)].0;
        let shapes = |form, colour| Self::Shapes { form, colour };
        match album.below(4) {
            0 => shapes(Some(form), Some(colour)),
            1 => shapes(Some(form), None),
            2 => shapes(None, Some(colour)),
            _ => loop {
                let artwork = corpus.artwork(&OBJECTS, album);
                if plural(artwork.name).is_some() {
                    break Self::Objects(artwork);
                }
            },
        }
    }

    fn draw(&self, n: usize, rng: &mut Rng) -> Canvas {
        let textured = rng.chance(0.4);
        match *self {
            Self::Shapes { form, colour } => {
                let shapes: Vec<Shape> = (0..n)
                    .map(|_| {
                        let any = Shape::random(rng);
                        Shape {
                            form: form.unwrap_or(any.form),
                            colour: colour.unwrap_or(any.colour),
                        }
                    })
                    .collect();
                let mut canvas = match colour {
                    // Of shapes in many colours some would be lost on a texture.
                    Some(_) if textured => shapes[0].background(Split::Pretrain, rng),
                    _ => ground(Split::Pretrain, rng),
                };
                put_shapes(&mut canvas, &shapes, SIZES, rng);
                canvas
            }
            Self::Objects(artwork) => {
                let mut canvas = match textured {
                    true => backgrounds::any(Split::Pretrain, rng),
                    false => ground(Split::Pretrain, rng),
                };
                let sizes: Vec<f32> = (0..n).map(|_| rng.range(7.0, SIZES.end)).collect();
                for (centre, size) in scattered(&sizes, rng).into_iter().zip(sizes) {
                    put(&mut canvas, artwork, centre, size, 0.3, rng);
                }
                canvas
            }
        }
    }

    /// Their name, for one and for many.
    fn names(&self) -> (String, String) {
        match *self {
            Self::Objects(artwork) => (
                artwork.name.to_owned(),
                plural(artwork.name).unwrap_or_default(),
            ),
            Self::Shapes { form, colour } => {
                let form = form.map_or("shape", |form| FORMS[form]);
                let one = colour.map_or(form.to_owned(), |colour| format!("{colour} {form}"));
                let many = plural(&one).unwrap_or_default();
                (one, many)
            }
        }
    }
}

impl Corpus {
    /// Some number of the things of `album`, scattered.
    pub(super) fn scattered(&self, album: &mut Rng, rng: &mut Rng) -> (Canvas, String) {
        let things = Things::pick(self, album);
        let n = 1 + rng.below(MOST);
        let mut canvas = things.draw(n, rng);
        if rng.chance(0.3) {
            canvas.degrade(rng.range(0.1, 0.4), rng);
        }
        let caption = match rng.below(10) {
            0..3 => NUMBERS[n].to_owned(),
            3 => format!("a group of {}", NUMBERS[n]),
            4 if n > 1 => format!("there are {}", NUMBERS[n]),
            _ => {
                let (one, many) = things.names();
                counted(n, &one, &many, rng)
            }
        };
        (canvas, caption)
    }

    /// Two of the three things of `album`, and how they stand to each other.
    pub(super) fn arranged(&self, album: &mut Rng, rng: &mut Rng) -> (Canvas, String) {
        let (centres, words) = relation(rng);
        let (first, second) = two_of_three(rng);
        let (canvas, names) = if album.chance(0.5) {
            let objects: [&Artwork; 3] = std::array::from_fn(|_| self.artwork(&OBJECTS, album));
            let (mut canvas, _) = self.ground(rng);
            let size = rng.range(19.0, 24.0);
            let pair = [objects[first], objects[second]];
            for (artwork, centre) in pair.into_iter().zip(centres) {
                put(&mut canvas, artwork, centre, size, 0.3, rng);
            }
            (canvas, pair.map(|artwork| with_article(artwork.name)))
        } else {
            // The same forms in other colours: whose colour is which?
            let forms: [usize; 3] = std::array::from_fn(|_| album.below(FORMS.len()));
            let colours: [usize; 3] = std::array::from_fn(|_| album.below(N_COLOURS));
            let (one, other) = two_of_three(rng);
            let pair = [(first, one), (second, other)].map(|(form, colour)| Shape {
                form: forms[form],
                colour: NAMED[colours[colour]].0,
            });
            let mut canvas = ground(Split::Pretrain, rng);
            for (shape, centre) in pair.into_iter().zip(centres) {
                shape.put(&mut canvas, centre, rng.range(13.0, 21.0), rng);
            }
            (canvas, pair.map(|shape| with_article(&shape.name())))
        };
        let [a, b] = names;
        let caption = match rng.below(8) {
            0 => format!("{a} and {b}"),
            1 | 2 => format!("{a} {words} the {}", without_article(&b)),
            3 => format!(
                "the {} is {words} the {}",
                without_article(&a),
                without_article(&b)
            ),
            _ => format!("{a} {words} {b}"),
        };
        (canvas, caption)
    }
}

fn without_article(noun: &str) -> &str {
    let bare = noun.strip_prefix("a ").or_else(|| noun.strip_prefix("an "));
    bare.unwrap_or(noun)
}

/// Two different indices below three.
fn two_of_three(rng: &mut Rng) -> (usize, usize) {
    let first = rng.below(3);
    (first, (first + 1 + rng.below(2)) % 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::ALBUM;
    use crate::recipe::Recipe;

    fn corpus(change: fn(&mut Recipe)) -> Corpus {
        Corpus::new(Recipe::only(change), 1).unwrap()
    }

    fn captions(corpus: &Corpus, album: u64) -> Vec<String> {
        let items = album * ALBUM..(album + 1) * ALBUM;
        items.map(|index| corpus.get(index).caption).collect()
    }

    #[test]
    fn numbers_of_an_album_differ_and_its_things_do_not() {
        let corpus = corpus(|recipe| recipe.scattered = 1.0);
        for album in 0..8 {
            let captions = captions(&corpus, album);
            let numbers: std::collections::BTreeSet<&str> = captions
                .iter()
                .flat_map(|caption| caption.split(' '))
                .filter(|word| NUMBERS[1..=MOST].contains(word))
                .collect();
            assert!(numbers.len() > 5, "{captions:?}");
            let last_words = captions.iter().filter_map(|caption| {
                let last = caption.split(' ').next_back()?;
                let last = last.strip_suffix('s').unwrap_or(last);
                (!NUMBERS.contains(&last) && !["picture"].contains(&last)).then_some(last)
            });
            let things: std::collections::BTreeSet<&str> =
                last_words.map(|word| &word[..word.len().min(4)]).collect();
            assert!(things.len() <= 2, "{things:?}");
        }
    }

    #[test]
    fn an_album_has_three_things_in_all_arrangements() {
        let corpus = corpus(|recipe| recipe.arranged = 1.0);
        for album in 0..8 {
            let captions = captions(&corpus, album);
            for words in ["left of", "right of", "above", "below"] {
                assert!(captions.iter().any(|c| c.contains(words)), "{captions:?}");
            }
        }
    }
}
