//! Which images a step sees, as a function of the seed and the step alone: a run that
//! continues needs no record of where it was.

use paint_clip::ClipConfig;
use paint_data::{PixelTable, Rng};
use rayon::prelude::*;

use crate::{Augment, Error, Result};

/// Streams of random numbers drawn from one seed.
const ORDER: u64 = 1;
const AUGMENT: u64 = 2;

/// An example: which table, which row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) table: usize,
    pub(crate) row: usize,
}

/// The order of the examples of several tables, each with the same share of every batch.
pub(crate) struct Order(Vec<Permutations>);

impl Order {
    pub(crate) fn balanced(tables: &[&PixelTable], seed: u64) -> Self {
        let of = |table: &&PixelTable| Permutations::new(table.len(), 1, seed);
        Self(tables.iter().map(of).collect())
    }

    /// The examples of step `step` (from 1) with `batch` examples a step, those of one table
    /// together. Of a batch that cannot be shared out evenly, the tables take turns.
    pub(crate) fn batch(&mut self, step: u64, batch: usize) -> Vec<Drawn> {
        let n = self.0.len() as u64;
        let (start, end) = ((step - 1) * batch as u64, step * batch as u64);
        let tables = self.0.iter_mut().enumerate();
        let drawn = tables.flat_map(|(table, order)| {
            // Positions table, table + n, table + 2n, ... of all are this table's.
            let before = |position: u64| (position + n - 1 - table as u64) / n;
            (before(start)..before(end)).map(move |position| Drawn {
                table,
                row: order.at(position),
            })
        });
        drawn.collect()
    }
}

/// The order of one table's examples: a fresh permutation every epoch, epochs joined seamlessly.
///
/// Albums (runs of `album` neighbouring examples) are permuted as wholes.
pub(crate) struct Permutations {
    n: usize,
    album: usize,
    seed: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Permutations {
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

/// Pixels of the given examples, varied: u8 `[drawn, h, w, 3]`; all tables are of one size.
pub(crate) fn read_varied(
    tables: &[&PixelTable],
    drawn: &[Drawn],
    augment: &Augment,
    seed: u64,
    step: u64,
) -> Result<Vec<u8>> {
    let size = tables[0].image_bytes();
    let shape = (tables[0].height(), tables[0].width());
    // Neighbouring rows are read at once, so read in order and vary into place.
    let mut by_row: Vec<usize> = (0..drawn.len()).collect();
    by_row.sort_by_key(|&i| (drawn[i].table, drawn[i].row));
    let mut raw = vec![0; drawn.len() * size];
    let mut rest = raw.as_mut_slice();
    for of_table in by_row.chunk_by(|&a, &b| drawn[a].table == drawn[b].table) {
        let rows: Vec<usize> = of_table.iter().map(|&i| drawn[i].row).collect();
        let (here, after) = rest.split_at_mut(rows.len() * size);
        tables[drawn[of_table[0]].table].read(&rows, here)?;
        rest = after;
    }
    let mut place = vec![0; drawn.len()];
    by_row
        .iter()
        .enumerate()
        .for_each(|(sorted_at, &i)| place[i] = sorted_at);
    let mut out = vec![0; drawn.len() * size];
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
        let mut order = Permutations::new(10, 1, 7);
        let batches: Vec<Vec<usize>> = (1..=5).map(|step| order.batch(step, 4)).collect();
        let all: Vec<usize> = batches.concat();
        for epoch in all.chunks_exact(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(all[..10], all[10..]);
        assert_eq!(Permutations::new(10, 1, 7).batch(4, 4), batches[3]);
    }

    #[test]
    fn albums_stay_together_and_none_is_lost() {
        let order = Permutations::new(11, 4, 3).batch(1, 11);
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

    #[test]
    fn every_table_has_its_share_and_none_of_its_rows_is_lost() {
        let sizes = [3, 10, 4];
        let orders = || sizes.map(|n| Permutations::new(n, 1, 7)).into();
        let mut order = Order(orders());
        let batches: Vec<Vec<Drawn>> = (1..=12).map(|step| order.batch(step, 5)).collect();
        for batch in &batches {
            assert_eq!(batch.len(), 5);
            assert!(batch.is_sorted_by_key(|drawn| drawn.table));
        }
        for (table, n) in sizes.into_iter().enumerate() {
            let drawn = batches
                .iter()
                .flatten()
                .filter(|drawn| drawn.table == table);
            let rows: Vec<usize> = drawn.map(|drawn| drawn.row).collect();
            assert_eq!(rows.len(), 12 * 5 / 3);
            assert_eq!(rows, Permutations::new(n, 1, 7).batch(1, 20));
        }
        assert_eq!(Order(orders()).batch(7, 5), batches[6]);
    }
}
