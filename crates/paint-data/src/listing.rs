//! The files of one split, found but not opened, and what opening them gives.

use std::path::PathBuf;
use std::sync::Arc;

use crate::hub::Repository;
use crate::parquet_file::{ParquetFile, RawLabels};
use crate::store::{ImageFiles, Store};
use crate::tar_file::TarFile;
use crate::{Error, Result};

/// Files that have been found but not opened (nor, on the Hub, fetched).
pub(crate) enum Listing {
    Parquet {
        repository: Arc<Repository>,
        names: Vec<String>,
    },
    Images {
        files: ImageFiles,
        labels: Vec<String>,
    },
    /// WebDataset.
    Tars {
        repository: Arc<Repository>,
        names: Vec<String>,
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

impl Listing {
    /// Tars, where the names say so, else Parquet; nothing if the names are of both kinds.
    pub(crate) fn of(repository: Arc<Repository>, names: Vec<String>) -> Option<Self> {
        match names.iter().filter(|name| name.ends_with(".tar")).count() {
            0 => Some(Self::Parquet { repository, names }),
            n if n == names.len() => Some(Self::Tars { repository, names }),
            _ => None,
        }
    }

    /// Names within the repository; none of images that are files of their own.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::Parquet { names, .. } | Self::Tars { names, .. } => names,
            Self::Images { .. } => &[],
        }
    }

    /// The text labels, without opening images.
    pub(crate) fn values(&self, beside: Beside<'_>) -> Result<RawLabels> {
        match self {
            Self::Images { labels, .. } => Ok(RawLabels::Text(labels.clone())),
            Self::Parquet { .. } => read_values(&self.files()?, beside),
            // Numbers, as far as they are labels at all; whoever opens the split reads them.
            Self::Tars { .. } => Ok(RawLabels::Integers(Vec::new())),
        }
    }

    pub(crate) fn open(&self, image: &str, beside: Beside<'_>) -> Result<Opened> {
        match self {
            Self::Images { files, labels } => Ok(Opened {
                store: Store::images(files.clone())?,
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
            Self::Tars { repository, names } => open_tars(repository, names, beside),
        }
    }

    /// The commit of the Hub that the files are of.
    pub(crate) fn revision(&self) -> Option<&str> {
        match self {
            Self::Parquet { repository, .. } | Self::Tars { repository, .. } => repository.commit(),
            Self::Images { .. } => None,
        }
    }

    /// The Parquet files that need not be fetched first.
    pub(crate) fn at_hand(&self) -> Vec<PathBuf> {
        let Self::Parquet { repository, names } = self else {
            return Vec::new();
        };
        names
            .iter()
            .filter_map(|name| repository.at_hand(name))
            .collect()
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

/// Opens WebDataset tars; `classnames.txt` at the top of their repository names the classes, one
/// a line, as CLIP_benchmark writes it.
fn open_tars(repository: &Repository, names: &[String], beside: Beside<'_>) -> Result<Opened> {
    let (mut tars, mut labels) = (Vec::new(), Vec::new());
    for name in names {
        let path = repository.fetch(name)?;
        if let Beside::Caption(_) = beside {
            let message = "is a tar, of which labels are read and no captions; use Parquet";
            return Err(Error::file(&path, message));
        }
        let (tar, of_tar) = TarFile::open(&path)?;
        tars.push(tar);
        labels.extend(of_tar);
    }
    Ok(Opened {
        store: Store::tars(tars)?,
        values: RawLabels::Integers(labels),
        names: class_name_lines(repository)?,
    })
}

fn class_name_lines(repository: &Repository) -> Result<Option<Vec<String>>> {
    const FILE: &str = "classnames.txt";
    if !repository.names().iter().any(|name| name == FILE) {
        return Ok(None);
    }
    let path = repository.fetch(FILE)?;
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    Ok(Some(text.lines().map(str::to_owned).collect()))
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

/// The class names that the files carry; an error if two differ.
pub(crate) fn common_names(
    files: &[ParquetFile],
    beside: Beside<'_>,
) -> Result<Option<Vec<String>>> {
    let Beside::Label(column) = beside else {
        return Ok(None);
    };
    let mut common: Option<(&ParquetFile, Vec<String>)> = None;
    for file in files {
        let Some(names) = file.class_names(column)? else {
            continue;
        };
        match &common {
            Some((first, expected)) if *expected != names => {
                let message = format!(
                    "names the classes of column `{column}` otherwise than {}: {}; write both \
                     with the same names in the same order",
                    first.path().display(),
                    first_difference(&names, expected)
                );
                return Err(Error::file(file.path(), message));
            }
            Some(_) => {}
            None => common = Some((file, names)),
        }
    }
    Ok(common.map(|(_, names)| names))
}

fn first_difference(here: &[String], there: &[String]) -> String {
    match here.iter().zip(there).position(|(a, b)| a != b) {
        Some(class_idx) => format!(
            "class {class_idx} is {:?} here and {:?} there",
            here[class_idx], there[class_idx]
        ),
        None => format!("{} classes here and {} there", here.len(), there.len()),
    }
}
