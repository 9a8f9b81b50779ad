//! DARE: most of a task vector dropped at random, the rest scaled up.

use crate::{
    Error, Result, add_task_vectors,
    merge::{check_lengths, fill, moved, task_value},
};
use sha2::{Digest, Sha256};

/// Settings of [`dare`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dare {
    /// Probability that a value is dropped, in [0, 1).
    pub drop: f64,
    /// Seed; give every task one of its own, or all drop the same values.
    pub seed: u64,
}

/// `out = zero_shot + Σ (sparse - zero_shot)`, with [`dare`] making a sparse tensor of each of
/// `fine_tuned`; the i-th, from 0, has the seed `settings.seed + i`.
///
/// # Errors
/// As [`dare`].
pub fn dare_sum(
    tensor: &str,
    zero_shot: &[f32],
    fine_tuned: &[&[f32]],
    settings: &Dare,
    out: &mut [f32],
) -> Result<()> {
    let mut sparse = Vec::with_capacity(fine_tuned.len());
    for (i, fine_tuned) in (0..).zip(fine_tuned) {
        let seed = settings.seed.wrapping_add(i);
        let mut values = vec![0.0; fine_tuned.len()];
        dare(
            tensor,
            zero_shot,
            fine_tuned,
            &Dare { seed, ..*settings },
            &mut values,
        )?;
        sparse.push(values);
    }
    let tasks: Vec<_> = sparse.iter().map(|v| (1.0, v.as_slice())).collect();
    add_task_vectors(zero_shot, &tasks, out)
}

/// A fine-tuned tensor whose task vector is sparse: of `fine_tuned - zero_shot` each value is
/// dropped with probability `drop`, and what stays is divided by `1 - drop`, so that the expected
/// tensor is the fine-tuned one.
///
/// Yu et al. 2024, "Language models are super Mario", arXiv:2311.03099, section 3. The result takes
/// the place of the fine-tuned tensor in any merge ([`add_task_vectors`](crate::add_task_vectors),
/// [`ties`](crate::ties())).
///
/// Which values are dropped follows from `seed`, the tensor's name and the value's position alone:
/// never from the order of calls, the threads or the other tensors.
///
/// # Errors
/// [`Error::Length`] if the slices differ in length, [`Error::Setting`] if `drop` is not in [0, 1).
pub fn dare(
    tensor: &str,
    zero_shot: &[f32],
    fine_tuned: &[f32],
    settings: &Dare,
    out: &mut [f32],
) -> Result<()> {
    check_lengths(zero_shot, &[fine_tuned], out)?;
    let Dare { drop, seed } = *settings;
    if !(0.0..1.0).contains(&drop) {
        return Err(Error::Setting {
            name: "drop".to_owned(),
            value: drop,
            allowed: "at least 0 and below 1",
        });
    }
    if drop == 0.0 {
        out.copy_from_slice(fine_tuned);
        return Ok(());
    }
    let key = key(tensor, seed);
    fill(out, |i| {
        if unit(key, i as u64) < drop {
            zero_shot[i]
        } else {
            let change = task_value(zero_shot[i], fine_tuned[i]) / (1.0 - drop);
            moved(zero_shot[i], change)
        }
    });
    Ok(())
}

/// A number for the tensor's random stream.
fn key(tensor: &str, seed: u64) -> u64 {
    let hash = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(tensor)
        .finalize();
    hash.iter()
        .take(8)
        .fold(0, |key, &byte| key << 8 | u64::from(byte))
}

/// Number `i` of the stream `key`, in [0, 1): SplitMix64 (Steele et al. 2014), which reaches any
/// position at once.
fn unit(key: u64, i: u64) -> f64 {
    let z = key.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
