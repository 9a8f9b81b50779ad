//! What a request's path asks for.

use percent_encoding::percent_decode_str;

/// Which half of the Hub a repository is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Models,
    Datasets,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Datasets => "datasets",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Models, Self::Datasets]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A repository and what is asked of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) kind: Kind,
    /// `org/name` or `name`.
    pub(crate) id: String,
    pub(crate) revision: String,
    pub(crate) ask: Ask,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Commit and names.
    Info,
    /// Files below a directory, with sizes and hashes.
    Tree { directory: String },
    /// The same for given paths, which are in the request's body.
    Paths,
    /// Branches.
    Refs,
    /// A file.
    Resolve { file: String },
}

impl Route {
    /// From the path of a URL, without its query.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let decoded = |part: &str| {
            let text = percent_decode_str(part).decode_utf8().ok()?;
            Some(text.into_owned())
        };
        let parts: Option<Vec<String>> = path.split('/').skip(1).map(decoded).collect();
        let parts = parts?;
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["api", kind, rest @ ..] => Self::api(Kind::parse(kind)?, rest),
            ["datasets", rest @ ..] => Self::file(Kind::Datasets, rest),
            rest => Self::file(Kind::Models, rest),
        }
    }

    /// Whether a file is asked for.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.ask, Ask::Resolve { .. })
    }

    fn api(kind: Kind, rest: &[&str]) -> Option<Self> {
        let words = ["revision", "tree", "paths-info", "refs"];
        let (id, after) = split_id(rest, &words);
        let route = |revision: &str, ask| Self::new(kind, id, revision, ask);
        match after {
            [] | ["revision"] => route("main", Ask::Info),
            ["revision", revision] => route(revision, Ask::Info),
            ["tree", revision, directory @ ..] => {
                let directory = directory.join("/");
                route(revision, Ask::Tree { directory })
            }
            ["paths-info", revision] => route(revision, Ask::Paths),
            ["refs"] => route("main", Ask::Refs),
            _ => None,
        }
    }

    fn file(kind: Kind, rest: &[&str]) -> Option<Self> {
        let (id, after) = split_id(rest, &["resolve"]);
        let ["resolve", revision, file @ ..] = after else {
            return None;
        };
        let file = file.join("/");
        Self::new(kind, id, revision, Ask::Resolve { file })
    }

    fn new(kind: Kind, id: &[&str], revision: &str, ask: Ask) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_word =
            |word: &&str| !word.is_empty() && !word.starts_with('.') && word.chars().all(allowed);
        (!id.is_empty() && id.len() <= 2 && id.iter().all(is_word)).then(|| Self {
            kind,
            id: id.join("/"),
            revision: revision.to_owned(),
            ask,
        })
    }
}

/// An id has one or two words; the longer one is tried first.
fn split_id<'a>(rest: &'a [&'a str], words: &[&str]) -> (&'a [&'a str], &'a [&'a str]) {
    let at = [2, 1]
        .into_iter()
        .find(|&at| rest.get(at).is_some_and(|word| words.contains(word)));
    rest.split_at(at.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |path: &str, kind, id: &str, revision: &str, ask| {
            let expected = Route {
                kind,
                id: id.to_owned(),
                revision: revision.to_owned(),
                ask,
            };
            assert_eq!(Route::parse(path), Some(expected), "{path}");
        };
        use Kind::{Datasets, Models};
        check("/api/models/a/b", Models, "a/b", "main", Ask::Info);
        check(
            "/api/datasets/b/revision/main",
            Datasets,
            "b",
            "main",
            Ask::Info,
        );
        check("/api/models/a/b/refs", Models, "a/b", "main", Ask::Refs);
        let convert = "/api/datasets/a/b/revision/refs%2Fconvert%2Fparquet";
        check(convert, Datasets, "a/b", "refs/convert/parquet", Ask::Info);
        let tree = |directory: &str| Ask::Tree {
            directory: directory.to_owned(),
        };
        check("/api/models/a/b/tree/main", Models, "a/b", "main", tree(""));
        check(
            "/api/models/a/b/tree/x/c/d",
            Models,
            "a/b",
            "x",
            tree("c/d"),
        );
        let file = |file: &str| Ask::Resolve {
            file: file.to_owned(),
        };
        check(
            "/a/b/resolve/main/c%20d",
            Models,
            "a/b",
            "main",
            file("c d"),
        );
        let nested = "/datasets/a/b/resolve/v1/data/x.parquet";
        check(nested, Datasets, "a/b", "v1", file("data/x.parquet"));
        for bad in [
            "/",
            "/api/models",
            "/api/spaces/a/b",
            "/api/models/../b",
            "/api/models/a/b/c/d",
            "/a/b/blob/main/x",
            "/%2E%2E/b/resolve/main/x",
        ] {
            assert_eq!(Route::parse(bad), None, "{bad}");
        }
    }
}
