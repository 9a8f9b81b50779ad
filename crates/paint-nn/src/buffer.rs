//! Memory for values that are all written before any is read: kept on the thread that drops it for
//! the next such values, since clearing new memory for every layer takes a twentieth of a small
//! model's time.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Values that a thread keeps, 64 MB: those of the layers of a small model's part of a batch.
const MOST_VALUES: usize = 1 << 24;

/// Buffers that a thread keeps.
const MOST_BUFFERS: usize = 64;

thread_local! {
    /// The last dropped is the last.
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
        // The smallest that fits, of equal ones the last dropped.
        let kept = FREE.with_borrow_mut(|free| {
            let fits = |n: usize| n >= len && n / 2 <= len;
            let fitting = free.iter().map(Vec::len).enumerate().rev();
            let (place, _) = fitting.filter(|(_, n)| fits(*n)).min_by_key(|(_, n)| *n)?;
            Some(free.remove(place))
        });
        let mut values = kept.unwrap_or_else(|| vec![0.0; len]);
        // Who reads what was not written is found out.
        if cfg!(test) {
            values.fill(f32::NAN);
        }
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
        if values.is_empty() {
            return;
        }
        // A thread that is ending keeps nothing.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            free.push(values);
            let mut n_values: usize = free.iter().map(Vec::len).sum();
            while n_values > MOST_VALUES || free.len() > MOST_BUFFERS {
                n_values -= free.remove(0).len();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, whose buffers nobody else takes.
    fn alone<T: Send + 'static>(work: fn() -> T) -> T {
        std::thread::spawn(work).join().unwrap()
    }

    fn kept() -> Vec<usize> {
        FREE.with_borrow(|free| free.iter().map(Vec::len).collect())
    }

    #[test]
    fn what_is_dropped_is_used_again_where_it_fits() {
        alone(|| {
            drop([Buffer::of(100), Buffer::of(70)]);
            assert_eq!(kept(), [100, 70]);
            for (len, left) in [
                (101, vec![100, 70]),
                (30, vec![100, 70]),
                (60, vec![100]),
                (80, vec![70]),
            ] {
                let buffer = Buffer::of(len);
                assert_eq!((buffer.len(), kept()), (len, left), "{len}");
                // Not given back: the next finds the same.
                std::mem::forget(buffer);
                FREE.set(vec![vec![0.0; 100], vec![0.0; 70]]);
            }
        });
    }

    #[test]
    fn a_thread_keeps_what_it_dropped_last_and_no_more_than_it_may() {
        let kept = alone(|| {
            drop([
                Buffer::of(5),
                Buffer::of(MOST_VALUES - 3),
                Buffer::of(3),
                Buffer::of(0),
            ]);
            let large = kept();
            drop((1..=MOST_BUFFERS + 9).map(Buffer::of).collect::<Vec<_>>());
            (large, kept())
        });
        assert_eq!(kept.0, [MOST_VALUES - 3, 3]);
        assert_eq!(kept.1, (10..=MOST_BUFFERS + 9).collect::<Vec<_>>());
    }
}
