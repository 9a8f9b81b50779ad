//! One safe door to the `gemm` crate's matrix product.

use gemm::Parallelism;

use crate::slices::n_threads;

/// A matrix over a slice: element `(i, j)` is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, `row_stride` apart.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let matrix = Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        };
        let empty = rows == 0 || columns == 0;
        assert!(
            empty || matrix.last() < data.len(),
            "matrix outside its slice"
        );
        matrix
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The transposed view.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Position of the last element.
    fn last(&self) -> usize {
        self.rows.saturating_sub(1) * self.row_stride
            + self.columns.saturating_sub(1) * self.column_stride
    }
}

/// Rows of `columns` values without gaps.
pub(crate) fn matrix(values: &[f32], columns: usize) -> Matrix<'_> {
    let rows = values.len() / columns.max(1);
    assert_eq!(rows * columns, values.len(), "whole rows of a matrix");
    Matrix::new(values, rows, columns, columns)
}

/// On how many threads a product runs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Threads {
    One,
    All,
}

/// `out = scale * lhs · rhs`; with `accumulate`, added to what `out` holds.
///
/// `out` holds rows of `rhs.columns` values, `out_stride` apart.
pub(crate) fn matmul(
    out: &mut [f32],
    out_stride: usize,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    scale: f32,
    accumulate: bool,
    threads: Threads,
) {
    let (m, n) = (lhs.rows, rhs.columns);
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= out_stride || m == 1, "rows of the product overlap");
    assert!(
        (m - 1) * out_stride + n <= out.len(),
        "product outside its slice"
    );
    #[expect(unsafe_code, reason = "the gemm crate's interface is raw pointers")]
    // SAFETY: the places (i, j) lie inside `out` by the assertion above, are distinct since
    // n <= out_stride, and hold values; `out` is borrowed mutably, so nothing else sees them.
    unsafe {
        raw(
            out.as_mut_ptr(),
            out_stride,
            lhs,
            rhs,
            scale,
            accumulate,
            threads,
        );
    }
}

/// `lhs · rhs` in a new vector, which is never cleared first: row by row, no gaps.
pub(crate) fn product(lhs: Matrix<'_>, rhs: Matrix<'_>, threads: Threads) -> Vec<f32> {
    let (m, n) = (lhs.rows, rhs.columns);
    if m * n == 0 || lhs.columns == 0 {
        return vec![0.0; m * n];
    }
    let mut out = Vec::with_capacity(m * n);
    #[expect(unsafe_code, reason = "gemm writes what clearing would write in vain")]
    // SAFETY: the vector has room for the m · n places i * n + j, which are distinct. Without
    // `accumulate` gemm writes every one of them and reads none, so that all m · n values are
    // set when the length is.
    unsafe {
        raw(out.as_mut_ptr(), n, lhs, rhs, 1.0, false, threads);
        out.set_len(m * n);
    }
    out
}

#[expect(unsafe_code, reason = "the gemm crate's interface is raw pointers")]
/// # Safety
/// `out.add(i * out_stride + j)` must be valid for writing, and for reading if `accumulate`,
/// for every row i of `lhs` and column j of `rhs`, at distinct places that nothing else uses.
unsafe fn raw(
    out: *mut f32,
    out_stride: usize,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    scale: f32,
    accumulate: bool,
    threads: Threads,
) {
    assert_eq!(lhs.columns, rhs.rows, "inner sizes of a matrix product");
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => match n_threads() {
            1 => Parallelism::None,
            n => Parallelism::Rayon(n),
        },
    };
    // SAFETY: gemm reads `lhs` and `rhs` only at (i, j) below their rows and columns, which
    // `Matrix::new` proved to lie inside their slices (a transposed view visits the same
    // places; a matrix without rows or columns is not read). What it writes, and for many
    // columns of `lhs` reads back after writing it, is the caller's promise.
    unsafe {
        gemm::gemm(
            lhs.rows,
            rhs.columns,
            lhs.columns,
            out,
            1,
            out_stride as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
