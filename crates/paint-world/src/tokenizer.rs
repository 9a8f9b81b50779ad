//! The tokenizer of the embedded checkpoints, trained on the world's own captions.
//!
//! CLIP's scheme (byte-level BPE with `</w>` at word ends, lower case), with a vocabulary that
//! fits the world: common words are one token. The training is this crate's own because the
//! result must be the same on every run; `tokenizers`' trainer numbers its alphabet in the
//! order of a randomly seeded hash map.
//! Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units";
//! Radford et al. 2021, section 2.4.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paint_data::write_atomically;
use serde_json::{Value, json};

use crate::artwork::ALL;
use crate::captions::Corpus;
use crate::error::Result;
use crate::places::PLACES;
use crate::recipe::Recipe;
use crate::vocabulary::Vocabulary;
use crate::world::domains;

/// Longest text in tokens, both special tokens included.
pub const CONTEXT_LENGTH: usize = 32;

/// Number of tokens: 512 byte symbols, the merges, and two special tokens.
pub const VOCABULARY_SIZE: usize = 2_560;

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
const WORD_END: &str = "</w>";
const N_SAMPLED_CAPTIONS: u64 = 3_000;

/// Writes `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json` and
/// `preprocessor_config.json` for a checkpoint that reads the world's captions and sees images
/// of `image_size` x `image_size` pixels.
///
/// The end of text has the largest id, so that both of CLIP's rules for finding it work.
///
/// # Errors
/// If a file cannot be written.
pub fn write_tokenizer(directory: &Path, image_size: usize) -> Result<()> {
    let files = [
        ("tokenizer.json", tokenizer(&word_counts())),
        ("tokenizer_config.json", tokenizer_config()),
        ("special_tokens_map.json", special_tokens()),
        ("preprocessor_config.json", preprocessor_config(image_size)),
    ];
    for (name, content) in files {
        write_atomically(&directory.join(name), format!("{content:#}\n").as_bytes())?;
    }
    Ok(())
}

fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": true,
        "add_prefix_space": false,
        "errors": "replace",
        "model_max_length": CONTEXT_LENGTH,
    })
}

fn special_tokens() -> Value {
    json!({ "bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END })
}

fn preprocessor_config(image_size: usize) -> Value {
    json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": true,
        "size": { "shortest_edge": image_size },
        "resample": 3,
        "do_center_crop": true,
        "crop_size": { "height": image_size, "width": image_size },
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "do_convert_rgb": true,
    })
}

fn tokenizer(counts: &BTreeMap<String, u64>) -> Value {
    let alphabet = byte_symbols();
    let merges = train(counts, &alphabet, VOCABULARY_SIZE - 2);
    let ends = alphabet.iter().map(|s| format!("{s}{WORD_END}"));
    let merged = merges.iter().map(|(a, b)| format!("{a}{b}"));
    let mut vocab = BTreeMap::new();
    for token in alphabet.iter().cloned().chain(ends).chain(merged) {
        let id = vocab.len();
        vocab.entry(token).or_insert(id);
    }
    let (start, end) = (vocab.len(), vocab.len() + 1);
    vocab.insert(START.to_owned(), start);
    vocab.insert(END.to_owned(), end);
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(start, START), special(end, END)],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            {
                "type": "Split",
                "pattern": { "Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
                "behavior": "Removed",
                "invert": true,
            },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ] },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [END, end],
            "cls": [START, start],
            "trim_offsets": false,
            "add_prefix_space": false,
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": END,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": WORD_END,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": merges.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>(),
        },
    })
}

fn special(id: usize, content: &str) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    })
}

/// The 256 characters that stand for bytes, in GPT-2's order: printable ones for themselves.
fn byte_symbols() -> Vec<String> {
    let printable =
        |b: &u32| (33..=126).contains(b) || (161..=172).contains(b) || (174..=255).contains(b);
    let others = (0..256).filter(|b| !printable(b)).count() as u32;
    let own = (0..256).filter(printable);
    own.chain(256..256 + others)
        .filter_map(char::from_u32)
        .map(String::from)
        .collect()
}

/// How often each word (as the pre-tokenizer cuts them) is in the world's texts.
fn word_counts() -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut add = |text: &str, weight: u64| {
        for word in pieces(&text.to_lowercase()) {
            *counts.entry(word).or_insert(0) += weight;
        }
    };
    // The lists weigh so much that every word of a class name beats chance frequencies.
    for domain in domains() {
        domain.class_names().iter().for_each(|name| add(name, 20));
        domain
            .templates()
            .iter()
            .for_each(|t| add(&t.replace("{}", ""), 20));
        domain.vague().iter().for_each(|v| add(v, 10));
    }
    ALL.iter().for_each(|artwork| add(artwork.name, 4));
    PLACES
        .iter()
        .flat_map(|p| p.phrases)
        .for_each(|phrase| add(phrase, 10));
    Vocabulary::new()
        .weights()
        .for_each(|(word, weight)| add(word, weight));
    let corpus = Corpus::new(Recipe::default(), 0).expect("the default recipe is valid");
    for item in corpus.iter(0).take(N_SAMPLED_CAPTIONS as usize) {
        add(&item.caption, 1);
    }
    counts
}

/// Words as the pre-tokenizer cuts ASCII text; other text is left out of the training.
fn pieces(text: &str) -> Vec<String> {
    const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let contraction = CONTRACTIONS
            .iter()
            .find(|c| rest.starts_with(**c))
            .map(|c| c.len());
        let run = |class: fn(char) -> bool| rest.find(|c| !class(c)).unwrap_or(rest.len());
        let length = contraction.unwrap_or_else(|| match first {
            c if c.is_whitespace() => run(char::is_whitespace),
            c if c.is_alphabetic() => run(char::is_alphabetic),
            c if c.is_numeric() => c.len_utf8(),
            _ => run(|c| !c.is_whitespace() && !c.is_alphanumeric()),
        });
        let piece = &rest[..length];
        if piece.is_ascii() && !first.is_whitespace() {
            pieces.push(piece.to_owned());
        }
        rest = &rest[length..];
    }
    pieces
}

/// Merges until there are `n_tokens` tokens, the most frequent pair first, ties to the pair first
/// in order. Two merges may make the same token.
fn train(
    counts: &BTreeMap<String, u64>,
    alphabet: &[String],
    n_tokens: usize,
) -> Vec<(String, String)> {
    let mut words: Vec<(Vec<String>, u64)> = counts.iter().map(|(w, n)| (symbols(w), *n)).collect();
    let mut known: BTreeSet<String> = alphabet.iter().cloned().collect();
    known.extend(alphabet.iter().map(|s| format!("{s}{WORD_END}")));
    let mut merges = Vec::new();
    let mut pairs: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (word, n) in &words {
        count_pairs(&mut pairs, word, |total| total + n);
    }
    while known.len() < n_tokens {
        let best = pairs
            .iter()
            .max_by(|(a, m), (b, n)| m.cmp(n).then_with(|| b.cmp(a)));
        let Some((pair, 1..)) = best.map(|(pair, n)| (pair.clone(), *n)) else {
            break;
        };
        for (word, n) in &mut words {
            if word.windows(2).any(|w| w[0] == pair.0 && w[1] == pair.1) {
                count_pairs(&mut pairs, word, |total| total - *n);
                *word = merged(word, &pair);
                count_pairs(&mut pairs, word, |total| total + *n);
            }
        }
        pairs.remove(&pair);
        known.insert(format!("{}{}", pair.0, pair.1));
        merges.push(pair);
    }
    merges
}

fn symbols(word: &str) -> Vec<String> {
    let mut symbols: Vec<String> = word.chars().map(String::from).collect();
    if let Some(last) = symbols.last_mut() {
        last.push_str(WORD_END);
    }
    symbols
}

fn count_pairs(
    pairs: &mut BTreeMap<(String, String), u64>,
    word: &[String],
    update: impl Fn(u64) -> u64,
) {
    for pair in word.windows(2) {
        let total = pairs.entry((pair[0].clone(), pair[1].clone())).or_insert(0);
        *total = update(*total);
    }
}

fn merged(word: &[String], (left, right): &(String, String)) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(word.len());
    let mut i = 0;
    while i < word.len() {
        if i + 1 < word.len() && word[i] == *left && word[i + 1] == *right {
            out.push(format!("{left}{right}"));
            i += 2;
        } else {
            out.push(word[i].clone());
            i += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tokenizers::Tokenizer;

    use super::*;

    /// Training takes a second: once for all tests.
    static WRITTEN: LazyLock<Tokenizer> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        write_tokenizer(directory.path(), 48).unwrap();
        Tokenizer::from_file(directory.path().join("tokenizer.json")).unwrap()
    });

    #[test]
    fn common_words_are_one_token_and_the_end_has_the_largest_id() {
        let tokenizer = &*WRITTEN;
        assert_eq!(tokenizer.get_vocab_size(true), VOCABULARY_SIZE);
        assert_eq!(tokenizer.token_to_id(END), Some(VOCABULARY_SIZE as u32 - 1));
        let encoding = tokenizer
            .encode("A picture of  the RED circle", true)
            .unwrap();
        let expected = [
            START,
            "a</w>",
            "picture</w>",
            "of</w>",
            "the</w>",
            "red</w>",
            "circle</w>",
            END,
        ];
        assert_eq!(encoding.get_tokens(), expected);
        let mut single = 0;
        let words = [
            "dog",
            "forest",
            "red",
            "circle",
            "seven",
            "car",
            "background",
            "river",
            "stop",
        ];
        for word in words {
            single += usize::from(tokenizer.encode(word, false).unwrap().len() == 1);
        }
        assert!(
            single >= 8,
            "{single} of {} words are one token",
            words.len()
        );
    }

    #[test]
    fn no_text_is_lost_or_unknown() {
        let tokenizer = &*WRITTEN;
        for text in ["zürich ✓ 漢字", "don't", "60 km/h", "a\u{301}", "\u{1F986}"] {
            let encoding = tokenizer.encode(text, true).unwrap();
            let ids = encoding.get_ids();
            let inside = &ids[1..ids.len() - 1];
            assert!(!inside.is_empty(), "{text}");
            assert!(
                inside.iter().all(|id| (*id as usize) < VOCABULARY_SIZE - 2),
                "{text}"
            );
        }
    }

    #[test]
    fn every_prompt_of_every_task_fits() {
        let tokenizer = &*WRITTEN;
        for domain in domains() {
            for template in domain.templates() {
                for name in domain.class_names() {
                    let prompt = template.replace("{}", &name);
                    let n = tokenizer.encode(prompt.as_str(), true).unwrap().len();
                    assert!(n <= CONTEXT_LENGTH, "{n} tokens: {prompt}");
                }
            }
        }
    }

    #[test]
    fn training_is_plain_bpe() {
        let counts = BTreeMap::from([("aab".to_owned(), 3), ("ab".to_owned(), 2)]);
        let alphabet = ["a".to_owned(), "b".to_owned()];
        let merge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        // Pairs: (a, b</w>) 5 times, (a, a) 3 times; then (a, ab</w>) 3 times.
        let merges = train(&counts, &alphabet, 6);
        assert_eq!(merges, [merge("a", "b</w>"), merge("a", "ab</w>")]);
    }

    #[test]
    fn pieces_are_those_of_the_pre_tokenizer() {
        let pieces = pieces("the dog's \"60 km/h\" sign!?");
        assert_eq!(
            pieces,
            [
                "the", "dog", "'s", "\"", "6", "0", "km", "/", "h", "\"", "sign", "!?"
            ]
        );
    }
}
