//! Which files of a model's repository are its checkpoint.

/// What a repository must have of one kind of checkpoint.
struct Layout {
    config: &'static str,
    /// Name of the weights in one file, and what stands before and after a shard's number.
    weights: &'static str,
    shards: Option<(&'static str, &'static str)>,
}

/// The one to be read first where there are several: safetensors before files that were
/// pickled, and Hugging Face's names before open_clip's.
const LAYOUTS: [Layout; 5] = [
    Layout {
        config: "config.json",
        weights: "model.safetensors",
        shards: Some(("model-", ".safetensors")),
    },
    Layout {
        config: "open_clip_config.json",
        weights: "open_clip_model.safetensors",
        shards: None,
    },
    Layout {
        config: "open_clip_config.json",
        weights: "open_clip_pytorch_model.safetensors",
        shards: None,
    },
    Layout {
        config: "config.json",
        weights: "pytorch_model.bin",
        shards: Some(("pytorch_model-", ".bin")),
    },
    Layout {
        config: "open_clip_config.json",
        weights: "open_clip_pytorch_model.bin",
        shards: None,
    },
];

/// What belongs to any checkpoint, where it is there.
const BESIDE: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "paint.json",
];

/// The files to fetch from a repository that has `names`, for one checkpoint to load: its
/// configuration, weights (one file, or an index and its shards), tokenizer and preprocessing.
/// Nothing if it has no CLIP checkpoint.
///
/// Repositories such as LAION's hold the same weights up to four times.
pub fn checkpoint_files(names: &[String]) -> Option<Vec<&str>> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let layout = LAYOUTS
        .iter()
        .find(|layout| has(layout.config) && !layout.weights(names).is_empty())?;
    let mut files = vec![layout.config];
    files.extend(BESIDE.into_iter().filter(|name| has(name)));
    files.extend(layout.weights(names));
    Some(files)
}

impl Layout {
    fn weights<'a>(&self, names: &'a [String]) -> Vec<&'a str> {
        let names = || names.iter().map(String::as_str);
        if let Some(one) = names().find(|name| *name == self.weights) {
            return vec![one];
        }
        let index = format!("{}.index.json", self.weights);
        let (Some((before, after)), Some(index)) =
            (self.shards, names().find(|name| **name == index))
        else {
            return Vec::new();
        };
        let is_shard = |name: &&str| {
            let number = name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            number.is_some_and(|number| number.contains("-of-") && !number.contains('/'))
        };
        std::iter::once(index)
            .chain(names().filter(is_shard))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Option<Vec<String>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let files = checkpoint_files(&names)?;
        Some(files.into_iter().map(str::to_owned).collect())
    }

    fn check(names: &[&str], expected: &[&str]) {
        assert_eq!(files(names).unwrap(), expected);
    }

    #[test]
    fn openai() {
        // main has no safetensors for ViT-B/32.
        let names = [
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "merges.txt",
            "preprocessor_config.json",
            "processor_config.json",
            "pytorch_model.bin",
            "tf_model.h5",
            "tokenizer.json",
            "vocab.json",
        ];
        let small = [
            "config.json",
            "tokenizer.json",
            "vocab.json",
            "merges.txt",
            "preprocessor_config.json",
            "processor_config.json",
        ];
        check(&names, &[&small[..], &["pytorch_model.bin"]].concat());
        let converted = [&names[..], &["model.safetensors"]].concat();
        check(&converted, &[&small[..], &["model.safetensors"]].concat());
    }

    #[test]
    fn laion() {
        let mut names = vec![
            "config.json",
            "open_clip_config.json",
            "open_clip_model.safetensors",
            "open_clip_pytorch_model.bin",
            "pytorch_model.bin",
        ];
        // Not Hugging Face's config beside them: one directory is one checkpoint.
        check(
            &names,
            &["open_clip_config.json", "open_clip_model.safetensors"],
        );
        names.push("model.safetensors");
        check(&names, &["config.json", "model.safetensors"]);
        let large = [
            "open_clip_config.json",
            "open_clip_pytorch_model.safetensors",
        ];
        check(&large, &large);
    }

    #[test]
    fn shards() {
        let names = [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "old/model-00001-of-00002.safetensors",
        ];
        check(&names, &[names[0], names[3], names[1], names[2]]);
        assert_eq!(files(&names[..3]), None);
    }

    #[test]
    fn no_checkpoint() {
        assert_eq!(
            files(&["README.md", "data/train-00000-of-00001.parquet"]),
            None
        );
        assert_eq!(files(&["model.safetensors"]), None);
    }
}
