//! As much English grammar as captions need.

/// Number words from zero to twenty.
pub(crate) const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// `noun` with "a" or "an", or bare if it is a plural or a substance.
pub(crate) fn with_article(noun: &str) -> String {
    if is_plural(noun) || is_substance(noun) {
        return noun.to_owned();
    }
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    // Words whose first letter misleads.
    let spoken = ["unicorn", "one", "euro", "ukulele"]
        .iter()
        .any(|w| noun.starts_with(w));
    let hour = noun.starts_with("hour") || noun.starts_with("x-ray");
    let article = if (vowel && !spoken) || hour {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

/// The plural of a noun phrase; `None` if it has none that could be counted.
pub(crate) fn plural(noun: &str) -> Option<String> {
    if is_plural(noun) || is_substance(noun) || noun.contains(" of ") || noun.contains(" with ") {
        return None;
    }
    const IRREGULAR: [(&str, &str); 14] = [
        ("mouse", "mice"),
        ("goose", "geese"),
        ("tooth", "teeth"),
        ("foot", "feet"),
        ("child", "children"),
        ("person", "people"),
        ("woman", "women"),
        ("man", "men"),
        ("leaf", "leaves"),
        ("wolf", "wolves"),
        ("knife", "knives"),
        ("scarf", "scarves"),
        ("ox", "oxen"),
        ("moose", "moose"),
    ];
    for (one, many) in IRREGULAR {
        if let Some(stem) = noun
            .strip_suffix(one)
            .filter(|s| s.is_empty() || s.ends_with([' ', 'w']))
        {
            return Some(format!("{stem}{many}"));
        }
    }
    const SAME: [&str; 5] = ["sheep", "deer", "fish", "squid", "shrimp"];
    if SAME.iter().any(|same| noun.ends_with(same)) {
        return Some(noun.to_owned());
    }
    if ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end)) {
        return Some(format!("{noun}es"));
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => Some(format!("{stem}ies")),
        _ => Some(format!("{noun}s")),
    }
}

/// Nouns that are plural as they stand.
fn is_plural(noun: &str) -> bool {
    const SINGULAR: [&str; 16] = [
        "bus",
        "cactus",
        "octopus",
        "lens",
        "glass",
        "dress",
        "compass",
        "canvas",
        "rhinoceros",
        "hippopotamus",
        "tyrannosaurus",
        "cross",
        "iris",
        "lotus",
        "hibiscus",
        "abacus",
    ];
    const PLURAL: [&str; 6] = ["people", "men", "women", "teeth", "dice", "headphones"];
    let last = noun.split(' ').next_back().unwrap_or(noun);
    PLURAL.contains(&last)
        || (last.ends_with('s')
            && !last.ends_with("'s")
            && !SINGULAR.contains(&last)
            && !last.ends_with("ss"))
}

/// Nouns that are not counted.
fn is_substance(noun: &str) -> bool {
    const SUBSTANCES: [&str; 32] = [
        "bread",
        "cheese",
        "corn",
        "fire",
        "popcorn",
        "beer",
        "coffee",
        "bacon",
        "butter",
        "honey",
        "milk",
        "salt",
        "ice",
        "garlic",
        "broccoli",
        "meat",
        "lightning",
        "sushi",
        "spaghetti",
        "wood",
        "coral",
        "fog",
        "sunrise",
        "sunset",
        "dna",
        "poo",
        "sake",
        "mate",
        "fondue",
        "yarn",
        "luggage",
        "soap",
    ];
    SUBSTANCES.contains(&noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles() {
        for (noun, expected) in [
            ("apple", "an apple"),
            ("unicorn", "a unicorn"),
            ("bus", "a bus"),
            ("french fries", "french fries"),
            ("hourglass", "an hourglass"),
            ("top hat", "a top hat"),
            ("fire", "fire"),
        ] {
            assert_eq!(with_article(noun), expected);
        }
    }

    #[test]
    fn plurals() {
        for (noun, expected) in [
            ("apple", Some("apples")),
            ("cherry", Some("cherries")),
            ("key", Some("keys")),
            ("box", Some("boxes")),
            ("maple leaf", Some("maple leaves")),
            ("snowman", Some("snowmen")),
            ("computer mouse", Some("computer mice")),
            ("tropical fish", Some("tropical fish")),
            ("cactus", Some("cactuses")),
            ("french fries", None),
            ("popcorn", None),
            ("jar of jam", None),
        ] {
            assert_eq!(plural(noun).as_deref(), expected, "{noun}");
        }
    }
}
