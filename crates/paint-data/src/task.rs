//! Task manifests: a dataset, its columns and splits, class names and templates.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Published, Result};

/// One part of a dataset: training chooses weights, validation chooses alpha, test reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitName {
    /// Weights are learnt here.
    Train,
    /// Coefficients and stopping are chosen here.
    Validation,
    /// Accuracy is reported here.
    Test,
}

impl SplitName {
    /// `train`, `validation` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for SplitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a task's images and labels are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskSource {
    /// A dataset on the Hub, in Parquet; the caller's [`Hub`](crate::Hub) says where that is.
    Hub {
        /// `org/name`.
        id: String,
        /// Configuration, the directory of its files; `data` where there is none.
        config: Option<String>,
        /// Commit or branch; `main` where there is none.
        revision: Option<String>,
    },
    /// Local Parquet: one file, or a directory with one or more files per split.
    Parquet(PathBuf),
    /// Local WebDataset tars: one tar, or a directory with tars below `train`, `validation` and
    /// `test`. A sample is `KEY.jpg` (or `jpeg`, `png`, `webp`) beside `KEY.cls`, whose text is the
    /// label as a number; `classnames.txt` may name the classes, one a line. Tars of the Hub are
    /// told by their names.
    WebDataset(PathBuf),
    /// A folder with one sub-folder per class, optionally below `train`, `validation` (or `val`,
    /// `valid`) and `test`. Sub-folders are splits if all of them have these names, unless the
    /// manifest's class names (or label values) have them all too. Some such names beside others
    /// are an error, since a split taken for a class would go unnoticed.
    Folder(PathBuf),
    /// A CSV with a header and columns `path`, `label` and optionally `split`.
    Csv(PathBuf),
}

/// Names of the columns in a Parquet or CSV file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Image column, `image` by default; in a CSV the path's column, `path` by default.
    pub image: Option<String>,
    /// Label column, `label` by default.
    pub label: Option<String>,
    /// Caption column; only for [`CaptionDataset`](crate::CaptionDataset).
    pub caption: Option<String>,
}

/// Files of each split, as patterns (`*`, `?`) relative to the dataset.
///
/// If none is given, `DIR/train-*.parquet`, `DIR/validation-*.parquet` and
/// `DIR/test-*.parquet` are used, where they exist, else `train/*.tar`, `validation/*.tar` and
/// `test/*.tar`; if any is given, a split without one has no files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Training images.
    pub train: Option<String>,
    /// Validation images; without them they are cut from the training images.
    pub validation: Option<String>,
    /// Test images.
    pub test: Option<String>,
}

impl Files {
    /// The pattern of one split.
    pub fn get(&self, split: SplitName) -> Option<&str> {
        match split {
            SplitName::Train => self.train.as_deref(),
            SplitName::Validation => self.validation.as_deref(),
            SplitName::Test => self.test.as_deref(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a task's images are cut: the share of each split's images that it uses, written
/// `"0.0..0.5"`, and which images stay together.
///
/// The images are put in a fixed, class-stratified order that depends on nothing but which of
/// them share a class and a group, so that `"0.0..0.5"` and `"0.5..1.0"` in two manifests of one
/// dataset never share an image, whatever the seeds of their runs. (Two manifests that read
/// different labels, or group differently, cut differently.)
///
/// Validation images that are cut from the training images are cut first, from all of them:
/// they are the same for every `train`, which is a share of the rest. So what is trained on one
/// part has never seen the validation images of another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Part {
    /// Share of the training images.
    pub train: Option<Range<f64>>,
    /// Share of the validation images, where the dataset has its own; otherwise an error.
    pub validation: Option<Range<f64>>,
    /// Share of the test images.
    pub test: Option<Range<f64>>,
    /// A separator, the manifest's top-level key `group_by_path`: images whose file names are
    /// equal up to the last of this separator are one group, such as the frames of a recorded
    /// track (`00035_00018_00012.png` with `"_"`), and stay on one side of every cut. Cuts move
    /// forward to the end of a group.
    ///
    /// The name is the `path` beside the image's `bytes` in Parquet, otherwise the file's path.
    /// The separator counts after the last slash, and the folders before it belong to the group;
    /// with `"/"` the folder is the group. A name without the separator is a group of its own.
    pub group_by_path: Option<String>,
}

impl Part {
    /// The share of one split; all of it if none is given.
    pub fn get(&self, split: SplitName) -> Range<f64> {
        self.given(split).clone().unwrap_or(0.0..1.0)
    }

    pub(crate) fn is_given(&self, split: SplitName) -> bool {
        self.given(split).is_some()
    }

    fn given(&self, split: SplitName) -> &Option<Range<f64>> {
        match split {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }
}

/// A second column of labels: what a class may go with in training and not in the world, such as
/// the background (`[attribute]` in a manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its column.
    pub column: String,
    /// Names of its values, in the order of the labels in the column.
    pub values: Vec<String>,
    /// How values that are text stand in the data, in the order of `values`, where they differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_values: Vec<String>,
}

impl Attribute {
    fn check(&self, origin: &str) -> Result<()> {
        let fail = |message: String| Err(Error::manifest(origin, message));
        let n = self.values.len();
        if n < 2 {
            return fail(format!(
                "attribute.values has {n} entries; give at least two"
            ));
        }
        if let Some(value) = first_duplicate(&self.values) {
            return fail(format!("attribute.values: {value:?} is given twice"));
        }
        if !self.label_values.is_empty() && self.label_values.len() != n {
            return fail(format!(
                "attribute.label_values has {} entries and attribute.values {n}; give one for each \
                 value",
                self.label_values.len()
            ));
        }
        if let Some(value) = first_duplicate(&self.label_values) {
            return fail(format!("attribute.label_values: {value:?} is given twice"));
        }
        Ok(())
    }
}

/// A classification task: a dataset, class names in label order, and prompt templates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Short name for tables and files.
    pub name: String,
    /// Names that fill the templates, in label order; empty: taken from the dataset.
    pub class_names: Vec<String>,
    /// How labels that are text stand in the data, in the order of `class_names`, where
    /// they differ from these; otherwise empty.
    pub label_values: Vec<String>,
    /// Prompts with `{}` in place of the class name; empty only for captioned data.
    pub templates: Vec<String>,
    /// Where the images and labels are.
    pub source: TaskSource,
    /// Names of the columns.
    pub columns: Columns,
    /// Files of the splits.
    pub files: Files,
    /// Share of each split, and what stays together.
    pub part: Part,
    /// What the classes may go with, for group robustness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<Attribute>,
    /// What of the manifest nobody has compared with the dataset itself; none if all of it was.
    /// A remark to people: it is not serialized, so that mending it makes no other run.
    #[serde(skip)]
    pub unverified: Option<String>,
    /// What the dataset's publisher says of it. A remark too, and not serialized either.
    #[serde(skip)]
    pub published: Published,
}

impl Task {
    /// A task made in code, with default columns, files and parts.
    ///
    /// # Errors
    /// As [`Task::check`].
    pub fn new(
        name: &str,
        class_names: Vec<String>,
        templates: Vec<String>,
        source: TaskSource,
    ) -> Result<Self> {
        let task = Self {
            name: name.to_owned(),
            class_names,
            label_values: Vec::new(),
            templates,
            source,
            columns: Columns::default(),
            files: Files::default(),
            part: Part::default(),
            attribute: None,
            unverified: None,
            published: Published::default(),
        };
        task.check(name)?;
        Ok(task)
    }

    /// Reads a manifest; relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Task::parse`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a manifest from text that came from `origin`, normally its path.
    ///
    /// # Errors
    /// If the text is not TOML, a key is unknown or missing, a template lacks `{}`, a
    /// class name is given twice, `unverified` is empty, an attribute has fewer than two different
    /// values, or there is not exactly one data source.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let raw: Manifest = read_toml(text, origin)?;
        let source = raw.source(origin)?;
        let task = Self {
            name: raw.name,
            class_names: raw.class_names,
            label_values: raw.label_values,
            templates: raw.templates,
            source,
            columns: raw.columns,
            files: raw.files,
            part: raw.part.parse(raw.group_by_path, origin)?,
            attribute: raw.attribute,
            unverified: raw.unverified,
            published: raw.published,
        };
        task.check(origin)?;
        Ok(task)
    }

    /// The same images with the attribute's values for classes; none without an attribute.
    ///
    /// Cuts keep classes apart, so that of data without splits of its own, or with a `part`, the
    /// two would be other images.
    pub fn of_attribute(&self) -> Option<Self> {
        let attribute = self.attribute.as_ref()?;
        Some(Self {
            class_names: attribute.values.clone(),
            label_values: attribute.label_values.clone(),
            columns: Columns {
                label: Some(attribute.column.clone()),
                ..self.columns.clone()
            },
            attribute: None,
            ..self.clone()
        })
    }

    /// Uses this share of the training images, written as in a manifest: `"0.5..1.0"`.
    ///
    /// # Errors
    /// If it is not a range within 0..1.
    pub fn set_train_part(&mut self, part: &str) -> Result<()> {
        let wrong = || {
            let message = format!("part {part:?}: write a range such as \"0.0..0.5\"");
            Error::manifest(&self.name, message)
        };
        self.part.train = Some(parse_range(part).ok_or_else(wrong)?);
        self.check_parts(&self.name)
    }

    /// Checks what a manifest's reader checks, for a task changed in code.
    ///
    /// # Errors
    /// If a rule of [`Task::parse`] is broken; `origin` begins the message.
    pub fn check(&self, origin: &str) -> Result<()> {
        let fail = |message: String| Err(Error::manifest(origin, message));
        if self.name.is_empty() || self.name.contains(['/', '\\']) {
            return fail(format!(
                "name = {:?}: must be a word without slashes",
                self.name
            ));
        }
        if self.templates.is_empty() && self.columns.caption.is_none() {
            return fail("templates: give at least one, such as \"a photo of a {}.\"".to_owned());
        }
        if let Some(template) = self.templates.iter().find(|t| !t.contains("{}")) {
            return fail(format!(
                "templates: {template:?} has no `{{}}`; write `{{}}` where the class name goes"
            ));
        }
        check_class_names(origin, &self.class_names)?;
        if self.unverified.as_deref() == Some("") {
            return fail("unverified = \"\": say what is not verified, or remove it".to_owned());
        }
        if !self.label_values.is_empty() && self.label_values.len() != self.class_names.len() {
            return fail(format!(
                "label_values has {} entries and class_names {}; give one for each class",
                self.label_values.len(),
                self.class_names.len()
            ));
        }
        if let Some(value) = first_duplicate(&self.label_values) {
            return fail(format!("label_values: {value:?} is given twice"));
        }
        if let Some(attribute) = &self.attribute {
            attribute.check(origin)?;
        }
        self.check_parts(origin)?;
        self.check_files(origin)
    }

    fn check_parts(&self, origin: &str) -> Result<()> {
        for split in [SplitName::Train, SplitName::Validation, SplitName::Test] {
            let part = self.part.get(split);
            if !(0.0 <= part.start && part.start < part.end && part.end <= 1.0) {
                let message = format!(
                    "part.{split} = \"{}..{}\": must be a range within 0..1, such as \"0.0..0.5\"",
                    part.start, part.end
                );
                return Err(Error::manifest(origin, message));
            }
        }
        if self.part.group_by_path.as_deref() == Some("") {
            let message = "group_by_path = \"\": give what stands before the number of a frame, \
                           such as \"_\", or remove it";
            return Err(Error::manifest(origin, message));
        }
        Ok(())
    }

    fn check_files(&self, origin: &str) -> Result<()> {
        let local = matches!(self.source, TaskSource::Folder(_) | TaskSource::Csv(_));
        if local && !self.files.is_empty() {
            let message = "[files] is only for `hub`, `parquet` and `webdataset`; name splits by \
                           sub-folders `train`, `validation`, `test` or by a CSV column `split`";
            return Err(Error::manifest(origin, message));
        }
        let tars = matches!(self.source, TaskSource::WebDataset(_));
        if (local || tars) && self.columns.caption.is_some() {
            let message = "columns.caption is only for `hub` and `parquet`; remove it";
            return Err(Error::manifest(origin, message));
        }
        let folder = matches!(self.source, TaskSource::Folder(_));
        if (folder || tars) && self.columns != Columns::default() {
            let message = "[columns]: folders and tars have none; remove it, or use a CSV";
            return Err(Error::manifest(origin, message));
        }
        let configured = matches!(
            &self.source,
            TaskSource::Hub {
                config: Some(_),
                ..
            }
        );
        if configured && !self.files.is_empty() {
            let message = "config is not looked at where [files] is given; write the directory \
                           into the patterns and remove config";
            return Err(Error::manifest(origin, message));
        }
        if self.files.validation.is_some() && self.files.validation == self.files.train
            || self.files.test.is_some()
                && (self.files.test == self.files.train || self.files.test == self.files.validation)
        {
            let message = "[files] gives two splits the same files; leave `validation` out to \
                           have it cut from the training images";
            return Err(Error::manifest(origin, message));
        }
        Ok(())
    }
}

/// Reads a manifest of any kind from `text`, which came from `origin`; an error is one line that
/// says which.
///
/// # Errors
/// If the text is not TOML or does not have the keys of `T`.
pub fn read_toml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].lines().count().max(1));
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        Error::manifest(
            origin,
            format!("{place}{}", error.message().replace('\n', "; ")),
        )
    })
}

pub(crate) fn check_class_names(origin: &str, names: &[String]) -> Result<()> {
    if let Some(name) = first_duplicate(names) {
        let message =
            format!("class_names: {name:?} is given twice; the model could not tell them apart");
        return Err(Error::manifest(origin, message));
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(Error::manifest(origin, "class_names: a name is empty"));
    }
    Ok(())
}

fn first_duplicate(names: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// A manifest as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    #[serde(default)]
    class_names: Vec<String>,
    #[serde(default)]
    label_values: Vec<String>,
    #[serde(default)]
    templates: Vec<String>,
    hub: Option<String>,
    config: Option<String>,
    revision: Option<String>,
    parquet: Option<PathBuf>,
    folder: Option<PathBuf>,
    csv: Option<PathBuf>,
    webdataset: Option<PathBuf>,
    group_by_path: Option<String>,
    unverified: Option<String>,
    #[serde(default)]
    published: Published,
    attribute: Option<Attribute>,
    #[serde(default)]
    columns: Columns,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    part: RawPart,
}

impl Manifest {
    fn source(&self, origin: &str) -> Result<TaskSource> {
        // `join` keeps an absolute path as it is.
        let base = Path::new(origin).parent().unwrap_or(Path::new(""));
        if self.hub.is_none() && (self.config.is_some() || self.revision.is_some()) {
            let message = "config and revision are only for `hub`; remove them";
            return Err(Error::manifest(origin, message));
        }
        let hub = self.hub.as_ref().map(|id| -> Result<TaskSource> {
            crate::hub::check_id(id).map_err(|message| Error::manifest(origin, message))?;
            Ok(TaskSource::Hub {
                id: id.clone(),
                config: self.config.clone(),
                revision: self.revision.clone(),
            })
        });
        let at = |path: &Option<PathBuf>| path.as_ref().map(|path| base.join(path));
        let local = [
            at(&self.parquet).map(TaskSource::Parquet),
            at(&self.webdataset).map(TaskSource::WebDataset),
            at(&self.folder).map(TaskSource::Folder),
            at(&self.csv).map(TaskSource::Csv),
        ];
        let local = local.into_iter().flatten().map(Ok);
        let mut sources = hub.into_iter().chain(local);
        match (sources.next(), sources.next()) {
            (Some(source), None) => source,
            _ => Err(Error::manifest(
                origin,
                "give exactly one of hub = \"org/name\", parquet = \"PATH\", \
                 webdataset = \"PATH\", folder = \"PATH\", csv = \"PATH\"",
            )),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPart {
    train: Option<String>,
    validation: Option<String>,
    test: Option<String>,
}

impl RawPart {
    fn parse(self, group_by_path: Option<String>, origin: &str) -> Result<Part> {
        let range = |key: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) => parse_range(&text).map(Some).ok_or_else(|| {
                let message = format!("part.{key} = {text:?}: write a range such as \"0.0..0.5\"");
                Error::manifest(origin, message)
            }),
        };
        Ok(Part {
            train: range("train", self.train)?,
            validation: range("validation", self.validation)?,
            test: range("test", self.test)?,
            group_by_path,
        })
    }
}

fn parse_range(text: &str) -> Option<Range<f64>> {
    let (start, end) = text.split_once("..")?;
    Some(start.trim().parse().ok()?..end.trim().parse().ok()?)
}
