//! Rows of unit length, and their cosines.

use candle_core::{Device, Tensor};
use paint_eval::TOP;
use rayon::prelude::*;

use crate::{Error, Result, error::check_size};

/// Embeddings, each divided by its own length: [n, width].
///
/// For images a batch at a time is enough: nothing here needs all of them at once.
#[derive(Clone, Debug)]
pub struct Embeddings {
    rows: Vec<f32>,
    width: usize,
    tensor: Tensor,
}

impl Embeddings {
    /// `values`: [n, width] row by row, of any length each. `what` names a row in messages, for
    /// instance "image".
    ///
    /// # Errors
    /// If there is no row, the last one is cut off, or a row is zero or not finite.
    pub fn new(what: &'static str, values: &[f32], width: usize) -> Result<Self> {
        if width == 0 || values.is_empty() {
            return Err(Error::Empty { what });
        }
        let n = values.len().div_ceil(width);
        check_size("values of embeddings", n * width, values.len())?;
        let mut rows = values.to_vec();
        rows.par_chunks_exact_mut(width)
            .enumerate()
            .try_for_each(|(row, values)| {
                normalize(values).ok_or(Error::Direction { what, row })
            })?;
        let tensor = Tensor::from_slice(&rows, (n, width), &Device::Cpu)?;
        Ok(Self {
            rows,
            width,
            tensor,
        })
    }

    /// The prompt ensemble: of each class the normalised mean of its normalised embeddings.
    /// `values`: [n, `n_templates`, width].
    ///
    /// The paper averages the cosines instead; the two differ by a factor for each class. This is
    /// CLIP's own way, and that of the public reference code.
    ///
    /// # Errors
    /// As [`Embeddings::new`].
    pub fn ensemble(
        what: &'static str,
        values: &[f32],
        n_templates: usize,
        width: usize,
    ) -> Result<Self> {
        let each = Self::new(what, values, width)?;
        if n_templates == 0 {
            return Err(Error::Empty { what: "templates" });
        }
        let n = each.len().div_ceil(n_templates);
        check_size("prompts of classes", n * n_templates, each.len())?;
        let mut sums = vec![0.0; n * width];
        for (prompt, row) in each.rows.chunks_exact(width).enumerate() {
            let sum = &mut sums[prompt / n_templates * width..][..width];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        Self::new(what, &sums, width)
    }

    /// Number of rows, at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one row"
    )]
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Length of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.width..][..self.width]
    }

    /// Cosines with every row of `others`: [n, others.len()].
    pub(crate) fn cosines(&self, others: &Self) -> Result<Vec<f32>> {
        check_size("width of embeddings", self.width, others.width)?;
        let cosines = paint_nn::linear(&self.tensor, &others.tensor, None)?;
        Ok(cosines.flatten_all()?.to_vec1()?)
    }

    /// For every row the `others` with the highest cosines, best first and lower positions before
    /// equal ones, with these cosines: [n, min([`TOP`], others.len())] each.
    pub(crate) fn nearest(&self, others: &Self) -> Result<(Vec<u32>, Vec<f32>)> {
        let n = others.len();
        let width = n.min(TOP);
        let cosines = self.cosines(others)?;
        let mut best = vec![0; self.len() * width];
        let mut values = vec![0.0; self.len() * width];
        best.par_chunks_exact_mut(width)
            .zip(values.par_chunks_exact_mut(width))
            .zip(cosines.par_chunks_exact(n))
            .for_each(|((best, values), cosines)| top(cosines, best, values));
        Ok((best, values))
    }
}

/// Fills `best` with the positions of the largest cosines and `values` with these.
fn top(cosines: &[f32], best: &mut [u32], values: &mut [f32]) {
    values.fill(f32::NEG_INFINITY);
    let last = best.len() - 1;
    for (position, &cosine) in cosines.iter().enumerate() {
        if cosine <= values[last] {
            continue;
        }
        let mut place = last;
        while place > 0 && cosine > values[place - 1] {
            values[place] = values[place - 1];
            best[place] = best[place - 1];
            place -= 1;
        }
        values[place] = cosine;
        best[place] = position as u32;
    }
}

fn normalize(row: &mut [f32]) -> Option<()> {
    // In f64 the squares of any finite f32 add up without overflow.
    let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let length = squares.sqrt();
    if !(length.is_finite() && length > 0.0) {
        return None;
    }
    row.iter_mut()
        .for_each(|x| *x = (f64::from(*x) / length) as f32);
    Some(())
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Sixteen sums at a time, so that the compiler can use vectors without reordering.
    let mut sums = [0.0_f32; 16];
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a_parts
        .remainder()
        .iter()
        .zip(b_parts.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (a, b) in a_parts.zip(b_parts) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_unit_length_each_its_own() {
        let e = Embeddings::new("image", &[3.0, 4.0, 0.0, 1e-30, 3e38, 0.0], 2).unwrap();
        assert_eq!(
            [e.row(0), e.row(1), e.row(2)],
            [[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]
        );
    }

    #[test]
    fn an_ensemble_is_the_direction_of_the_mean_of_directions() {
        let values = [10.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 7.0];
        let e = Embeddings::ensemble("class", &values, 2, 2).unwrap();
        let half = 0.5_f32.sqrt();
        assert!((e.row(0)[0] - half).abs() < 1e-6 && (e.row(0)[1] - half).abs() < 1e-6);
        assert_eq!(e.row(1), [0.0, 1.0]);
        assert!(Embeddings::ensemble("class", &values, 3, 2).is_err());
    }

    #[test]
    fn the_nearest_come_first_and_ties_by_position() {
        let (mut best, mut values) = ([0; 5], [0.0; 5]);
        top(
            &[0.1, 0.9, 0.9, -1.0, 0.5, 0.9, 0.7, 0.1],
            &mut best,
            &mut values,
        );
        assert_eq!(best, [1, 2, 5, 6, 4]);
        assert_eq!(values, [0.9, 0.9, 0.9, 0.7, 0.5]);
        let mut best = [0; 2];
        top(&[-1.0, -1.0, -1.0], &mut best, &mut [0.0; 2]);
        assert_eq!(best, [0, 1]);
    }

    #[test]
    fn bad_rows_are_named() {
        let check = |values: &[f32], expected: &str| {
            let error = Embeddings::new("image", values, 2).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[1.0, 0.0, 0.0, 0.0], "image 1: the embedding is zero");
        check(&[1.0, f32::NAN], "image 0");
        check(&[1.0, f32::INFINITY], "image 0");
        check(&[1.0, 0.0, 1.0], "expected 4, found 3");
        check(&[], "no image");
    }

    #[test]
    fn products_of_odd_lengths() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(dot(&a, &a), (0..37).map(|i| (i * i) as f32).sum::<f32>());
    }
}
