//! Dataset cards: what the data is, how it was made, whose artwork it uses.

use std::fmt::Write;

use paint_data::{Dataset, SplitName, Task};

use crate::artwork::ALL;
use crate::domain::Domain;
use crate::publish::{SEED, Sizes};
use crate::recipe::Recipe;
use crate::spurious::Spurious;
use crate::world::{Role, VERSION};

const CREDIT: &str = "\
## Licence and credit

The object artwork is [Twemoji](https://github.com/jdecked/twemoji), copyright Twitter, Inc. and \
other contributors, licensed under [CC-BY 4.0](https://creativecommons.org/licenses/by/4.0/); it \
was scaled, turned, recoloured and composed with other drawings. Writing uses the DejaVu, \
Libertinus Serif, New Computer Modern, Ubuntu and Hack typefaces. Everything else is drawn by \
the crate `paint-world`.
";

/// The card of one task.
pub(crate) fn of_task(domain: &dyn Domain, role: Role, sizes: Sizes) -> String {
    let name = domain.name();
    let names = domain.class_names();
    let role = match role {
        Role::Supported => "a supported task: a model pretrained on the world's captions can do it",
        Role::Patching => {
            "a patching task: the world's captions show its images rarely, and mostly do not name them"
        }
    };
    let mut card = head("image-classification", &splits(sizes));
    let _ = write!(
        card,
        "# paint-world/{name}\n\n\
         {} classes, 48 x 48 pixels; {role}.\n\n\
         ## How it was made\n\n\
         Drawn by the crate `paint-world` {}, seed {SEED}, one random stream for each (task, \
         split, index), so that any image can be drawn again alone. The classes take turns: row \
         i has label i mod {}.\n\n\
         | split | images | factors |\n|---|---|---|\n\
         | train | {} | those of pretraining |\n\
         | validation | {} | more: partly unseen |\n\
         | test | {} | more: partly unseen |\n\n\
         Factors are typefaces, backgrounds, colours, styles and surroundings. No image of \
         validation or test is in the pretraining data, which has random streams and a seed of \
         its own.\n\n\
         Prompt templates: {}\n\n{CREDIT}",
        names.len(),
        env!("CARGO_PKG_VERSION"),
        names.len(),
        sizes.train,
        sizes.validation,
        sizes.test,
        quoted(&domain.templates()),
    );
    card
}

/// The card of a dataset with a spurious attribute.
pub(crate) fn of_spurious(dataset: &Spurious, sizes: Sizes) -> String {
    let mut card = head("image-classification", &splits(sizes));
    let _ = write!(
        card,
        "# paint-world/{}\n\n\
         Small objects at places, 48 x 48 pixels. The label is the group, class * {} + place: \
         classes {}; places {}. In training 95 % of each class are at the place of the same \
         number and the rest at the others; validation and test are balanced.\n\n\
         Drawn by the crate `paint-world` {}, seed {SEED}, one random stream for each (dataset, \
         split, index). In the image of Waterbirds (Sagawa et al. 2020).\n\n{CREDIT}",
        dataset.name,
        dataset.places.len(),
        dataset.class_names.join(", "),
        dataset.places.join(", "),
        env!("CARGO_PKG_VERSION"),
    );
    card
}

/// The card of the counting task.
pub(crate) fn of_counting(sizes: Sizes) -> String {
    let mut card = head("image-classification", &splits(sizes));
    let _ = write!(
        card,
        "# paint-world/counting\n\n\
         Three to ten shapes of several forms, colours and sizes on a plain ground, 48 x 48 \
         pixels; none touches another, and sizes do not depend on the number. Training and \
         validation images have 4, 5, 6, 8 or 9; test images have all counts, each as often. In \
         the image of CLEVR (Johnson et al. 2017).\n\n\
         Drawn by the crate `paint-world` {}, seed {SEED}, one random stream for each (dataset, \
         split, index).\n",
        env!("CARGO_PKG_VERSION"),
    );
    card
}

/// The card of the multiple-choice questions.
pub(crate) fn of_questions(sizes: Sizes) -> String {
    let mut card = head("visual-question-answering", &splits(sizes));
    let _ = write!(
        card,
        "# paint-world/questions\n\n\
         Images of 48 x 48 pixels with a question, four choices, the position of the right one \
         (`answer`) and what it is about (`kind`: {}). Kinds and positions take turns; an answer \
         is right in a quarter of the questions that offer it. A fifth of the written words are in \
         validation and test only.\n\n\
         Drawn by the crate `paint-world` {}, seed {SEED}, one random stream for each (dataset, \
         split, index).\n\n{CREDIT}",
        crate::questions::QUESTION_KINDS.join(", "),
        env!("CARGO_PKG_VERSION"),
    );
    card
}

/// The card of a task's copy under typographic attack. It changes whenever the images do.
pub(crate) fn of_attacked(
    task: &Task,
    splits: &[(SplitName, &Dataset)],
    name: &str,
    seed: u64,
) -> String {
    let sizes: Vec<(&str, u64)> = splits
        .iter()
        .map(|(split, dataset)| (split.as_str(), dataset.len() as u64))
        .collect();
    let mut card = head_with("", "image-classification", &sizes);
    let _ = write!(
        card,
        "# paint-world/{name}\n\n\
         Images of the task {}, each with the name of a wrong class written on it. The label is \
         the true class. Rows are those of the original in its order. The licence is the \
         original's.\n\n\
         Written by the crate `paint-world` {}, version {VERSION} of the world, seed {seed}, one \
         random stream for each row.\n\n| split | images of |\n|---|---|\n",
        task.name,
        env!("CARGO_PKG_VERSION"),
    );
    for (split, dataset) in splits {
        let _ = writeln!(card, "| {split} | {} |", dataset.content_key());
    }
    let _ = write!(card, "\nClasses: {}\n", quoted(splits[0].1.class_names()));
    card
}

/// The card of the caption corpus.
pub(crate) fn of_captions(n: u64, seed: u64, recipe: &Recipe) -> String {
    let mut card = head("zero-shot-image-classification", &[("train", n)]);
    let recipe = serde_json::to_string_pretty(recipe).expect("a recipe is plain data");
    let _ = write!(
        card,
        "# paint-world/captions\n\n\
         {n} images of 48 x 48 pixels with a caption each, over {} kinds of things, coloured \
         shapes, counts, written words and numbers, positions and places. Drawn by the crate \
         `paint-world` {}, seed {seed}.\n\n\
         The visual domains of the nine patching tasks are in it too, with the factors of \
         training, and mostly with captions that do not name the class: `vague` is the share that \
         names the domain only, `attributes` the share that describes what is to be seen, and \
         the rest has the true class name. Images of validation and test are not in it.\n\n\
         ## Recipe\n\n```json\n{recipe}\n```\n\n{CREDIT}",
        ALL.len(),
        env!("CARGO_PKG_VERSION"),
    );
    card
}

fn splits(sizes: Sizes) -> Vec<(&'static str, u64)> {
    sizes
        .splits()
        .into_iter()
        .map(|(_, name, n)| (name, n))
        .collect()
}

/// The part that the Hub reads, of data that is drawn here.
fn head(category: &str, splits: &[(&str, u64)]) -> String {
    head_with("license: cc-by-4.0\n", category, splits)
}

fn head_with(licence: &str, category: &str, splits: &[(&str, u64)]) -> String {
    let mut head = format!(
        "---\n{licence}task_categories:\n- {category}\nconfigs:\n- config_name: default\n  \
         data_files:\n"
    );
    for (split, n) in splits {
        if *n > 0 {
            let _ = writeln!(head, "  - split: {split}\n    path: data/{split}-*.parquet");
        }
    }
    head.push_str("---\n\n");
    head
}

fn quoted(templates: &[String]) -> String {
    templates
        .iter()
        .map(|t| format!("`{t}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
