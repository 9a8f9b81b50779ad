//! The files behind a dataset: how many rows, which bytes, and what identifies them.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::parquet_file::{ImageBytes, ParquetFile, file_hash};
use crate::{Error, Result};

/// Where the images of a dataset lie; a row is a number over all files.
pub(crate) struct Store {
    files: Files,
    /// Changes when the content of the files does.
    pub(crate) key: [u8; 32],
}

/// An encoded image larger than this is not read at all.
const MAX_FILE_BYTES: u64 = 512 << 20;

enum Files {
    Parquet {
        files: Vec<(PathBuf, usize)>,
        column: String,
    },
    Images(Vec<PathBuf>),
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

    /// Image files, identified by their bytes in order, wherever they lie: a copied or touched
    /// folder is the same data, and an edited file never passes for the old one.
    pub(crate) fn images(paths: Vec<PathBuf>) -> Result<Self> {
        let hashes: Result<Vec<[u8; 32]>> = paths.par_iter().map(|path| file_hash(path)).collect();
        let key = joint_key("", &hashes?);
        let files = Files::Images(paths);
        Ok(Self { files, key })
    }

    /// The file name of each row's image.
    pub(crate) fn file_names(&self) -> Result<Vec<String>> {
        let slashed = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.replace(std::path::MAIN_SEPARATOR, "/")
        };
        match &self.files {
            Files::Images(paths) => Ok(paths.iter().map(slashed).collect()),
            Files::Parquet { files, column } => {
                let mut names = Vec::new();
                for (path, _) in files {
                    names.extend(ParquetFile::open(path)?.image_paths(column)?);
                }
                Ok(names)
            }
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
            Files::Images(paths) => Err(Error::file(
                &paths[0],
                "is an image file of its own; questions stand beside images in Parquet",
            )),
        }
    }

    /// File, and row within it, of a row.
    pub(crate) fn locate(&self, row: usize) -> (&Path, usize) {
        match &self.files {
            Files::Images(paths) => (&paths[row], 0),
            Files::Parquet { files, .. } => {
                let mut row = row;
                for (path, n_rows) in files {
                    if row < *n_rows {
                        return (path, row);
                    }
                    row -= n_rows;
                }
                unreachable!("rows are made from the files' counts")
            }
        }
    }

    /// A row's place in words.
    pub(crate) fn place(&self, row: usize) -> String {
        let (path, row) = self.locate(row);
        match &self.files {
            Files::Images(_) => path.display().to_string(),
            Files::Parquet { column, .. } => {
                format!("{}: row {row}, column `{column}`", path.display())
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
            Files::Images(paths) => rows
                .iter()
                .try_for_each(|&row| take(read_image(&paths[row]))),
            Files::Parquet { files, column } => {
                let (mut rest, mut first) = (rows, 0);
                for (path, n_rows) in files {
                    let n_here = rest.partition_point(|&row| row < first + n_rows);
                    let here: Vec<usize> = rest[..n_here].iter().map(|row| row - first).collect();
                    if !here.is_empty() {
                        let file = ParquetFile::open(path)?;
                        if file.n_rows() != *n_rows {
                            return Err(Error::file(path, "was changed while in use; start again"));
                        }
                        file.each_image(column, &here, &mut take)?;
                    }
                    rest = &rest[n_here..];
                    first += n_rows;
                }
                Ok(())
            }
        }
    }
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
        Ok(length) if length > MAX_FILE_BYTES => Err(format!("{length} bytes are no image")),
        _ => std::fs::read(path).map_err(|error| format!("cannot be read: {error}")),
    }
}
