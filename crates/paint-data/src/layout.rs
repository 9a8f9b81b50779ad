//! From a task's source to the files of each split, before any of them is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::csv_table::{CsvRow, read_csv};
use crate::hub::{Hub, Repository, RepositoryKind};
use crate::listing::{Beside, Listing, common_names};
use crate::parquet_file::ParquetFile;
use crate::store::ImageFiles;
use crate::task::{SplitName, Task, TaskSource};
use crate::{Error, Result};

/// All splits, in the order in which they are named.
pub(crate) const SPLITS: [SplitName; 3] =
    [SplitName::Train, SplitName::Validation, SplitName::Test];

/// How a dataset is divided on disk.
pub(crate) enum Layout {
    /// Not at all.
    Whole(Listing),
    /// Into these splits.
    Splits(BTreeMap<SplitName, Listing>),
}

impl Layout {
    pub(crate) fn find(task: &Task, hub: &Hub) -> Result<Self> {
        match &task.source {
            TaskSource::Hub {
                id,
                config,
                revision,
            } => {
                let repository = hub.open(RepositoryKind::Dataset, id, revision.as_deref())?;
                Self::in_repository(task, repository, config.as_deref().unwrap_or("data"))
            }
            TaskSource::Parquet(path) | TaskSource::WebDataset(path) if path.is_dir() => {
                let id = path.display().to_string();
                let repository = Repository::local(RepositoryKind::Dataset, &id, path.clone())?;
                Self::in_repository(task, repository, ".")
            }
            TaskSource::Parquet(path) | TaskSource::WebDataset(path) if task.files.is_empty() => {
                Ok(Self::Whole(single_file(path)?))
            }
            TaskSource::Parquet(path) | TaskSource::WebDataset(path) => Err(fail(
                task,
                format!(
                    "{} is no directory in which [files] could be looked for; name the \
                     directory, or remove [files] to have the one file divided",
                    path.display()
                ),
            )),
            TaskSource::Folder(path) => in_folder(task, path),
            TaskSource::Csv(path) => Self::in_csv(task, path),
        }
    }

    /// All listings, in the order of the splits.
    pub(crate) fn listings(&self) -> Vec<&Listing> {
        match self {
            Self::Whole(listing) => vec![listing],
            Self::Splits(splits) => splits.values().collect(),
        }
    }

    /// Checks that the splits name their classes alike, as far as their files are at hand.
    ///
    /// A file on the Hub is not fetched for this: whoever opens its split compares it then. Nor
    /// is a damaged file reported here, for the same reason.
    pub(crate) fn check_class_names(&self, beside: Beside<'_>) -> Result<()> {
        let listings = self.listings();
        let at_hand = listings.iter().flat_map(|listing| listing.at_hand());
        let files: Vec<ParquetFile> = at_hand
            .filter_map(|path| ParquetFile::open(&path).ok())
            .filter(|file| match beside {
                Beside::Label(column) => file.class_names(column).is_ok(),
                Beside::Caption(_) => false,
            })
            .collect();
        common_names(&files, beside).map(|_| ())
    }

    fn in_repository(task: &Task, repository: Repository, directory: &str) -> Result<Self> {
        let repository = Arc::new(repository);
        let parquet = |split: &str| format!("{directory}/{split}-*.parquet");
        let tars = |split: &str| format!("{split}/*.tar");
        let mut splits = match task.source {
            TaskSource::WebDataset(_) => BTreeMap::new(),
            _ => Self::matching(task, &repository, parquet)?,
        };
        if splits.is_empty() {
            splits = Self::matching(task, &repository, tars)?;
        }
        check_disjoint(task, &splits)?;
        if splits.is_empty() {
            let words = "{train,validation,test}";
            let what = match task.source {
                TaskSource::WebDataset(_) => format!("`{}`", tars(words)),
                _ => format!("`{}` or `{}`", parquet(words), tars(words)),
            };
            return Err(no_files(task, &repository, &what));
        }
        Ok(Self::Splits(splits))
    }

    /// The files that `[files]` names, or those of the usual names.
    fn matching(
        task: &Task,
        repository: &Arc<Repository>,
        usual: impl Fn(&str) -> String,
    ) -> Result<BTreeMap<SplitName, Listing>> {
        let mut splits = BTreeMap::new();
        for split in SPLITS {
            let pattern = match task.files.get(split) {
                Some(pattern) => pattern.to_owned(),
                None if task.files.is_empty() => usual(split.as_str()),
                None => continue,
            };
            let names = repository.matching(&pattern);
            // A pattern that is one file's name says that just this file is wanted.
            if pattern.contains(['*', '?']) {
                let missing = missing_shards(&names, repository.names());
                if let Some(missing) = missing.or_else(|| missing_tars(&names, repository)) {
                    let message = format!(
                        "files.{split} = {pattern:?}: {missing}; fetch what is missing, or name \
                         the one file to be used in [files]"
                    );
                    return Err(fail(task, message));
                }
            }
            if !names.is_empty() {
                let listing = Listing::of(repository.clone(), names).ok_or_else(|| {
                    let message = format!(
                        "files.{split} = {pattern:?} matches tars and other files; name one kind"
                    );
                    fail(task, message)
                })?;
                splits.insert(split, listing);
            } else if !task.files.is_empty() {
                let what = format!("files.{split} = {pattern:?}");
                return Err(no_files(task, repository, &what));
            }
        }
        Ok(splits)
    }

    fn in_csv(task: &Task, path: &Path) -> Result<Self> {
        let columns = &task.columns;
        let (image, label) = (columns.image.as_deref(), columns.label.as_deref());
        let rows = read_csv(path, image.unwrap_or("path"), label.unwrap_or("label"))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut splits: BTreeMap<Option<SplitName>, Vec<(usize, CsvRow)>> = BTreeMap::new();
        for (index, row) in rows.into_iter().enumerate() {
            splits.entry(row.split).or_default().push((index, row));
        }
        let listing = |rows: Vec<(usize, CsvRow)>| {
            let paths = rows.iter().map(|(_, row)| base.join(&row.path)).collect();
            let indices = rows.iter().map(|(index, _)| *index).collect();
            Listing::Images {
                files: ImageFiles {
                    paths,
                    csv: Some((path.to_owned(), indices)),
                },
                labels: rows.into_iter().map(|(_, row)| row.label).collect(),
            }
        };
        Ok(match splits.remove(&None) {
            Some(rows) => Self::Whole(listing(rows)),
            None => Self::Splits(
                splits
                    .into_iter()
                    .filter_map(|(split, rows)| Some((split?, listing(rows))))
                    .collect(),
            ),
        })
    }
}

/// Test images must not be trained on because two patterns meet.
fn check_disjoint(task: &Task, splits: &BTreeMap<SplitName, Listing>) -> Result<()> {
    let mut split_by_name = BTreeMap::new();
    for (split, listing) in splits {
        for name in listing.names() {
            if let Some(other) = split_by_name.insert(name, split) {
                let message = format!("{name} is in both {other} and {split}; mend [files]");
                return Err(fail(task, message));
            }
        }
    }
    Ok(())
}

/// What is missing of the sets of numbered files that `names` belong to.
fn missing_shards(names: &[String], all: &[String]) -> Option<String> {
    let mut present: BTreeMap<(&str, &str), BTreeSet<u32>> = BTreeMap::new();
    for shard in all.iter().filter_map(|name| Shard::parse(name)) {
        let set = present.entry((shard.stem, shard.of)).or_default();
        set.insert(shard.index);
    }
    names
        .iter()
        .filter_map(|name| Shard::parse(name))
        .find_map(|shard| {
            let present = &present[&(shard.stem, shard.of)];
            let (n_shards, n_present) = (shard.n_shards, present.len() as u32);
            if n_present >= n_shards {
                return None;
            }
            // Counted from 0, but from 1 where there is a last one of that kind.
            let first = u32::from(present.contains(&n_shards));
            let missing: Vec<String> = (first..)
                .take(n_shards as usize)
                .filter(|index| !present.contains(index))
                .take(3)
                .map(|index| shard.sibling(index))
                .collect();
            let n_missing = (n_shards - n_present) as usize;
            let more = match n_missing.saturating_sub(missing.len()) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let missing = missing.join(", ");
            Some(format!("of {n_shards} files, {missing}{more} are missing"))
        })
}

/// A name such as `data/train-00000-of-00005.parquet`, or with a hash, `…-00005-0123abcd.parquet`.
struct Shard<'a> {
    stem: &'a str,
    digits: &'a str,
    index: u32,
    of: &'a str,
    n_shards: u32,
}

impl<'a> Shard<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (head, tail) = name.strip_suffix(".parquet")?.rsplit_once("-of-")?;
        let (stem, digits) = head.rsplit_once('-')?;
        let of = tail.split_once('-').map_or(tail, |(of, _)| of);
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().ok(),
            false => None,
        };
        Some(Self {
            stem,
            digits,
            index: number(digits)?,
            of,
            n_shards: number(of)?,
        })
    }

    fn sibling(&self, index: u32) -> String {
        let (width, stem, of) = (self.digits.len(), self.stem, self.of);
        format!("{stem}-{index:0width$}-of-{of}.parquet")
    }
}

/// What is missing of a folder of tars: its `nshards.txt` says how many there are. On the Hub the
/// listing is whole, and the file is not fetched for this.
fn missing_tars(names: &[String], repository: &Repository) -> Option<String> {
    let folders: BTreeSet<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".tar")?.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    folders.into_iter().find_map(|folder| {
        let path = repository.at_hand(&format!("{folder}/nshards.txt"))?;
        let text = std::fs::read_to_string(path).ok()?;
        let n: usize = text.trim().parse().ok()?;
        let n_present = repository.matching(&format!("{folder}/*.tar")).len();
        (n_present < n)
            .then(|| format!("{folder}/nshards.txt says {n} tars, and {n_present} are there"))
    })
}

fn fail(task: &Task, message: String) -> Error {
    Error::Split {
        task: task.name.clone(),
        message,
    }
}

fn no_files(task: &Task, repository: &Repository, pattern: &str) -> Error {
    let data = repository
        .names()
        .iter()
        .filter(|name| name.ends_with(".parquet") || name.ends_with(".tar"));
    let some: Vec<&str> = data.take(6).map(String::as_str).collect();
    let there = if some.is_empty() {
        "no Parquet and no tar at all".to_owned()
    } else {
        some.join(", ")
    };
    let message = format!("no file matches {pattern}; there is {there}; set `config` or [files]");
    fail(task, message)
}

fn single_file(path: &Path) -> Result<Listing> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(name), Some(directory)) = (name, path.parent()) else {
        return Err(Error::file(path, "is not the path of a file"));
    };
    let id = path.display().to_string();
    let repository = Repository::one_file(&id, directory.to_owned(), name);
    let names = vec![name.to_owned()];
    Listing::of(Arc::new(repository), names)
        .ok_or_else(|| Error::file(path, "is neither Parquet nor a tar"))
}

fn in_folder(task: &Task, root: &Path) -> Result<Layout> {
    let mut directories = sorted_entries(root)?;
    directories.retain(|path| path.is_dir());
    let words: Vec<&str> = directories
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .collect();
    let known = match task.label_values.is_empty() {
        true => &task.class_names,
        false => &task.label_values,
    };
    let is_known = |word: &&str| known.iter().any(|name| name == word);
    let (split_words, others): (Vec<&str>, Vec<&str>) = words
        .iter()
        .copied()
        .partition(|word| split_of(word).is_some());
    if split_words.is_empty() || words.iter().all(is_known) {
        return class_folders(root).map(Layout::Whole);
    }
    if !others.is_empty() {
        let message = format!(
            "has sub-folders named as splits ({}) beside others ({}); move the others away, or, \
             if all are classes, give all of them as class_names",
            split_words.join(", "),
            others
                .iter()
                .take(3)
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        );
        return Err(Error::file(root, message));
    }
    let mut splits = BTreeMap::new();
    for (word, split) in SPLIT_FOLDERS {
        let directory = root.join(word);
        if directory.is_dir() && splits.insert(split, class_folders(&directory)?).is_some() {
            let message =
                "has two folders for one split (`val`, `valid` or `validation`); keep one";
            return Err(Error::file(root, message));
        }
    }
    Ok(Layout::Splits(splits))
}

const SPLIT_FOLDERS: [(&str, SplitName); 5] = [
    ("train", SplitName::Train),
    ("val", SplitName::Validation),
    ("valid", SplitName::Validation),
    ("validation", SplitName::Validation),
    ("test", SplitName::Test),
];

/// The split that a folder's or CSV's word means.
pub(crate) fn split_of(word: &str) -> Option<SplitName> {
    SPLIT_FOLDERS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, split)| *split)
}

fn class_folders(root: &Path) -> Result<Listing> {
    let (mut paths, mut labels) = (Vec::new(), Vec::new());
    for directory in sorted_entries(root)? {
        let name = directory
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !directory.is_dir() {
            tracing::warn!(
                "{} lies outside the class folders and is not used",
                directory.display()
            );
            continue;
        }
        let before = paths.len();
        files_below(&directory, &mut paths)?;
        if paths.len() == before {
            return Err(Error::file(
                &directory,
                "is a class folder without images; fill or remove it",
            ));
        }
        labels.resize(paths.len(), name.to_owned());
    }
    if paths.is_empty() {
        let message = "has no class folders; put the images of each class in a sub-folder named \
                       after the class";
        return Err(Error::file(root, message));
    }
    let files = ImageFiles { paths, csv: None };
    Ok(Listing::Images { files, labels })
}

fn files_below(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in sorted_entries(directory)? {
        // A linked directory could be a loop; linked files are common and harmless.
        if !entry.is_dir() {
            paths.push(entry);
        } else if !entry.is_symlink() {
            files_below(&entry, paths)?;
        }
    }
    Ok(())
}

/// Entries that are not hidden or a desktop's litter, in the order of their names.
fn sorted_entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || {
        std::fs::read_dir(directory)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let entries: std::io::Result<Vec<PathBuf>> = read();
    let mut entries = entries.map_err(Error::io("list", directory))?;
    entries.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && name != "Thumbs.db" && name != "desktop.ini"
    });
    entries.sort();
    Ok(entries)
}
