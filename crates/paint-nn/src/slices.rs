//! Between candle's storages and plain slices, and between threads.

use std::cell::Cell;
use std::ops::Deref;

use candle_core::{CpuStorage, Layout, Result, Shape, Storage, Tensor, bail};
use pulp::Arch;
use rayon::prelude::*;

/// The contiguous `f32` values behind a custom operation's argument.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!(
            "expected a contiguous tensor, got strides {:?}",
            layout.stride()
        )
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Calls `f` with the contiguous `f32` values of `tensor`.
pub(crate) fn with_values<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => f(values(cpu, layout)?),
        _ => bail!("this operation runs on the CPU only"),
    }
}

/// The values of a tensor, readable as a slice for as long as this lives.
pub(crate) struct Values<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    start: usize,
    end: usize,
}

impl<'a> Values<'a> {
    pub(crate) fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cpu(cpu) = &*storage else {
            bail!("this operation runs on the CPU only")
        };
        values(cpu, layout)?;
        let start = layout.start_offset();
        let end = start + layout.shape().elem_count();
        Ok(Self {
            storage: Box::new(storage),
            start,
            end,
        })
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.end],
            _ => &[],
        }
    }
}

/// A new tensor on the CPU.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &candle_core::Device::Cpu)
}

/// Rows and columns of a tensor seen as a matrix over its last dimension.
pub(crate) fn rows_of(dims: &[usize]) -> Result<(usize, usize)> {
    match dims.split_last() {
        Some((&columns, leading)) => Ok((leading.iter().product(), columns)),
        None => bail!("expected at least one dimension, got a scalar"),
    }
}

/// Runs `f` compiled for the widest vectors this processor has, with all that is inlined into it:
/// closures and functions within need `#[inline(always)]`.
#[inline(always)]
pub fn vectorized<T>(f: impl FnOnce() -> T) -> T {
    struct Op<F>(F);
    impl<T, F: FnOnce() -> T> pulp::WithSimd for Op<F> {
        type Output = T;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> T {
            (self.0)()
        }
    }
    Arch::new().dispatch(Op(f))
}

/// Sum of `term` over pairs of values in sixteen lanes, so that it vectorises; the order is fixed.
///
/// # Panics
/// If there are not as many values in `a` as in `b`.
#[inline(always)]
pub fn lane_sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    assert_eq!(a.len(), b.len(), "pairs of values");
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut lanes = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(a, b);
        }
    }
    let mut total = 0.0;
    for (&a, &b) in a_tail.iter().zip(b_tail) {
        total += term(a, b);
    }
    for lane in lanes {
        total += lane;
    }
    total
}

/// The largest value, in sixteen lanes as well; negative infinity for none. NaN is passed over.
#[inline(always)]
pub fn lane_max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, tail) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    let mut max = f32::NEG_INFINITY;
    for &value in tail {
        max = larger(max, value);
    }
    for lane in lanes {
        max = larger(max, lane);
    }
    max
}

/// Elements below which threads cost more than they bring.
const PARALLEL_FROM: usize = 1 << 14;

thread_local! {
    static SERIAL: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with every operation in it on this thread alone.
pub(crate) fn serially<T>(f: impl FnOnce() -> T) -> T {
    /// Puts it back, also if `f` panics: the thread is used again.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SERIAL.set(self.0);
        }
    }
    let _restore = Restore(SERIAL.replace(true));
    f()
}

/// On how many threads an operation that is begun here may run.
pub(crate) fn n_threads() -> usize {
    match SERIAL.get() {
        true => 1,
        false => rayon::current_num_threads(),
    }
}

/// How many pieces a pass over `elements` values is cut into.
pub(crate) fn n_pieces(elements: usize) -> usize {
    match elements {
        0..PARALLEL_FROM => 1,
        _ => n_threads(),
    }
}

/// Cuts `out` into one run of whole rows per thread and calls `f(first_row, rows)`
/// on each. The cut depends on the sizes and the number of threads alone.
pub(crate) fn for_row_pieces(
    out: &mut [f32],
    columns: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) {
    if out.is_empty() {
        return;
    }
    let rows = out.len() / columns;
    let per_piece = rows.div_ceil(n_pieces(out.len()));
    if per_piece == rows {
        return vectorized(
            #[inline(always)]
            || f(0, out),
        );
    }
    out.par_chunks_mut(per_piece * columns)
        .enumerate()
        .for_each(|(piece, chunk)| {
            vectorized(
                #[inline(always)]
                || f(piece * per_piece, chunk),
            )
        });
}

/// Sums `terms(rows_of_this_piece, accumulator)` over pieces of the rows `0..rows`,
/// in a fixed order.
pub(crate) fn reduce_rows(
    rows: usize,
    columns: usize,
    width: usize,
    terms: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    let per_piece = rows.div_ceil(n_pieces(rows * columns)).max(1);
    let partial: Vec<Vec<f32>> = (0..rows.div_ceil(per_piece))
        .into_par_iter()
        .map(|piece| {
            let mut sum = vec![0.0; width];
            let range = piece * per_piece..((piece + 1) * per_piece).min(rows);
            vectorized(
                #[inline(always)]
                || terms(range, &mut sum),
            );
            sum
        })
        .collect();
    let mut partial = partial.into_iter();
    let mut total = partial.next().unwrap_or_else(|| vec![0.0; width]);
    for part in partial {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    total
}

/// The sum of every column.
pub(crate) fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    reduce_rows(
        values.len() / columns.max(1),
        columns,
        columns,
        #[inline(always)]
        |range, sum| {
            let rows = &values[range.start * columns..range.end * columns];
            for row in rows.chunks_exact(columns) {
                for (s, v) in sum.iter_mut().zip(row) {
                    *s += v;
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_their_tail_are_all_looked_at() {
        for n in [0, 1, 15, 16, 17, 33] {
            let ones = vec![1.0; n];
            assert_eq!(lane_sum(&ones, &ones, |a, b| a + b), 2.0 * n as f32);
            for place in 0..n {
                let mut values = vec![-3.0; n];
                values[place] = 200.0;
                assert_eq!(lane_max(&values), 200.0, "at {place} of {n}");
                values[(place + 1) % n] = f32::NAN;
                let expected = if n == 1 { f32::NEG_INFINITY } else { 200.0 };
                assert_eq!(lane_max(&values), expected, "NaN behind {place} of {n}");
            }
        }
        assert_eq!(lane_max(&[]), f32::NEG_INFINITY);
    }
}
