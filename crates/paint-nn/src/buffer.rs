//! Memory for values that are all written before any is read: kept on its thread for the next such
//! values, since clearing new memory for every layer takes a twentieth of a small model's time.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Values that a thread keeps, 128 MB: those of the layers of a small model's part of a batch.
const MOST_KEPT: usize = 1 << 25;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Values to be written over, whatever they are.
pub(crate) struct Buffer {
    /// At least `len`.
    values: Vec<f32>,
    len: usize,
}

impl Buffer {
    pub(crate) fn of(len: usize) -> Self {
        let kept = FREE.with_borrow_mut(|free| {
            let fits = |values: &Vec<f32>| (len..=2 * len).contains(&values.len());
            let place = free.iter().position(fits)?;
            Some(free.swap_remove(place))
        });
        let values = kept.unwrap_or_else(|| vec![0.0; len]);
        Self { values, len }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // A thread that is ending keeps nothing.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.iter().map(Vec::len).sum::<usize>() + values.len() <= MOST_KEPT {
                free.push(values);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_used_again_where_it_fits() {
        // A thread of its own, whose buffers nobody else takes.
        let places = std::thread::spawn(|| {
            let mut first = Buffer::of(100);
            first.fill(7.0);
            let place = first.as_ptr();
            drop(first);
            let smaller = Buffer::of(60);
            assert_eq!(smaller.len(), 60);
            let other = Buffer::of(60);
            let too_small = Buffer::of(49);
            (
                smaller.as_ptr() == place,
                other.as_ptr() == place,
                too_small.as_ptr() == place,
            )
        });
        assert_eq!(places.join().unwrap(), (true, false, false));
    }

    #[test]
    fn a_thread_keeps_no_more_than_it_may() {
        let kept = std::thread::spawn(|| {
            let large = [Buffer::of(MOST_KEPT), Buffer::of(1)];
            drop(large);
            FREE.with_borrow(|free| free.iter().map(Vec::len).collect::<Vec<_>>())
        });
        assert_eq!(kept.join().unwrap(), [MOST_KEPT]);
    }
}
