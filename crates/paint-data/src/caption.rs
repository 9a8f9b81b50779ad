//! Images with captions, for contrastive pretraining.

use crate::dataset::Dataset;
use crate::hub::Hub;
use crate::listing::Beside;
use crate::pixels::PixelTable;
use crate::task::{SplitName, Task};
use crate::{Error, Result, Rng};

/// Images, each with one caption.
///
/// The images are an ordinary [`Dataset`] and go the same way to a [`PixelTable`].
#[derive(Clone, Debug)]
pub struct CaptionDataset {
    images: Dataset,
    captions: Vec<String>,
}

impl CaptionDataset {
    /// Opens a split of a captioned task (`columns.caption` is set), or makes captions of a
    /// labelled one: a template drawn by `seed`, filled with the class name. Which images the
    /// split holds does not depend on `seed`.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open(task: &Task, split: SplitName, hub: &Hub, seed: u64) -> Result<Self> {
        if let Some(column) = &task.columns.caption {
            let images = Dataset::open_beside(task, split, hub, Beside::Caption(column))?;
            let captions = (0..images.len())
                .map(|row| images.caption(row).to_owned())
                .collect();
            return Ok(Self { images, captions });
        }
        let images = Dataset::open(task, split, hub)?;
        let mut rng = Rng::derive(seed, &[CAPTION_STREAM]);
        let names = images.class_names().to_vec();
        Self::new(images, |label| {
            rng.pick(&task.templates)
                .replace("{}", &names[label as usize])
        })
    }

    /// Captions made from the label of each row, in order.
    ///
    /// # Errors
    /// If a caption is empty.
    pub fn new(images: Dataset, mut caption: impl FnMut(u32) -> String) -> Result<Self> {
        let captions: Vec<String> = images
            .labels()
            .iter()
            .map(|&label| caption(label))
            .collect();
        if let Some(row) = captions
            .iter()
            .position(|caption| caption.trim().is_empty())
        {
            return Err(Error::Argument(format!(
                "{}: empty caption",
                images.place(row)
            )));
        }
        Ok(Self { images, captions })
    }

    /// The images; their labels are 0 where the data has only captions.
    pub fn images(&self) -> &Dataset {
        &self.images
    }

    /// The caption of each row of [`images`](Self::images).
    pub fn captions(&self) -> &[String] {
        &self.captions
    }

    /// The caption of each row of the table built from [`images`](Self::images), which
    /// lacks the images that could not be decoded.
    ///
    /// # Errors
    /// If the table was built from another dataset.
    pub fn captions_of(&self, table: &PixelTable) -> Result<Vec<&str>> {
        if table.content_key() != self.images.content_key() {
            let message = "this table was built from other images than these captions".to_owned();
            return Err(Error::Argument(message));
        }
        Ok(table
            .rows()
            .iter()
            .map(|&row| self.captions[row as usize].as_str())
            .collect())
    }
}

/// Keeps the choice of templates apart from whatever else a run draws by the same seed.
const CAPTION_STREAM: u64 = 0x6361_7074;
