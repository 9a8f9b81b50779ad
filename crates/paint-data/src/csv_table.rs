//! A CSV of image paths and labels.

use std::path::Path;

use crate::layout::split_of;
use crate::task::SplitName;
use crate::{Error, Result};

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CsvRow {
    pub(crate) path: String,
    pub(crate) label: String,
    pub(crate) split: Option<SplitName>,
}

/// Reads the columns `image`, `label` and, where there is one, `split`.
pub(crate) fn read_csv(path: &Path, image: &str, label: &str) -> Result<Vec<CsvRow>> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::file(path, "is no text in UTF-8; save it as CSV in UTF-8"))?;
    let records = records(text.strip_prefix('\u{feff}').unwrap_or(&text))
        .map_err(|line| Error::file(path, format!("line {line}: a quote is never closed")))?;
    let Some((header, rows)) = records.split_first() else {
        return Err(Error::file(
            path,
            "is empty; begin with a header `path,label`",
        ));
    };
    if rows.is_empty() {
        return Err(Error::file(path, "has a header and no rows"));
    }
    let find = |name: &str| header.iter().position(|field| field.trim() == name);
    let need = |name: &str| {
        find(name).ok_or_else(|| {
            Error::column(
                path,
                name,
                format!(
                    "is missing; the header is {}; columns are separated by commas",
                    header.join(",")
                ),
            )
        })
    };
    let (image_idx, label_idx, split_idx) = (need(image)?, need(label)?, find("split"));
    let row = |(index, fields): (usize, &Vec<String>)| {
        if fields.len() != header.len() {
            let message = format!("has {} fields, the header {}", fields.len(), header.len());
            return Err(Error::row(path, index, image, message));
        }
        if fields[image_idx].is_empty() || fields[label_idx].is_empty() {
            return Err(Error::row(path, index, label, "path or label is empty"));
        }
        let split = split_idx.map(|i| {
            split_of(&fields[i]).ok_or_else(|| {
                let message = format!("{:?}: write train, validation or test", fields[i]);
                Error::row(path, index, "split", message)
            })
        });
        let (path, label) = (fields[image_idx].clone(), fields[label_idx].clone());
        Ok(CsvRow {
            path,
            label,
            split: split.transpose()?,
        })
    };
    rows.iter().enumerate().map(row).collect()
}

/// Splits text into records by RFC 4180; the error is the line of an unclosed quote.
fn records(text: &str) -> std::result::Result<Vec<Vec<String>>, usize> {
    let mut records = Vec::new();
    let (mut record, mut field) = (Vec::new(), String::new());
    let (mut line, mut quoted_since) = (1, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        line += usize::from(c == '\n');
        match (c, quoted_since) {
            ('"', Some(_)) if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            ('"', Some(_)) => quoted_since = None,
            (c, Some(_)) => field.push(c),
            ('"', None) if field.is_empty() => quoted_since = Some(line),
            (',', None) => record.push(std::mem::take(&mut field)),
            ('\r', None) if chars.peek() == Some(&'\n') => {}
            ('\n', None) => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            (c, None) => field.push(c),
        }
    }
    if let Some(line) = quoted_since {
        return Err(line);
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    // Blank lines, often the last one, are no records.
    records.retain(|record| *record != [""]);
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let got = records("a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\n\n,last").unwrap();
        assert_eq!(
            got,
            [
                vec!["a", "b"],
                vec!["x, \"y\"", "two\nlines"],
                vec!["", "last"]
            ]
        );
        assert_eq!(records("a\n\"b"), Err(2));
        assert_eq!(records("").unwrap(), Vec::<Vec<String>>::new());
    }
}
