//! One safe door to the `gemm` crate's matrix product.

use gemm::Parallelism;

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
        assert!(
            matrix.last() < data.len().max(1),
            "matrix outside its slice"
        );
        matrix
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

/// On how many threads a product runs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Threads {
    One,
    All,
}

/// `out = scale * lhs · rhs`, or `out += scale * lhs · rhs` when `accumulate`.
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
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    assert_eq!(k, rhs.rows, "inner sizes of a matrix product");
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= out_stride || m == 1, "rows of the product overlap");
    assert!(
        (m - 1) * out_stride + n <= out.len(),
        "product outside its slice"
    );
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    #[expect(unsafe_code, reason = "the gemm crate's interface is raw pointers")]
    // SAFETY: gemm reads `lhs` and `rhs` only at (i, j) below their rows and columns, which
    // `Matrix::new` proved to lie inside their slices (a transposed view visits the same
    // places; an empty slice has k = 0 and is not read). It writes `out` only at
    // `i * out_stride + j` with i < m, j < n, which the assertion above bounds, at distinct
    // places since n <= out_stride. `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
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
