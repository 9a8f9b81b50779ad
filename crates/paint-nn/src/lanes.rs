//! Whole pieces of work side by side, one thread each.
//!
//! A small model's operations are too short to be cut: waking a second thread for each of
//! them costs more than it brings. Parts of a batch, each going through all operations on
//! one thread, keep the cores busy without waiting for each other, and the result does not
//! depend on how many threads there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// As many threads as rayon has, each a pool of its own, so that operations run from them
/// stay on them.
#[derive(Debug)]
pub struct Lanes {
    pools: Vec<rayon::ThreadPool>,
}

impl Lanes {
    /// One lane for every thread of rayon's current pool.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new() -> Result<Self, rayon::ThreadPoolBuildError> {
        let lane = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        Ok(Self {
            pools: (0..rayon::current_num_threads())
                .map(lane)
                .collect::<Result<_, _>>()?,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Calls `work` on every item, the next item on the next free lane; results in the order of
    /// the items. A single item has all threads.
    pub fn map<I: Send, T: Send>(&self, items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
        let n = items.len();
        if n == 1 {
            return items.into_iter().map(work).collect();
        }
        let items: Vec<Mutex<Option<I>>> = items
            .into_iter()
            .map(|item| Mutex::new(Some(item)))
            .collect();
        let results: Vec<Mutex<Option<T>>> = (0..n).map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let drain = || {
            while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < n) {
                let item = items[i]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let result = item.map(&work);
                *results[i].lock().unwrap_or_else(PoisonError::into_inner) = result;
            }
        };
        std::thread::scope(|scope| {
            for pool in &self.pools[..self.pools.len().min(n)] {
                scope.spawn(|| pool.install(drain));
            }
        });
        let results = results
            .into_iter()
            .map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner));
        results
            .map(|r| r.expect("every item was worked on, or its panic has gone up"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_work_stays_on_its_thread() {
        let lanes = Lanes::new().unwrap();
        let results = lanes.map((0..50).collect(), |i: usize| {
            (i * i, rayon::current_num_threads())
        });
        assert_eq!(results, (0..50).map(|i| (i * i, 1)).collect::<Vec<_>>());
        assert!(lanes.map(Vec::<u8>::new(), |x| x).is_empty());
        let alone = lanes.map(vec![3], |i| (i, rayon::current_num_threads()));
        assert_eq!(alone, [(3, rayon::current_num_threads())]);
    }
}
