//! One split of a task, opened: rows with labels, images still encoded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::hub::Hub;
use crate::layout::{Layout, SPLITS};
use crate::listing::{Beside, Listing, Opened};
use crate::parquet_file::RawLabels;
use crate::split::{group_by_name, group_key, n_validation, stratified_order, whole_groups};
use crate::store::Store;
use crate::task::{SplitName, Task};
use crate::{Error, Result};

// The three orders that data is cut in. They are fixed: what one run holds out, a run with
// another seed, or with another part of the same images, must not train on.

/// The order that parts are slices of.
const PART_SEED: u64 = 0x7061_7274;
/// The order whose first fifth is the test split of data that has no splits.
const TEST_SEED: u64 = 0x7465_7374;
/// The order whose beginning is the validation split of data that has none.
const VALIDATION_SEED: u64 = 0x7661_6c69;
/// Share of data without splits that is kept for testing.
const TEST_SHARE: f64 = 0.2;

/// The rows of one split; images are read and decoded by [`PixelTable`](crate::PixelTable).
///
/// Cheap to clone and to take subsets of. Rows are always in the order of the files.
#[derive(Clone)]
pub struct Dataset {
    task: String,
    store: Arc<Store>,
    class_names: Arc<[String]>,
    /// As the files name them, if they do.
    stored_class_names: Option<Arc<[String]>>,
    /// By row of the store; empty unless captions were asked for.
    captions: Arc<[String]>,
    /// Rows of the store, ascending.
    rows: Vec<usize>,
    labels: Vec<u32>,
    /// The group of each row, which no cut parts; empty if each image stands alone.
    groups: Vec<u32>,
    key: String,
    revision: Option<Arc<str>>,
}

impl Dataset {
    /// Opens a split: reads labels and identifies the files, of which every byte is read once;
    /// decodes nothing.
    ///
    /// Where the dataset has no validation split, it is cut from the training images: a tenth
    /// and at most 5,000, class-stratified. They are the same images for every
    /// [`Part`](crate::Part) of the training images, which is a share of the others. Data
    /// without any splits first gives a fifth to `test`. With
    /// [`group_by_path`](crate::Part::group_by_path) each cut moves forward to the end of a group.
    ///
    /// The cuts depend on nothing but the labels and groups: which images the files hold, in
    /// their order, and which of them share a class.
    ///
    /// # Errors
    /// If files are missing or damaged, the split does not exist or is empty, labels do not
    /// match the class names, the splits' files name their classes differently, a column is
    /// missing, or images have no file names to be grouped by.
    pub fn open(task: &Task, split: SplitName, hub: &Hub) -> Result<Self> {
        let column = task.columns.label.as_deref().unwrap_or("label");
        if task.columns.caption.is_some() && task.templates.is_empty() {
            let message = "has captions, not labels; open it as a CaptionDataset".to_owned();
            return Err(Error::Split {
                task: task.name.clone(),
                message,
            });
        }
        Self::open_beside(task, split, hub, Beside::Label(column))
    }

    /// The splits that a task has or that can be cut for it; nothing of them is opened.
    ///
    /// # Errors
    /// If no files are found.
    pub fn splits(task: &Task, hub: &Hub) -> Result<Vec<SplitName>> {
        task.check(&task.name)?;
        let opener = Opener {
            task,
            layout: Layout::find(task, hub)?,
            beside: Beside::Label(""),
        };
        let can_be_cut = |split| split == SplitName::Validation && opener.has(SplitName::Train);
        let is_there = |split: &SplitName| opener.has(*split) || can_be_cut(*split);
        Ok(SPLITS.into_iter().filter(is_there).collect())
    }

    pub(crate) fn open_beside(
        task: &Task,
        split: SplitName,
        hub: &Hub,
        beside: Beside<'_>,
    ) -> Result<Self> {
        task.check(&task.name)?;
        let layout = Layout::find(task, hub)?;
        let opener = Opener {
            task,
            layout,
            beside,
        };
        opener.check_parts_exist()?;
        let dataset = opener.split(split)?;
        if dataset.is_empty() {
            return Err(opener.fail(format!("split {split} is empty; use more of the data")));
        }
        Ok(dataset)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Name of the task.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Class index of each row.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Class names in label order.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Class names in label order as the files themselves give them, which a manifest may replace;
    /// none if they do not.
    pub fn stored_class_names(&self) -> Option<&[String]> {
        self.stored_class_names.as_deref()
    }

    /// Rows of the files behind this dataset, which holds some or all of them.
    pub fn n_stored(&self) -> usize {
        self.store.n_rows()
    }

    /// Whether these are the same rows of as many, whatever their labels: of one dataset opened
    /// with two label columns.
    pub fn has_rows_of(&self, other: &Self) -> bool {
        self.rows == other.rows && self.files() == other.files()
    }

    /// The files behind this dataset, as local files.
    pub fn files(&self) -> Vec<&Path> {
        self.store.paths()
    }

    /// Changes whenever the bytes of the files, the rows or the labels do, and not when files are
    /// moved or touched; 64 hexadecimal digits.
    pub fn content_key(&self) -> &str {
        &self.key
    }

    /// The commit of the Hub that the files are of; none where they are just local files.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// `n` rows (or all, if there are fewer) with the classes in the shares of the whole.
    /// A smaller subset with the same seed is contained in a larger one. It may hold a part of
    /// a group: it shows what the whole is like, and few whole groups would do so worse.
    pub fn subset(&self, n: usize, seed: u64) -> Self {
        let order = stratified_order(&self.labels, &[], seed);
        self.select(order[..n.min(order.len())].to_vec())
    }

    /// Up to `n` rows of every class, the same ones whenever the seed is.
    pub fn of_each_class(&self, n: usize, seed: u64) -> Self {
        let mut left = vec![n; self.class_names.len()];
        let mut order = stratified_order(&self.labels, &[], seed);
        order.retain(|&position| {
            let left = &mut left[self.labels[position] as usize];
            let wanted = *left > 0;
            *left -= usize::from(wanted);
            wanted
        });
        self.select(order)
    }

    /// The rows of these classes, which are numbered anew in the order given: what a head of
    /// just their names is trained and measured on.
    ///
    /// # Errors
    /// If a class does not exist or is given twice, or there are no rows of any of them.
    pub fn of_classes(&self, classes: &[u32]) -> Result<Self> {
        let mut new_of = BTreeMap::new();
        let mut names = Vec::with_capacity(classes.len());
        for (&class, new) in classes.iter().zip(0..) {
            let n = self.class_names.len();
            let Some(name) = self.class_names.get(class as usize) else {
                return Err(self.refused(format!("class {class} does not exist; there are {n}")));
            };
            if new_of.insert(class, new).is_some() {
                return Err(self.refused(format!("class {class} ({name:?}) is given twice")));
            }
            names.push(name.clone());
        }
        let all = 0..self.len();
        let chosen = self.select(
            all.filter(|&p| new_of.contains_key(&self.labels[p]))
                .collect(),
        );
        if chosen.is_empty() {
            return Err(self.refused(format!("has no images of the {} classes", classes.len())));
        }
        Ok(chosen.relabelled(names, |row| new_of[&chosen.labels[row]]))
    }

    fn refused(&self, message: String) -> Error {
        Error::Split {
            task: self.task.clone(),
            message,
        }
    }

    /// Two disjoint class-stratified parts that together are the whole; the first holds
    /// `fraction` (in [0, 1]) of the rows, and more by the rest of a group that the cut would part.
    pub fn partition(&self, fraction: f64, seed: u64) -> (Self, Self) {
        self.cut(share(fraction, self.len()), seed)
    }

    /// A row's place, for messages: file, and row within it.
    pub fn place(&self, row: usize) -> String {
        self.store.place(self.rows[row])
    }

    pub(crate) fn caption(&self, row: usize) -> &str {
        &self.captions[self.rows[row]]
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A row's number among all that are stored, in the files' order.
    pub fn stored_row(&self, row: usize) -> usize {
        self.rows[row]
    }

    /// The same images with other classes; `label` is asked for each row.
    pub(crate) fn relabelled(&self, names: Vec<String>, label: impl Fn(usize) -> u32) -> Self {
        let labels: Vec<u32> = (0..self.len()).map(label).collect();
        let key = content_key(&self.store, &self.rows, &labels);
        Self {
            labels,
            key,
            class_names: names.into(),
            stored_class_names: None,
            ..self.clone()
        }
    }

    /// Shows `take` the encoded images in order; in place of one that its file does not hold, the
    /// reason.
    ///
    /// # Errors
    /// If a file cannot be read, or what `take` returns.
    pub fn each_image(
        &self,
        take: impl FnMut(std::result::Result<Vec<u8>, String>) -> Result<()>,
    ) -> Result<()> {
        self.store.each_image(&self.rows, take)
    }

    /// The first `n` rows of a stratified order, to the end of a group, and the others.
    fn cut(&self, n: usize, seed: u64) -> (Self, Self) {
        let order = stratified_order(&self.labels, &self.groups, seed);
        let (first, second) = order.split_at(whole_groups(&order, &self.groups, n));
        (self.select(first.to_vec()), self.select(second.to_vec()))
    }

    /// The rows between two shares of the order of parts.
    fn part(&self, part: Range<f64>) -> Self {
        let order = stratified_order(&self.labels, &self.groups, PART_SEED);
        let at = |end| whole_groups(&order, &self.groups, share(end, order.len()));
        self.select(order[at(part.start)..at(part.end)].to_vec())
    }

    fn select(&self, mut positions: Vec<usize>) -> Self {
        positions.sort_unstable();
        let rows: Vec<usize> = positions.iter().map(|&p| self.rows[p]).collect();
        let labels: Vec<u32> = positions.iter().map(|&p| self.labels[p]).collect();
        let groups = match self.groups.is_empty() {
            true => Vec::new(),
            false => positions.iter().map(|&p| self.groups[p]).collect(),
        };
        let key = content_key(&self.store, &rows, &labels);
        Self {
            rows,
            labels,
            groups,
            key,
            ..self.clone()
        }
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Dataset");
        debug
            .field("task", &self.task)
            .field("rows", &self.rows.len());
        debug
            .field("n_classes", &self.class_names.len())
            .field("key", &self.key)
            .finish()
    }
}

fn content_key(store: &Store, rows: &[usize], labels: &[u32]) -> String {
    let mut hash = Sha256::new();
    hash.update(store.key);
    rows.iter()
        .for_each(|&row| hash.update((row as u64).to_le_bytes()));
    labels
        .iter()
        .for_each(|label| hash.update(label.to_le_bytes()));
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn share(fraction: f64, n: usize) -> usize {
    (fraction.clamp(0.0, 1.0) * n as f64).round() as usize
}

/// Finds the rows of a split, whichever way the dataset is divided.
struct Opener<'a> {
    task: &'a Task,
    layout: Layout,
    beside: Beside<'a>,
}

impl Opener<'_> {
    /// A part of a split that is not there would be no part of anything.
    fn check_parts_exist(&self) -> Result<()> {
        let unused = |split: &SplitName| self.task.part.is_given(*split) && !self.has(*split);
        match SPLITS.into_iter().find(unused) {
            None => Ok(()),
            Some(SplitName::Validation) => Err(self.fail(
                "part.validation: there is no validation split; validation images are cut from \
                 the training images, the same for every part; remove part.validation"
                    .to_owned(),
            )),
            Some(split) => Err(self.fail(format!(
                "part.{split}: has no split {split}, only {}; remove part.{split} or name the \
                 split in [files]",
                self.split_names()
            ))),
        }
    }

    fn split(&self, split: SplitName) -> Result<Dataset> {
        let dataset = if split == SplitName::Test || self.has(SplitName::Validation) {
            self.on_disk(split)?
        } else {
            let train = self.on_disk(SplitName::Train)?;
            let (validation, rest) = train.cut(n_validation(train.len()), VALIDATION_SEED);
            match split {
                SplitName::Validation => validation,
                _ => rest,
            }
        };
        let part = self.task.part.get(split);
        if part == (0.0..1.0) {
            return Ok(dataset);
        }
        Ok(dataset.part(part))
    }

    fn has(&self, split: SplitName) -> bool {
        match &self.layout {
            Layout::Whole(_) => split != SplitName::Validation,
            Layout::Splits(splits) => splits.contains_key(&split),
        }
    }

    fn split_names(&self) -> String {
        let names = SPLITS.into_iter().filter(|split| self.has(*split));
        names.map(SplitName::as_str).collect::<Vec<_>>().join(", ")
    }

    fn on_disk(&self, split: SplitName) -> Result<Dataset> {
        match &self.layout {
            Layout::Splits(splits) => {
                let Some(listing) = splits.get(&split) else {
                    let names = self.split_names();
                    return Err(self.fail(format!(
                        "has no split {split}, only {names}; name it in [files]"
                    )));
                };
                let mut dataset = self.open(listing)?;
                // Only after the split's own files have been found sound.
                self.layout.check_class_names(self.beside)?;
                dataset.groups = self.groups(&dataset, split == SplitName::Train)?;
                Ok(dataset)
            }
            Layout::Whole(listing) => {
                let mut whole = self.open(listing)?;
                whole.groups = self.groups(&whole, true)?;
                let (test, rest) = whole.cut(share(TEST_SHARE, whole.len()), TEST_SEED);
                Ok(if split == SplitName::Test { test } else { rest })
            }
        }
    }

    /// The group of each row. Test images may stand alone, as GTSRB's own do; that all images
    /// which are to be cut stand alone is a mistake.
    fn groups(&self, dataset: &Dataset, is_cut: bool) -> Result<Vec<u32>> {
        let Some(separator) = &self.task.part.group_by_path else {
            return Ok(Vec::new());
        };
        let names = dataset.store.file_names()?;
        let grouped = names
            .iter()
            .any(|name| group_key(name, separator).is_some());
        match names.first() {
            Some(first) if is_cut && !grouped => Err(self.fail(format!(
                "group_by_path = {separator:?}: is in no image's file name; the first is \
                 {first:?}; give what stands before the number of a frame, or remove it"
            ))),
            _ => Ok(group_by_name(&names, separator)),
        }
    }

    fn open(&self, listing: &Listing) -> Result<Dataset> {
        let image = self.task.columns.image.as_deref().unwrap_or("image");
        let mut opened = listing.open(image, self.beside)?;
        let (captions, class_names, labels) = match self.beside {
            Beside::Caption(_) => {
                let empty = RawLabels::Text(Vec::new());
                let RawLabels::Text(captions) = std::mem::replace(&mut opened.values, empty) else {
                    return Err(self.fail("the split has no rows".to_owned()));
                };
                let labels = vec![0; captions.len()];
                (captions, Vec::new(), labels)
            }
            Beside::Label(column) => {
                let (names, labels) = self.labels(&opened, column)?;
                (Vec::new(), names, labels)
            }
        };
        let rows: Vec<usize> = (0..labels.len()).collect();
        let key = content_key(&opened.store, &rows, &labels);
        Ok(Dataset {
            task: self.task.name.clone(),
            store: Arc::new(opened.store),
            class_names: class_names.into(),
            stored_class_names: opened.names.map(Arc::from),
            captions: captions.into(),
            rows,
            labels,
            groups: Vec::new(),
            key,
            revision: listing.revision().map(Arc::from),
        })
    }

    fn labels(&self, opened: &Opened, column: &str) -> Result<(Vec<String>, Vec<u32>)> {
        match &opened.values {
            RawLabels::Integers(values) => {
                let names = self.names_for_integers(opened)?;
                let labels = in_range(values, &names, opened, column)?;
                Ok((names, labels))
            }
            RawLabels::Text(values) => self.text_labels(values, opened, column),
        }
    }

    /// Names of numbered classes: the manifest's, checked against the file's, or the file's.
    fn names_for_integers(&self, opened: &Opened) -> Result<Vec<String>> {
        let ours = &self.task.class_names;
        if !self.task.label_values.is_empty() {
            let message = "label_values is for labels that are text; here they are numbers; \
                           remove it and give class_names in label order";
            return Err(self.fail(message.to_owned()));
        }
        let Some(theirs) = &opened.names else {
            if ours.is_empty() {
                let message =
                    "the files do not name their classes; give class_names in label order";
                return Err(self.fail(message.to_owned()));
            }
            return Ok(ours.clone());
        };
        if ours.is_empty() {
            crate::task::check_class_names(&self.task.name, theirs)?;
            return Ok(theirs.clone());
        }
        if ours.len() != theirs.len() {
            return Err(self.fail(format!(
                "class_names has {} names, the files have {} classes ({}, …); give one name for \
                 each class, in label order",
                ours.len(),
                theirs.len(),
                theirs
                    .iter()
                    .take(3)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        let same_set = ours.iter().collect::<BTreeSet<_>>() == theirs.iter().collect();
        match ours.iter().zip(theirs).position(|(a, b)| a != b) {
            Some(class_idx) if same_set => Err(self.fail(format!(
                "class_names are in another order than the labels: class {class_idx} is {:?} in \
                 the manifest and {:?} in the files; use the files' order",
                ours[class_idx], theirs[class_idx]
            ))),
            _ => Ok(ours.clone()),
        }
    }

    fn text_labels(
        &self,
        values: &[String],
        opened: &Opened,
        column: &str,
    ) -> Result<(Vec<String>, Vec<u32>)> {
        let task = self.task;
        let names = match task.class_names.is_empty() {
            true => self.all_text_values()?,
            false => task.class_names.clone(),
        };
        let known = if task.label_values.is_empty() {
            &names
        } else {
            &task.label_values
        };
        let by_value: BTreeMap<&str, u32> = known
            .iter()
            .zip(0..)
            .map(|(value, class_idx)| (value.as_str(), class_idx))
            .collect();
        if !values
            .iter()
            .any(|value| by_value.contains_key(value.as_str()))
            && let Some(numbers) = values
                .iter()
                .map(|value| value.parse().ok())
                .collect::<Option<Vec<i64>>>()
        {
            let labels = in_range(&numbers, &names, opened, column)?;
            return Ok((names, labels));
        }
        let find = |(row, value): (usize, &String)| {
            by_value.get(value.as_str()).copied().ok_or_else(|| {
                let message = format!(
                    "label {value:?} is not among the {} known classes ({}, …); add it to \
                     class_names, or say with label_values how labels are written",
                    known.len(),
                    known.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
                );
                opened.store.fault(row, column, message)
            })
        };
        let labels: Result<Vec<u32>> = values.iter().enumerate().map(find).collect();
        Ok((names, labels?))
    }

    /// The different labels of all splits; numbers in the order of numbers, text of text.
    fn all_text_values(&self) -> Result<Vec<String>> {
        let mut distinct = BTreeSet::new();
        for listing in self.layout.listings() {
            if let RawLabels::Text(values) = listing.values(self.beside)? {
                distinct.extend(values);
            }
        }
        let mut names: Vec<String> = distinct.into_iter().collect();
        if names.iter().all(|name| name.parse::<u64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<u64>().unwrap_or(u64::MAX));
        }
        Ok(names)
    }

    fn fail(&self, message: String) -> Error {
        Error::Split {
            task: self.task.name.clone(),
            message,
        }
    }
}

fn in_range(values: &[i64], names: &[String], opened: &Opened, column: &str) -> Result<Vec<u32>> {
    let check = |(row, &value): (usize, &i64)| match u32::try_from(value) {
        Ok(label) if (label as usize) < names.len() => Ok(label),
        _ => {
            let last = names.len().saturating_sub(1);
            let why = match value {
                -1 => "-1 stands for unlabelled images; use a split that has labels".to_owned(),
                _ => format!("expected 0 to {last}; give a class name for every label"),
            };
            let message = format!("label {value} is out of range: {why}");
            Err(opened.store.fault(row, column, message))
        }
    };
    values.iter().enumerate().map(check).collect()
}
