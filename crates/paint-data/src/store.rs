//! The files behind a dataset: how many rows, which bytes, and what identifies them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::parquet_file::{ImageBytes, ParquetFile, file_hash};
use crate::tar_file::TarFile;
use crate::{Error, Result};

/// Where the images of a dataset lie; a row is a number over all files.
pub(crate) struct Store {
    files: Files,
    /// Changes when the content of the files does.
    pub(crate) key: [u8; 32],
}

/// An encoded image larger than this is not read at all.
pub(crate) const MAX_FILE_BYTES: u64 = 512 << 20;

/// In the place of a hash; no file is known that has this one.
const NO_FILE: [u8; 32] = [0; 32];

/// Images that are files of their own.
#[derive(Clone)]
pub(crate) struct ImageFiles {
    pub(crate) paths: Vec<PathBuf>,
    /// The CSV that names them, and the row of each in it.
    pub(crate) csv: Option<(PathBuf, Vec<usize>)>,
}

enum Files {
    Parquet {
        files: Vec<(PathBuf, usize)>,
        column: String,
    },
    Images(ImageFiles),
    Tars(Vec<TarFile>),
}

impl Store {
    /// The images in one column of Parquet files, identified by the files' bytes.
    pub(crate) fn parquet(files: &[ParquetFile], column: &str) -> Result<Self> {
        let files: Vec<(PathBuf, usize)> = files
            .iter()
            .map(|file| (file.path().to_owned(), file.n_rows()))
            .collect();
        let hashes: Result<Vec<[u8; 32]>> =
            files.par_iter().map(|(path, _)| file_hash(path)).collect();
        let key = joint_key(column, &hashes?);
        let files = Files::Parquet {
            files,
            column: column.to_owned(),
        };
        Ok(Self { files, key })
    }

    /// The images in WebDataset tars, identified by the tars' bytes.
    pub(crate) fn tars(tars: Vec<TarFile>) -> Result<Self> {
        let hashes: Result<Vec<[u8; 32]>> =
            tars.par_iter().map(|tar| file_hash(tar.path())).collect();
        let key = joint_key("tar", &hashes?);
        let files = Files::Tars(tars);
        Ok(Self { files, key })
    }

    /// Image files, identified by their bytes in order, wherever they lie: a copied or touched
    /// folder is the same data, and an edited file never passes for the old one. One that is not
    /// there is found again when its image is wanted, as one that does not decode.
    pub(crate) fn images(files: ImageFiles) -> Result<Self> {
        let hash = |path: &PathBuf| match path.metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(NO_FILE),
            _ => file_hash(path),
        };
        let hashes: Result<Vec<[u8; 32]>> = files.paths.par_iter().map(hash).collect();
        let key = joint_key("", &hashes?);
        let files = Files::Images(files);
        Ok(Self { files, key })
    }

    /// Number of rows of all files.
    pub(crate) fn n_rows(&self) -> usize {
        match &self.files {
            Files::Images(images) => images.paths.len(),
            Files::Parquet { files, .. } => files.iter().map(|(_, n_rows)| n_rows).sum(),
            Files::Tars(tars) => tars.iter().map(TarFile::n_images).sum(),
        }
    }

    /// The files, in the order of their rows.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        match &self.files {
            Files::Images(images) => images.paths.iter().map(PathBuf::as_path).collect(),
            Files::Parquet { files, .. } => files.iter().map(|(path, _)| path.as_path()).collect(),
            Files::Tars(tars) => tars.iter().map(TarFile::path).collect(),
        }
    }

    /// The file name of each row's image.
    pub(crate) fn file_names(&self) -> Result<Vec<String>> {
        let slashed = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.replace(std::path::MAIN_SEPARATOR, "/")
        };
        match &self.files {
            Files::Images(images) => Ok(images.paths.iter().map(slashed).collect()),
            Files::Parquet { files, column } => {
                let mut names = Vec::new();
                for (path, _) in files {
                    names.extend(ParquetFile::open(path)?.image_paths(column)?);
                }
                Ok(names)
            }
            Files::Tars(tars) => Ok(tars
                .iter()
                .flat_map(TarFile::names)
                .map(str::to_owned)
                .collect()),
        }
    }

    /// The Parquet files, in the order of their rows.
    ///
    /// # Errors
    /// If the images are files of their own, which have no columns beside them.
    pub(crate) fn tables(&self) -> Result<Vec<ParquetFile>> {
        match &self.files {
            Files::Parquet { files, .. } => files
                .iter()
                .map(|(path, _)| ParquetFile::open(path))
                .collect(),
            Files::Images(images) => Err(Error::file(
                &images.paths[0],
                "is an image file of its own; questions stand beside images in Parquet",
            )),
            Files::Tars(tars) => Err(Error::file(
                tars[0].path(),
                "is a tar; questions stand beside images in Parquet",
            )),
        }
    }

    /// File, and row within it, of a row.
    fn locate(&self, row: usize) -> (usize, usize) {
        let in_files = |counts: &mut dyn Iterator<Item = usize>| {
            let mut row = row;
            for (i, n_rows) in counts.enumerate() {
                if row < n_rows {
                    return (i, row);
                }
                row -= n_rows;
            }
            unreachable!("rows are made from the files' counts")
        };
        match &self.files {
            Files::Images(_) => (row, 0),
            Files::Parquet { files, .. } => in_files(&mut files.iter().map(|(_, n)| *n)),
            Files::Tars(tars) => in_files(&mut tars.iter().map(TarFile::n_images)),
        }
    }

    /// A row's place in words.
    pub(crate) fn place(&self, row: usize) -> String {
        let (file, row) = self.locate(row);
        match &self.files {
            Files::Images(ImageFiles { paths, csv }) => {
                let path = paths[file].display();
                match csv {
                    Some((csv, rows)) => format!("{}: row {}: {path}", csv.display(), rows[file]),
                    None => path.to_string(),
                }
            }
            Files::Parquet { files, column } => {
                format!("{}: row {row}, column `{column}`", files[file].0.display())
            }
            Files::Tars(tars) => {
                let tar = &tars[file];
                format!("{}: member {}", tar.path().display(), tar.name(row))
            }
        }
    }

    /// What is wrong with the value of `column` in a row.
    pub(crate) fn fault(&self, row: usize, column: &str, message: String) -> Error {
        let (file, row) = self.locate(row);
        match &self.files {
            Files::Images(ImageFiles { paths, csv }) => match csv {
                Some((csv, rows)) => Error::row(csv, rows[file], column, message),
                None => Error::file(&paths[file], message),
            },
            Files::Parquet { files, .. } => Error::row(&files[file].0, row, column, message),
            Files::Tars(tars) => {
                let (path, name) = (tars[file].path(), tars[file].name(row));
                Error::file(path, format!("member {name}: {message}"))
            }
        }
    }

    /// Hands over the images of these rows (ascending), in order.
    pub(crate) fn each_image(
        &self,
        rows: &[usize],
        mut take: impl FnMut(ImageBytes) -> Result<()>,
    ) -> Result<()> {
        match &self.files {
            Files::Images(images) => rows
                .iter()
                .try_for_each(|&row| take(read_image(&images.paths[row]))),
            Files::Parquet { files, column } => {
                let counts = files.iter().map(|(_, n_rows)| *n_rows);
                for ((path, n_rows), here) in files.iter().zip(by_file(rows, counts)) {
                    if here.is_empty() {
                        continue;
                    }
                    let file = ParquetFile::open(path)?;
                    if file.n_rows() != *n_rows {
                        return Err(Error::file(path, "was changed while in use; start again"));
                    }
                    file.each_image(column, &here, &mut take)?;
                }
                Ok(())
            }
            Files::Tars(tars) => {
                let counts = tars.iter().map(TarFile::n_images);
                for (tar, here) in tars.iter().zip(by_file(rows, counts)) {
                    tar.each_image(&here, &mut take)?;
                }
                Ok(())
            }
        }
    }
}

/// Ascending rows of all files, as rows of each file.
fn by_file(
    rows: &[usize],
    counts: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Vec<usize>> {
    let (mut rest, mut first) = (rows, 0);
    counts.map(move |n_rows| {
        let (here, after) = rest.split_at(rest.partition_point(|&row| row < first + n_rows));
        let here = here.iter().map(|row| row - first).collect();
        (rest, first) = (after, first + n_rows);
        here
    })
}

fn joint_key(column: &str, hashes: &[[u8; 32]]) -> [u8; 32] {
    let mut key = Sha256::new();
    key.update(column);
    hashes.iter().for_each(|hash| key.update(hash));
    key.finalize().into()
}

fn read_image(path: &Path) -> ImageBytes {
    let length = path.metadata().map(|metadata| metadata.len());
    match length {
        Ok(length) if length > MAX_FILE_BYTES => Err(too_large(length)),
        _ => std::fs::read(path).map_err(|error| format!("cannot be read: {error}")),
    }
}

/// Why an image of so many bytes is not read.
pub(crate) fn too_large(n_bytes: u64) -> String {
    format!("{n_bytes} bytes are no image")
}
