//! From a task's source to the files of each split, before any of them is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::csv_table::read_csv;
use crate::hub::{Hub, Repository};
use crate::parquet_file::{ParquetFile, RawLabels};
use crate::store::Store;
use crate::task::{SplitName, Task, TaskSource};
use crate::{Error, Result};

const SPLITS: [SplitName; 3] = [SplitName::Train, SplitName::Validation, SplitName::Test];

/// How a dataset is divided on disk.
pub(crate) enum Layout {
    /// Not at all.
    Whole(Listing),
    /// Into these splits.
    Splits(BTreeMap<SplitName, Listing>),
}

/// Files that have been found but not opened (nor, on the Hub, fetched).
pub(crate) enum Listing {
    Parquet {
        repository: Arc<Repository>,
        names: Vec<String>,
    },
    Images {
        paths: Vec<PathBuf>,
        labels: Vec<String>,
    },
}

/// The text or numbers that stand beside the images.
#[derive(Clone, Copy)]
pub(crate) enum Beside<'a> {
    Label(&'a str),
    Caption(&'a str),
}

/// A listing whose labels have been read.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) values: RawLabels,
    /// Class names that the files carry.
    pub(crate) names: Option<Vec<String>>,
}

impl Layout {
    pub(crate) fn find(task: &Task, hub: &Hub) -> Result<Self> {
        match &task.source {
            TaskSource::Hub {
                id,
                config,
                revision,
            } => {
                let repository = hub.repository(id, revision.as_deref())?;
                Self::in_repository(task, repository, config.as_deref().unwrap_or("data"))
            }
            TaskSource::Parquet(path) if path.is_dir() => {
                let repository = Repository::local(&path.display().to_string(), path.clone())?;
                Self::in_repository(task, repository, ".")
            }
            TaskSource::Parquet(path) => Ok(Self::Whole(single_file(path)?)),
            TaskSource::Folder(path) => in_folder(path),
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

    fn in_repository(task: &Task, repository: Repository, directory: &str) -> Result<Self> {
        let repository = Arc::new(repository);
        let mut splits = BTreeMap::new();
        for split in SPLITS {
            let pattern = match task.files.get(split) {
                Some(pattern) => pattern.to_owned(),
                None if task.files.is_empty() => format!("{directory}/{split}-*.parquet"),
                None => continue,
            };
            let names = repository.matching(&pattern);
            if !names.is_empty() {
                splits.insert(
                    split,
                    Listing::Parquet {
                        repository: repository.clone(),
                        names,
                    },
                );
            } else if !task.files.is_empty() {
                return Err(no_files(
                    task,
                    &repository,
                    &format!("files.{split} = {pattern:?}"),
                ));
            }
        }
        check_disjoint(task, &splits)?;
        if splits.is_empty() {
            let what = format!("`{directory}/{{train,validation,test}}-*.parquet`");
            return Err(no_files(task, &repository, &what));
        }
        Ok(Self::Splits(splits))
    }

    fn in_csv(task: &Task, path: &Path) -> Result<Self> {
        let columns = &task.columns;
        let (image, label) = (columns.image.as_deref(), columns.label.as_deref());
        let rows = read_csv(path, image.unwrap_or("path"), label.unwrap_or("label"))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut splits: BTreeMap<Option<SplitName>, (Vec<PathBuf>, Vec<String>)> = BTreeMap::new();
        for row in rows {
            let (paths, labels) = splits.entry(row.split).or_default();
            paths.push(base.join(row.path));
            labels.push(row.label);
        }
        Ok(match splits.remove(&None) {
            Some((paths, labels)) => Self::Whole(Listing::Images { paths, labels }),
            None => Self::Splits(
                splits
                    .into_iter()
                    .filter_map(|(split, (paths, labels))| {
                        Some((split?, Listing::Images { paths, labels }))
                    })
                    .collect(),
            ),
        })
    }
}

/// Test images must not be trained on because two patterns meet.
fn check_disjoint(task: &Task, splits: &BTreeMap<SplitName, Listing>) -> Result<()> {
    let mut split_by_name = BTreeMap::new();
    for (split, listing) in splits {
        let Listing::Parquet { names, .. } = listing else {
            continue;
        };
        for name in names {
            if let Some(other) = split_by_name.insert(name, split) {
                let message = format!("{name} is in both {other} and {split}; mend [files]");
                return Err(Error::Split {
                    task: task.name.clone(),
                    message,
                });
            }
        }
    }
    Ok(())
}

fn no_files(task: &Task, repository: &Repository, pattern: &str) -> Error {
    let parquet = repository
        .names
        .iter()
        .filter(|name| name.ends_with(".parquet"));
    let some: Vec<&str> = parquet.take(6).map(String::as_str).collect();
    let there = if some.is_empty() {
        "no Parquet at all".to_owned()
    } else {
        some.join(", ")
    };
    let message = format!("no file matches {pattern}; there is {there}; set `config` or [files]");
    Error::Split {
        task: task.name.clone(),
        message,
    }
}

fn single_file(path: &Path) -> Result<Listing> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(name), Some(directory)) = (name, path.parent()) else {
        return Err(Error::file(path, "is not the path of a file"));
    };
    let id = path.display().to_string();
    let repository = Repository::one_file(&id, directory.to_owned(), name);
    Ok(Listing::Parquet {
        repository: Arc::new(repository),
        names: vec![name.to_owned()],
    })
}

fn in_folder(root: &Path) -> Result<Layout> {
    let mut splits = BTreeMap::new();
    for (name, split) in SPLIT_FOLDERS {
        let directory = root.join(name);
        if directory.is_dir() && splits.insert(split, class_folders(&directory)?).is_some() {
            let message =
                "has two folders for one split (`val`, `valid` or `validation`); keep one";
            return Err(Error::file(root, message));
        }
    }
    if splits.is_empty() {
        return class_folders(root).map(Layout::Whole);
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
    Ok(Listing::Images { paths, labels })
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

impl Listing {
    /// The text labels, without opening images.
    pub(crate) fn values(&self, beside: Beside<'_>) -> Result<RawLabels> {
        match self {
            Self::Images { labels, .. } => Ok(RawLabels::Text(labels.clone())),
            Self::Parquet { .. } => read_values(&self.files()?, beside),
        }
    }

    pub(crate) fn open(&self, image: &str, beside: Beside<'_>) -> Result<Opened> {
        match self {
            Self::Images { paths, labels } => Ok(Opened {
                store: Store::images(paths.clone())?,
                values: RawLabels::Text(labels.clone()),
                names: None,
            }),
            Self::Parquet { .. } => {
                let files = self.files()?;
                files
                    .iter()
                    .try_for_each(|file| file.check_image_column(image))?;
                Ok(Opened {
                    store: Store::parquet(&files, image)?,
                    values: read_values(&files, beside)?,
                    names: common_names(&files, beside)?,
                })
            }
        }
    }

    fn files(&self) -> Result<Vec<ParquetFile>> {
        let Self::Parquet { repository, names } = self else {
            return Ok(Vec::new());
        };
        names
            .iter()
            .map(|name| ParquetFile::open(&repository.fetch(name)?))
            .collect()
    }
}

fn read_values(files: &[ParquetFile], beside: Beside<'_>) -> Result<RawLabels> {
    let (mut integers, mut text) = (Vec::new(), Vec::new());
    for file in files {
        match beside {
            Beside::Caption(column) => text.extend(file.text(column)?),
            Beside::Label(column) => match file.labels(column)? {
                RawLabels::Integers(values) => integers.extend(values),
                RawLabels::Text(values) => text.extend(values),
            },
        }
    }
    match (integers.is_empty(), text.is_empty(), files) {
        (_, true, _) => Ok(RawLabels::Integers(integers)),
        (true, ..) => Ok(RawLabels::Text(text)),
        (.., files) => {
            let message = "has numbers as labels in one file of the split and text in another";
            Err(Error::file(files[0].path(), message))
        }
    }
}

fn common_names(files: &[ParquetFile], beside: Beside<'_>) -> Result<Option<Vec<String>>> {
    let Beside::Label(column) = beside else {
        return Ok(None);
    };
    let mut common: Option<Vec<String>> = None;
    for file in files {
        let Some(names) = file.class_names(column)? else {
            continue;
        };
        if common.as_ref().is_some_and(|common| *common != names) {
            let message = "names its classes otherwise than another file of the split";
            return Err(Error::file(file.path(), message));
        }
        common = Some(names);
    }
    Ok(common)
}
