//! One WebDataset tar: where its images lie, and their labels.
//!
//! A sample is `KEY.jpg` (or `jpeg`, `png`, `webp`) beside `KEY.cls`, whose text is the label; a
//! key ends at the first dot after the last slash. Other members are not looked at. The tar is
//! walked once, header by header; images are then read by position. Whatever could make two
//! readers see different images, or none where there is one, is an error.
//!
//! Source: the WebDataset format, <https://github.com/webdataset/webdataset>, as CLIP_benchmark
//! packs its datasets; POSIX.1-1988 `ustar`, GNU and pax extensions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use crate::parquet_file::{ImageBytes, not_the_data};
use crate::pixels::read_at;
use crate::store::{MAX_FILE_BYTES, too_large};
use crate::{Error, Result};

/// A tar that has been walked and found sound.
pub(crate) struct TarFile {
    path: PathBuf,
    n_bytes: u64,
    /// In the order in which they stand in the file.
    images: Vec<Member>,
}

/// Where a member's content lies.
struct Member {
    name: String,
    offset: u64,
    size: u64,
}

/// What belongs to one key.
#[derive(Default)]
struct Sample {
    image: Option<Member>,
    label: Option<i64>,
}

const BLOCK: u64 = 512;
const IMAGE_EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
const LABEL_EXTENSION: &str = "cls";
/// A label is a short number.
const MAX_LABEL_BYTES: u64 = 32;
/// A header that extends another is a name and a few numbers.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

impl TarFile {
    /// The images and, in the same order, their labels.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<i64>)> {
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        let n_bytes = file.metadata().map_err(Error::io("read", path))?.len();
        let mut head = Vec::new();
        (&mut file)
            .take(BLOCK)
            .read_to_end(&mut head)
            .and_then(|_| file.rewind())
            .map_err(Error::io("read", path))?;
        if let Some(problem) = not_the_data(&head, "a tar") {
            return Err(Error::file(path, problem));
        }
        let mut walk = Walk {
            path,
            n_bytes,
            next: 0,
            long_name: None,
            pax: None,
            samples: BTreeMap::new(),
        };
        walk.walk(&file)?;
        walk.check_end(file)?;
        let (images, labels) = walk.paired()?.into_iter().unzip();
        let path = path.to_owned();
        Ok((
            Self {
                path,
                n_bytes,
                images,
            },
            labels,
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn n_images(&self) -> usize {
        self.images.len()
    }

    /// The image's name in the tar.
    pub(crate) fn name(&self, row: usize) -> &str {
        &self.images[row].name
    }

    /// The images' names in the tar.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.images.iter().map(|image| image.name.as_str())
    }

    /// Hands over these images, in order.
    pub(crate) fn each_image(
        &self,
        rows: &[usize],
        mut take: impl FnMut(ImageBytes) -> Result<()>,
    ) -> Result<()> {
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        let metadata = file.metadata().map_err(Error::io("read", &self.path))?;
        if metadata.len() != self.n_bytes {
            let message = "was changed while in use; start again";
            return Err(Error::file(&self.path, message));
        }
        for &row in rows {
            let image = &self.images[row];
            if image.size > MAX_FILE_BYTES {
                take(Err(too_large(image.size)))?;
                continue;
            }
            let mut bytes = vec![0; image.size as usize];
            read_at(&file, &mut bytes, image.offset).map_err(Error::io("read", &self.path))?;
            take(Ok(bytes))?;
        }
        Ok(())
    }
}

/// A tar being walked.
struct Walk<'a> {
    path: &'a Path,
    n_bytes: u64,
    /// Where the next header stands.
    next: u64,
    /// What the headers before a member say of it.
    long_name: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
    samples: BTreeMap<String, Sample>,
}

impl Walk<'_> {
    /// The members as they stand: the crate would read whole extension headers into memory, and
    /// reports neither where a file is cut off nor that pax makes a member sparse.
    fn walk(&mut self, file: &File) -> Result<()> {
        let mut archive = Archive::new(file);
        let entries = archive
            .entries_with_seek()
            .map_err(|error| self.damaged(&error))?;
        for entry in entries.raw(true) {
            let mut entry = entry.map_err(|error| self.damaged(&error))?;
            self.take(&mut entry)?;
        }
        Ok(())
    }

    fn damaged(&self, error: &std::io::Error) -> Error {
        let message = format!("is damaged at byte {} ({error}); fetch it again", self.next);
        Error::file(self.path, message)
    }

    fn take(&mut self, entry: &mut Entry<'_, &File>) -> Result<()> {
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let end = offset.saturating_add(size);
        if end > self.n_bytes {
            return Err(self.fault(
                &entry.path_bytes(),
                &format!(
                    "has {size} bytes from byte {offset} on, but the file ends at byte {}; it is \
                     cut off, fetch it again",
                    self.n_bytes
                ),
            ));
        }
        self.next = end.next_multiple_of(BLOCK);
        match entry.header().entry_type() {
            EntryType::GNULongName => self.long_name = Some(self.extension(entry)?),
            EntryType::XHeader => self.pax = Some(self.extension(entry)?),
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let name = self.name_of(entry)?;
                self.member(entry, &name, kind)?;
            }
        }
        Ok(())
    }

    fn extension(&self, entry: &mut Entry<'_, &File>) -> Result<Vec<u8>> {
        let size = entry.size();
        if size > MAX_EXTENSION_BYTES {
            let message = format!("is a header of {size} bytes; pack the files anew");
            return Err(self.fault(&entry.path_bytes(), &message));
        }
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .map_err(Error::io("read", self.path))?;
        Ok(bytes)
    }

    /// A member's name, which a header before it may hold; what such a header says besides must
    /// not change where the member lies.
    fn name_of(&mut self, entry: &Entry<'_, &File>) -> Result<Vec<u8>> {
        let (long_name, pax) = (self.long_name.take(), self.pax.take());
        let mut name = entry.path_bytes().into_owned();
        let size = entry.size().to_string();
        for record in PaxExtensions::new(pax.as_deref().unwrap_or_default()) {
            let record = record.map_err(|error| {
                let message = format!("has a damaged pax header ({error}); fetch it again");
                self.fault(&name, &message)
            })?;
            let (key, value) = (record.key_bytes(), record.value_bytes());
            if key.starts_with(b"GNU.sparse.") {
                return Err(self.fault(&name, SPARSE));
            }
            if key == b"size" && value != size.as_bytes() {
                let message = "has one size in its header and another in its pax header; pack \
                               the files anew";
                return Err(self.fault(&name, message));
            }
            if key == b"path" {
                name = value.to_vec();
            }
        }
        if let Some(mut long) = long_name {
            let end = long.iter().position(|&byte| byte == 0);
            long.truncate(end.unwrap_or(long.len()));
            name = long;
        }
        Ok(name)
    }

    fn member(&mut self, entry: &mut Entry<'_, &File>, name: &[u8], kind: EntryType) -> Result<()> {
        if kind == EntryType::GNUSparse {
            return Err(self.fault(name, SPARSE));
        }
        let text = String::from_utf8_lossy(name);
        let Some((key, extension)) = key_and_extension(&text) else {
            return Ok(());
        };
        let is_label = extension == LABEL_EXTENSION;
        if kind == EntryType::Directory
            || !is_label && !IMAGE_EXTENSIONS.contains(&extension.as_str())
        {
            return Ok(());
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Err(self.fault(name, "is a link or a device; pack the files themselves"));
        }
        if matches!(text, Cow::Owned(_)) {
            return Err(self.fault(name, "has a name that is not UTF-8; rename it"));
        }
        let label = match is_label {
            true => Some(self.label(entry, name)?),
            false => None,
        };
        let sample = self.samples.entry(key.to_owned()).or_default();
        let is_second = match label {
            Some(label) => sample.label.replace(label).is_some(),
            None => {
                let image = Member {
                    name: text.clone().into_owned(),
                    offset: entry.raw_file_position(),
                    size: entry.size(),
                };
                sample.image.replace(image).is_some()
            }
        };
        if is_second {
            let what = if is_label { "label" } else { "image" };
            let message = format!("is the second {what} of the key {key:?}; keep one");
            return Err(self.fault(name, &message));
        }
        Ok(())
    }

    fn label(&self, entry: &mut Entry<'_, &File>, name: &[u8]) -> Result<i64> {
        let mut text = Vec::new();
        entry
            .take(MAX_LABEL_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(Error::io("read", self.path))?;
        let parsed = std::str::from_utf8(&text).ok();
        let parsed = parsed.and_then(|text| text.trim().parse().ok());
        parsed
            .filter(|_| text.len() as u64 <= MAX_LABEL_BYTES)
            .ok_or_else(|| {
                let shown: String = String::from_utf8_lossy(&text).chars().take(16).collect();
                let message = format!(
                    "holds {shown:?}, which is no number; a label is the class's number in \
                     decimal digits"
                );
                self.fault(name, &message)
            })
    }

    /// Where the members end there are zeros and nothing else.
    fn check_end(&self, file: File) -> Result<()> {
        let mut rest = BufReader::new(file);
        rest.seek(SeekFrom::Start(self.next))
            .map_err(Error::io("read", self.path))?;
        let mut n_zeros = 0;
        for byte in rest.bytes() {
            if byte.map_err(Error::io("read", self.path))? != 0 {
                let message = format!(
                    "has data after its end, at byte {}; pack what were several tars into one",
                    self.next + n_zeros
                );
                return Err(Error::file(self.path, message));
            }
            n_zeros += 1;
        }
        if n_zeros < BLOCK {
            let message = format!(
                "is cut off after {} bytes: its end mark should be at byte {}; fetch it again",
                self.n_bytes, self.next
            );
            return Err(Error::file(self.path, message));
        }
        Ok(())
    }

    fn paired(self) -> Result<Vec<(Member, i64)>> {
        let mut pairs = Vec::with_capacity(self.samples.len());
        let path = self.path;
        for (key, sample) in self.samples {
            let message = match (sample.image, sample.label) {
                (Some(image), Some(label)) => {
                    pairs.push((image, label));
                    continue;
                }
                (Some(image), None) => format!(
                    "image {} at byte {} has no label {key}.{LABEL_EXTENSION} in the same tar; \
                     add it, or leave out the image",
                    image.name, image.offset
                ),
                (None, _) => format!(
                    "label {key}.{LABEL_EXTENSION} has no image ({}) in the same tar; add it, or \
                     leave out the label",
                    IMAGE_EXTENSIONS.join(", ")
                ),
            };
            return Err(Error::file(path, message));
        }
        if pairs.is_empty() {
            let message = format!(
                "holds no images with labels, KEY.{} beside KEY.{LABEL_EXTENSION}",
                IMAGE_EXTENSIONS.join("|")
            );
            return Err(Error::file(path, message));
        }
        pairs.sort_by_key(|(image, _)| image.offset);
        Ok(pairs)
    }

    fn fault(&self, name: &[u8], message: &str) -> Error {
        let name = String::from_utf8_lossy(name);
        Error::file(self.path, format!("member {name}: {message}"))
    }
}

const SPARSE: &str = "is stored sparse, with its zeros left out; pack it without --sparse";

/// A name up to the first dot after its last slash, and what follows, in lower case; nothing if
/// either is empty.
fn key_and_extension(name: &str) -> Option<(&str, String)> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let file_start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = file_start + name[file_start..].find('.')?;
    let extension = &name[dot + 1..];
    if dot == file_start || extension.is_empty() {
        return None;
    }
    Some((&name[..dot], extension.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_the_first_dot_of_the_file_name() {
        let check = |name, expected: Option<(&str, &str)>| {
            let found = key_and_extension(name);
            let found = found.as_ref().map(|(key, ext)| (*key, ext.as_str()));
            assert_eq!(found, expected, "{name}");
        };
        check("s01.jpg", Some(("s01", "jpg")));
        check("./s01.JPG", Some(("s01", "jpg")));
        check("v1.2/s01.seg.png", Some(("v1.2/s01", "seg.png")));
        check("v1.2/s01", None);
        check("._s01.jpg", None);
        check("s01.", None);
        check("s01/", None);
    }
}
