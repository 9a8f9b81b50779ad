//! Task arithmetic: adding, scaling and negating what fine-tuning changed.

use crate::{
    Result, interpolate_values,
    merge::{check_coefficient, check_lengths, fill, moved, task_value},
};

/// `out = zero_shot + Σ coefficient · (fine_tuned - zero_shot)` over the `tasks`, pairs of
/// coefficient and fine-tuned values.
///
/// Ilharco et al. 2023, "Editing models with task arithmetic", arXiv:2212.04089; with several
/// tasks this is PAINT's parallel patching (arXiv:2208.05592). Any finite coefficient
/// is allowed: 1 adds a task, -1 negates it. A task with coefficient 0 is not read.
///
/// One task with a coefficient other than 0 is exactly [`interpolate_values`]. Several are summed
/// in f64 in the order given and rounded once, so that another order changes a value by at most
/// its last place.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) if the slices differ in length,
/// [`Error::Setting`](crate::Error::Setting) if a coefficient is not finite.
pub fn add_task_vectors(zero_shot: &[f32], tasks: &[(f64, &[f32])], out: &mut [f32]) -> Result<()> {
    let fine_tuned: Vec<_> = tasks.iter().map(|&(_, values)| values).collect();
    check_lengths(zero_shot, &fine_tuned, out)?;
    for (task, &(coefficient, _)) in tasks.iter().enumerate() {
        check_coefficient(format!("coefficient {task}"), coefficient)?;
    }
    let read: Vec<_> = tasks.iter().filter(|(c, _)| *c != 0.0).collect();
    if let [(coefficient, fine_tuned)] = read[..] {
        return interpolate_values(zero_shot, fine_tuned, *coefficient, out);
    }
    fill(out, |i| {
        let change = |(c, values): &&(f64, &[f32])| c * task_value(zero_shot[i], values[i]);
        moved(zero_shot[i], read.iter().map(change).sum())
    });
    Ok(())
}
