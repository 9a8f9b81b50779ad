//! A vision transformer's token sequence: class token first, positions added.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::slices::{for_row_pieces, reduce_rows, tensor, values, with_values};

/// `[class; patches] + position`, image by image.
///
/// Shapes: `patches: [batch, n, d]`, `class: [d]`, `position: [n + 1, d]`, result
/// `[batch, n + 1, d]`.
///
/// # Errors
/// When shapes do not fit or a tensor is not `f32` on the CPU.
pub fn embed_with_class_token(
    patches: &Tensor,
    class: &Tensor,
    position: &Tensor,
) -> Result<Tensor> {
    let (_, n, d) = patches.dims3()?;
    if class.dims() != [d] || position.dims() != [n + 1, d] {
        bail!(
            "embed: patches are {:?}, class token {:?}, positions {:?}",
            patches.dims(),
            class.dims(),
            position.dims()
        )
    }
    patches.contiguous()?.apply_op3(class, position, Embed)
}

struct Embed;

impl CustomOp3 for Embed {
    fn name(&self) -> &'static str {
        "paint-embed"
    }

    fn cpu_fwd(
        &self,
        patches: &CpuStorage,
        patches_layout: &Layout,
        class: &CpuStorage,
        class_layout: &Layout,
        position: &CpuStorage,
        position_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, n, d) = patches_layout.shape().dims3()?;
        let patches = values(patches, patches_layout)?;
        let (class, position) = (
            values(class, class_layout)?,
            values(position, position_layout)?,
        );
        let (from, to) = (n * d, (n + 1) * d);
        let mut out = vec![0.0; batch * to];
        for_row_pieces(
            &mut out,
            to,
            #[inline(always)]
            |first, out| {
                for (i, out) in out.chunks_exact_mut(to).enumerate() {
                    let (head, tail) = out.split_at_mut(d);
                    head.copy_from_slice(class);
                    tail.copy_from_slice(&patches[(first + i) * from..][..from]);
                    for (out, p) in out.iter_mut().zip(position) {
                        *out += p;
                    }
                }
            },
        );
        Ok((CpuStorage::F32(out), Shape::from((batch, n + 1, d))))
    }

    fn bwd(
        &self,
        patches: &Tensor,
        _: &Tensor,
        position: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, n, d) = patches.dims3()?;
        let to = (n + 1) * d;
        let sums = with_values(grad, |grad| {
            Ok(reduce_rows(
                batch,
                to,
                to,
                #[inline(always)]
                |range, sum| {
                    for image in grad[range.start * to..range.end * to].chunks_exact(to) {
                        for (s, g) in sum.iter_mut().zip(image) {
                            *s += g;
                        }
                    }
                },
            ))
        })?;
        let class = tensor(sums[..d].to_vec(), d)?;
        let grad_patches = match patches.track_op() {
            true => Some(grad.narrow(1, 1, n)?.contiguous()?),
            false => None,
        };
        Ok((
            grad_patches,
            Some(class),
            Some(tensor(sums, position.shape().clone())?),
        ))
    }
}
