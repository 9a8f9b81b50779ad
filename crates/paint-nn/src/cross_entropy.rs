//! Cross-entropy with label smoothing, from logits.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::activation::exp;
use crate::slices::{for_row_pieces, lane_max, lane_sum, tensor, values, with_values};

/// Mean over the rows of `−Σ_c t_c · log softmax(logits)_c`, a scalar, where the target `t`
/// is `1 − label_smoothing` on the row's class plus `label_smoothing / n_classes` on all.
///
/// Shapes: `logits: [n, n_classes]`, `targets: n` class indices.
///
/// # Errors
/// When lengths do not fit, a target is no class, or `label_smoothing` is not in `[0, 1)`.
pub fn cross_entropy(logits: &Tensor, targets: &[u32], label_smoothing: f64) -> Result<Tensor> {
    let (n, n_classes) = logits.dims2()?;
    if targets.len() != n || n == 0 {
        bail!(
            "cross_entropy: {n} rows of logits, {} targets",
            targets.len()
        )
    }
    if let Some(target) = targets.iter().find(|&&t| t as usize >= n_classes) {
        bail!("cross_entropy: target {target} with {n_classes} classes")
    }
    if !(0.0..1.0).contains(&label_smoothing) {
        bail!("cross_entropy: label smoothing {label_smoothing} is not in [0, 1)")
    }
    let op = CrossEntropy {
        targets: targets.to_vec(),
        smoothing: label_smoothing as f32,
    };
    logits.contiguous()?.apply_op1(op)
}

struct CrossEntropy {
    targets: Vec<u32>,
    smoothing: f32,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "paint-cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = values(logits, layout)?;
        let n_classes = logits.len() / self.targets.len();
        let mut losses = vec![0.0; self.targets.len()];
        for_row_pieces(
            &mut losses,
            1,
            #[inline(always)]
            |first, losses| {
                let rows = logits[first * n_classes..].chunks_exact(n_classes);
                for ((loss, row), &target) in
                    losses.iter_mut().zip(rows).zip(&self.targets[first..])
                {
                    let max = lane_max(row);
                    let log_sum = max + lane_sum(row, row, |z, _| exp(z - max)).ln();
                    let mean = lane_sum(row, row, |z, _| z) / n_classes as f32;
                    let expected =
                        (1.0 - self.smoothing) * row[target as usize] + self.smoothing * mean;
                    *loss = log_sum - expected;
                }
            },
        );
        let total: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        Ok((
            CpuStorage::F32(vec![(total / losses.len() as f64) as f32]),
            Shape::from(()),
        ))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (n, n_classes) = logits.dims2()?;
        let scale = grad.to_scalar::<f32>()? / n as f32;
        let smooth = self.smoothing / n_classes as f32;
        let grad = with_values(logits, |logits| {
            let mut out = vec![0.0; logits.len()];
            for_row_pieces(
                &mut out,
                n_classes,
                #[inline(always)]
                |first, out| {
                    let rows = logits[first * n_classes..].chunks_exact(n_classes);
                    let targets = &self.targets[first..];
                    for ((out, row), &target) in
                        out.chunks_exact_mut(n_classes).zip(rows).zip(targets)
                    {
                        let max = lane_max(row);
                        for (o, z) in out.iter_mut().zip(row) {
                            *o = exp(z - max);
                        }
                        let inverse = 1.0 / lane_sum(out, out, |o, _| o);
                        for o in out.iter_mut() {
                            *o = scale * (*o * inverse - smooth);
                        }
                        out[target as usize] -= scale * (1.0 - self.smoothing);
                    }
                },
            );
            tensor(out, (n, n_classes))
        })?;
        Ok(Some(grad))
    }
}
