//! Multiple-choice questions about an image: where, how many, what color, what is written.
//!
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! its case studies, which asks those of VQA v2.

use std::path::{Path, PathBuf};

use image::RgbImage;
use paint_data::{Columns, Features, Files, Part, Published, Question, Rng, Target, Task};

use crate::artwork::OBJECTS;
use crate::backgrounds;
use crate::captions::{relation, writing};
use crate::card;
use crate::colour::NAMED;
use crate::counting::scene;
use crate::domain::Split;
use crate::english::NUMBERS;
use crate::error::Result;
use crate::objects::{put, stands_out};
use crate::publish::{SEED, Sizes, stream_of, write_dataset};
use crate::shapes::{FORMS, N_COLOURS, Shape};
use crate::world;

const NAME: &str = "questions";
const N_CHOICES: usize = 4;
/// "how many" counts up to this.
const MOST: usize = 6;

/// What is asked, in the order in which images take turns.
pub const QUESTION_KINDS: [&str; 4] = ["where", "how many", "color", "written"];
/// Images that published numbers use; a quarter of each kind.
pub const QUESTION_SIZES: Sizes = Sizes {
    train: 12_000,
    validation: 600,
    test: 2_000,
};

/// The task, for [`MultipleChoice`](paint_data::MultipleChoice): its classes are the prompts of
/// the files.
pub fn questions_task() -> Task {
    Task {
        name: NAME.to_owned(),
        class_names: Vec::new(),
        label_values: Vec::new(),
        templates: vec!["{}".to_owned()],
        source: world::source(NAME),
        columns: Columns::default(),
        files: Files::default(),
        part: Part::default(),
        attribute: None,
        unverified: None,
        published: Published::default(),
    }
}

/// Writes the task to `ROOT/datasets/paint-world/questions` as Parquet with a dataset card;
/// returns that directory. The card is written last: where it is, all is.
///
/// # Errors
/// If the files cannot be written.
pub fn write_questions(
    root: &Path,
    sizes: Sizes,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PathBuf> {
    let card = card::of_questions(sizes);
    let features = Features::MultipleChoice;
    write_dataset(
        NAME,
        root,
        sizes,
        &features,
        &card,
        progress,
        |split, index| {
            let (image, question) = draw(split, index);
            (image, Target::Question(question))
        },
    )
}

/// An image and what is asked about it, with the right answer first.
struct Asked {
    image: RgbImage,
    question: String,
    choices: [String; N_CHOICES],
}

fn draw(split: Split, index: u64) -> (RgbImage, Question) {
    let rng = &mut Rng::derive(SEED, &[stream_of(NAME), split as u64, index]);
    let n_kinds = QUESTION_KINDS.len() as u64;
    let (kind, number) = (index % n_kinds, index / n_kinds);
    let mut asked = match kind {
        0 => position(split, rng),
        1 => count(split, rng),
        2 => colour(split, rng),
        _ => word(split, rng),
    };
    // The right answer takes turns too: its place says nothing.
    let answer = number as usize % N_CHOICES;
    asked.choices[1..].rotate_left(rng.below(N_CHOICES - 1));
    asked.choices.swap(0, answer);
    let question = Question {
        question: asked.question,
        choices: asked.choices.to_vec(),
        answer: answer as u32,
        kind: QUESTION_KINDS[kind as usize].to_owned(),
    };
    (asked.image, question)
}

/// How an object stands to another: all four relations are choices.
fn position(split: Split, rng: &mut Rng) -> Asked {
    const NAMES: [&str; 12] = [
        "dog", "cat", "pig", "duck", "frog", "bee", "car", "apple", "rose", "snail", "owl", "crab",
    ];
    const RELATIONS: [&str; N_CHOICES] = ["left of", "right of", "above", "below"];
    let names = two(&NAMES, rng);
    let (centres, right) = relation(rng);
    let artworks = names.map(|name| {
        let artwork = OBJECTS.iter().find(|a| a.name == name);
        artwork.expect("the names are classes, which a test shows")
    });
    let mut canvas = loop {
        let canvas = backgrounds::any(split, rng);
        if artworks.iter().all(|a| stands_out(a, &canvas)) || rng.chance(0.02) {
            break canvas;
        }
    };
    let size = rng.range(19.0, 24.0);
    for (artwork, centre) in artworks.into_iter().zip(centres) {
        put(&mut canvas, artwork, centre, size, 0.3, rng);
    }
    let [first, second] = names;
    let answer = |relation: &str| format!("{relation} the {second}");
    Asked {
        image: canvas.finish(),
        question: format!("where is the {first}"),
        choices: right_and_others(right, &RELATIONS, rng).map(answer),
    }
}

/// How many of one form there are, sometimes among a few of another.
fn count(split: Split, rng: &mut Rng) -> Asked {
    let n = 1 + rng.below(MOST);
    let [asked, other] = two(&FORMS, rng).map(form_index);
    let n_others = rng.below(3);
    let forms = (0..n + n_others).map(|i| if i < n { asked } else { other });
    let shapes: Vec<Shape> = forms.map(|form| coloured(form, rng)).collect();
    let many = format!("{}s", FORMS[asked]).replace("crosss", "crosses");
    Asked {
        image: scene(&shapes, 8.0..12.0, split, rng).finish(),
        question: format!("how many {many}"),
        choices: right_and_others(NUMBERS[n], &NUMBERS[1..=MOST], rng).map(str::to_owned),
    }
}

/// The colour of one of two shapes; the other's is among the choices.
fn colour(split: Split, rng: &mut Rng) -> Asked {
    let forms = two(&FORMS, rng).map(form_index);
    let names: Vec<&str> = NAMED[..N_COLOURS].iter().map(|(name, _)| *name).collect();
    let right = names[rng.below(names.len())];
    let mut colours = right_and_others(right, &names, rng);
    let shapes = [0, 1].map(|i| Shape {
        form: forms[i],
        colour: colours[i],
    });
    let image = scene(&shapes, 14.0..20.0, split, rng).finish();
    colours[1..].rotate_left(1);
    Asked {
        image,
        question: format!("what color is the {}", FORMS[forms[0]]),
        choices: colours.map(str::to_owned),
    }
}

/// The word that is written; held-out splits have words that training has not.
fn word(split: Split, rng: &mut Rng) -> Asked {
    let words: Vec<&str> = include_str!("words.txt")
        .split_whitespace()
        .filter(|word| (3..=6).contains(&word.len()))
        .step_by(5)
        .collect();
    let pool = split.pool(&words, words.len() * 4 / 5);
    let right = *rng.pick(pool);
    let (_, _, canvas) = writing(right, split, rng);
    Asked {
        image: canvas.finish(),
        question: "what word is written".to_owned(),
        choices: right_and_others(right, pool, rng).map(str::to_owned),
    }
}

/// Two different items.
fn two<'a>(items: &[&'a str], rng: &mut Rng) -> [&'a str; 2] {
    let first = rng.below(items.len());
    let second = (first + 1 + rng.below(items.len() - 1)) % items.len();
    [items[first], items[second]]
}

/// `right`, and three others of `pool`, each as likely.
fn right_and_others<'a>(right: &'a str, pool: &[&'a str], rng: &mut Rng) -> [&'a str; N_CHOICES] {
    let mut others: Vec<&str> = pool
        .iter()
        .copied()
        .filter(|other| *other != right)
        .collect();
    rng.shuffle(&mut others);
    [right, others[0], others[1], others[2]]
}

fn form_index(form: &str) -> usize {
    FORMS.iter().position(|f| *f == form).unwrap_or(0)
}

fn coloured(form: usize, rng: &mut Rng) -> Shape {
    let (colour, _) = NAMED[rng.below(N_COLOURS)];
    Shape { form, colour }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn all(split: Split, n: u64) -> Vec<Question> {
        (0..n).map(|index| draw(split, index).1).collect()
    }

    #[test]
    fn kinds_and_places_of_answers_take_turns() {
        let mut counts = BTreeMap::new();
        for asked in all(Split::Test, 160) {
            let distinct: BTreeSet<_> = asked.choices.iter().collect();
            assert_eq!(distinct.len(), N_CHOICES, "{asked:?}");
            *counts.entry((asked.kind, asked.answer)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 16);
        assert!(counts.values().all(|&n| n == 10), "{counts:?}");
    }

    /// Whoever does not look at the image can do no better than chance: an answer is right in a
    /// quarter of the questions that offer it.
    #[test]
    fn text_alone_says_nothing() {
        let (mut offered, mut right) = (BTreeMap::new(), BTreeMap::new());
        let last = |choice: &str| choice.split(" the ").next().unwrap_or_default().to_owned();
        for asked in all(Split::Train, 3_200) {
            for (i, choice) in asked.choices.iter().enumerate() {
                let key = (asked.kind.clone(), last(choice));
                *offered.entry(key.clone()).or_insert(0.0) += 1.0;
                *right.entry(key).or_insert(0.0) += f64::from(u8::from(i == asked.answer as usize));
            }
        }
        for (key, n) in &offered {
            let error = (0.25 * 0.75 / n as &f64).sqrt();
            let share = right[key] / n;
            assert!(
                (share - 0.25).abs() < 5.0 * error,
                "{key:?}: {share} of {n}"
            );
        }
    }

    #[test]
    fn images_depend_on_their_index_and_held_out_words_are_new() {
        for index in 0..8 {
            assert_eq!(draw(Split::Test, index), draw(Split::Test, index));
            assert_ne!(draw(Split::Test, index).0, draw(Split::Test, index + 8).0);
            assert_ne!(draw(Split::Test, index).0, draw(Split::Validation, index).0);
        }
        let words = |split| -> BTreeSet<String> {
            let written = all(split, 2_000)
                .into_iter()
                .filter(|asked| asked.kind == "written");
            written.flat_map(|asked| asked.choices).collect()
        };
        let (seen, tested) = (words(Split::Train), words(Split::Test));
        assert!(
            seen.is_subset(&tested) && seen.len() > 40,
            "{} words",
            seen.len()
        );
        assert!(tested.len() > seen.len() + 8);
    }
}
