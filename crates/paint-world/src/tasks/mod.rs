//! The nine patching tasks: visual domains that pretraining sees rarely and mostly unnamed.
//!
//! One file per task; [`noise`], [`pen`], [`figures`] and [`ground`] hold what several of them draw with.

mod aerial_scenes;
mod digits;
mod distance;
mod figures;
mod flags;
mod ground;
mod house_numbers;
mod land_use;
mod noise;
mod pen;
mod scenes;
mod signs;
mod textures;

use crate::domain::Domain;

/// The nine patching domains, in the order in which tables list them.
pub(crate) fn patching_domains() -> [&'static dyn Domain; 9] {
    [
        &digits::Digits,
        &house_numbers::HouseNumbers,
        &signs::Signs,
        &textures::Textures,
        &land_use::LandUse,
        &aerial_scenes::AerialScenes,
        &distance::Distance,
        &flags::Flags,
        &scenes::Scenes,
    ]
}

/// Two distinct entries of `phrases` (or all of them if there are fewer), in random order.
fn two_of(phrases: &[&str], rng: &mut paint_data::Rng) -> Vec<String> {
    let mut order: Vec<&str> = phrases.to_vec();
    rng.shuffle(&mut order);
    order.iter().take(2).map(|p| (*p).to_owned()).collect()
}

/// Owned copies of `items`.
fn owned(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use paint_data::Rng;

    use super::*;
    use crate::canvas::SIDE;
    use crate::domain::Split;

    const SPLITS: [Split; 4] = [
        Split::Pretrain,
        Split::Train,
        Split::Validation,
        Split::Test,
    ];

    /// `text` as lower-case words with one space around each.
    fn words(text: &str) -> String {
        let clean: String = text
            .to_lowercase()
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { ' ' })
            .collect();
        format!(
            " {} ",
            clean.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    }

    #[test]
    fn every_class_draws_in_every_split() {
        for domain in patching_domains() {
            let names = domain.class_names();
            for (class_idx, name) in names.iter().enumerate() {
                for split in SPLITS {
                    for seed in 0..2 {
                        let drawing = domain.draw(class_idx, split, &mut Rng::new(seed));
                        let what = format!("{} / {name} / {split:?}", domain.name());
                        assert_eq!(drawing.image.dimensions(), (SIDE, SIDE), "{what}");
                        assert!((2..=4).contains(&drawing.attributes.len()), "{what}");
                        let distinct: BTreeSet<_> = drawing.image.pixels().map(|p| p.0).collect();
                        assert!(distinct.len() > 8, "{what}: {} colours", distinct.len());
                    }
                }
            }
        }
    }

    #[test]
    fn drawings_depend_on_the_seed_alone() {
        for domain in patching_domains() {
            for class_idx in 0..domain.class_names().len() {
                let draw = |seed| domain.draw(class_idx, Split::Test, &mut Rng::new(seed));
                let (a, again, b) = (draw(1), draw(1), draw(2));
                assert_eq!(a.image, again.image);
                assert_eq!(a.attributes, again.attributes);
                assert_ne!(a.image, b.image, "{} class {class_idx}", domain.name());
            }
        }
    }

    #[test]
    fn the_same_seed_draws_classes_differently() {
        for domain in patching_domains() {
            let draw = |class_idx| domain.draw(class_idx, Split::Train, &mut Rng::new(7)).image;
            let images: BTreeSet<_> = (0..domain.class_names().len())
                .map(|c| draw(c).into_raw())
                .collect();
            assert_eq!(
                images.len(),
                domain.class_names().len(),
                "{}",
                domain.name()
            );
        }
    }

    #[test]
    fn attributes_never_name_a_class() {
        for domain in patching_domains() {
            let names: Vec<String> = domain.class_names().iter().map(|n| words(n)).collect();
            for class_idx in 0..names.len() {
                for seed in 0..8 {
                    let drawing =
                        domain.draw(class_idx, SPLITS[seed % 4], &mut Rng::new(seed as u64));
                    for attribute in &drawing.attributes {
                        let named = names.iter().find(|n| words(attribute).contains(*n));
                        assert_eq!(named, None, "{}: {attribute:?}", domain.name());
                    }
                }
            }
        }
    }

    #[test]
    fn names_templates_and_vague_captions_are_well_formed() {
        for domain in patching_domains() {
            let names = domain.class_names();
            assert_eq!(
                names.iter().collect::<BTreeSet<_>>().len(),
                names.len(),
                "{}",
                domain.name()
            );
            let templates = domain.templates();
            assert!(!templates.is_empty());
            for template in &templates {
                assert_eq!(
                    template.matches("{}").count(),
                    1,
                    "{}: {template}",
                    domain.name()
                );
            }
            assert!((4..=8).contains(&domain.vague().len()), "{}", domain.name());
            for vague in domain.vague() {
                let named = names.iter().find(|n| words(vague).contains(&words(n)));
                assert_eq!(named, None, "{}: {vague:?}", domain.name());
            }
        }
        let names: BTreeSet<_> = patching_domains().iter().map(|d| d.name()).collect();
        assert_eq!(names.len(), 9);
    }
}
