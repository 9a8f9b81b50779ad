//! Residual addition on all cores.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::slices::{for_row_pieces, values};

/// `a + b` for tensors of one shape.
///
/// # Errors
/// When the shapes differ or a tensor is not contiguous `f32` on the CPU.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        bail!("add: shapes differ, {:?} and {:?}", a.dims(), b.dims())
    }
    a.apply_op2(b, Add)
}

struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "paint-add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (a, b) = (values(a, a_layout)?, values(b, b_layout)?);
        let mut out = vec![0.0; a.len()];
        for_row_pieces(
            &mut out,
            1,
            #[inline(always)]
            |first, out| {
                let (a, b) = (&a[first..first + out.len()], &b[first..first + out.len()]);
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = a + b;
                }
            },
        );
        Ok((CpuStorage::F32(out), a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(grad.clone())))
    }
}
