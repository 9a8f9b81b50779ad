//! Which images a step sees, as a function of the seed and the step alone: a run that
//! continues needs no record of where it was.

use paint_clip::ClipConfig;
use paint_data::{PixelTable, Rng};
use rayon::prelude::*;

use crate::{Augment, Error, Result};

/// Streams of random numbers drawn from one seed.
const ORDER: u64 = 1;
const AUGMENT: u64 = 2;

/// The order of examples: a fresh permutation every epoch, epochs joined seamlessly.
///
/// Albums (runs of `album` neighbouring examples) are permuted as wholes.
pub(crate) struct Order {
    n: usize,
    album: usize,
    seed: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Order {
    pub(crate) fn new(n: usize, album: usize, seed: u64) -> Self {
        Self {
            n,
            album,
            seed,
            epoch: None,
        }
    }

    /// The examples of step `step` (from 1) with `batch` examples a step.
    pub(crate) fn batch(&mut self, step: u64, batch: usize) -> Vec<usize> {
        let start = (step - 1) * batch as u64;
        (start..start + batch as u64)
            .map(|position| self.at(position))
            .collect()
    }

    fn at(&mut self, position: u64) -> usize {
        let (epoch, place) = (
            position / self.n as u64,
            (position % self.n as u64) as usize,
        );
        if self
            .epoch
            .as_ref()
            .is_none_or(|(current, _)| *current != epoch)
        {
            let mut albums: Vec<usize> = (0..self.n).step_by(self.album).collect();
            Rng::derive(self.seed, &[ORDER, epoch]).shuffle(&mut albums);
            let examples = |start: usize| start..self.n.min(start + self.album);
            let order = albums.into_iter().flat_map(examples).collect();
            self.epoch = Some((epoch, order));
        }
        self.epoch.as_ref().map_or(0, |(_, order)| order[place])
    }
}

/// Pixels of the given rows, varied: u8 `[rows, h, w, 3]`.
pub(crate) fn read_varied(
    table: &PixelTable,
    rows: &[usize],
    augment: &Augment,
    seed: u64,
    step: u64,
) -> Result<Vec<u8>> {
    // Neighbouring rows are read at once, so read in order and vary into place.
    let mut by_row: Vec<usize> = (0..rows.len()).collect();
    by_row.sort_by_key(|&i| rows[i]);
    let sorted: Vec<usize> = by_row.iter().map(|&i| rows[i]).collect();
    let size = table.image_bytes();
    let mut raw = vec![0; rows.len() * size];
    table.read(&sorted, &mut raw)?;
    let mut place = vec![0; rows.len()];
    by_row
        .iter()
        .enumerate()
        .for_each(|(sorted_at, &i)| place[i] = sorted_at);
    let mut out = vec![0; rows.len() * size];
    let shape = (table.height(), table.width());
    out.par_chunks_mut(size.max(1))
        .enumerate()
        .for_each(|(i, out)| {
            let mut rng = Rng::derive(seed, &[AUGMENT, step, i as u64]);
            augment.apply(&raw[place[i] * size..][..size], shape, &mut rng, out);
        });
    Ok(out)
}

/// Fails unless the images are of the size that the model sees.
pub(crate) fn check_size(images: &PixelTable, config: &ClipConfig) -> Result<()> {
    let size = config.vision.image_size;
    let (height, width) = (images.height(), images.width());
    if (height, width) == (size, size) {
        return Ok(());
    }
    let message = format!("the model sees {size}×{size} pixels, the images are {height}×{width}");
    Err(Error::Mismatch(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_a_permutation_and_any_step_can_be_asked_first() {
        let mut order = Order::new(10, 1, 7);
        let batches: Vec<Vec<usize>> = (1..=5).map(|step| order.batch(step, 4)).collect();
        let all: Vec<usize> = batches.concat();
        for epoch in all.chunks_exact(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(all[..10], all[10..]);
        assert_eq!(Order::new(10, 1, 7).batch(4, 4), batches[3]);
    }

    #[test]
    fn albums_stay_together_and_none_is_lost() {
        let order = Order::new(11, 4, 3).batch(1, 11);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..11).collect::<Vec<_>>());
        let starts: Vec<usize> = order.iter().copied().filter(|i| i % 4 == 0).collect();
        assert_eq!(starts.len(), 3);
        for start in starts {
            let place = order.iter().position(|i| *i == start).unwrap();
            let album = start..11.min(start + 4);
            assert!(order[place..].iter().copied().take(album.len()).eq(album));
        }
    }
}
