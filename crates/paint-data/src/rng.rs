//! Seeded random numbers that are the same on every machine and in every version.

/// A small, fast generator whose output is part of this crate's contract.
///
/// xoshiro256++ (Blackman and Vigna 2019), seeded by SplitMix64. It is owned
/// here because results must not change when a dependency does. Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator for this seed; every seed, 0 too, is a good one.
    pub fn new(seed: u64) -> Self {
        Self::derive(seed, &[])
    }

    /// An independent generator for each `(seed, stream)`, so that, for example, the
    /// draws of image 7 in epoch 3 do not depend on which thread made image 6.
    ///
    /// `derive(seed, &[])` is `new(seed)`.
    pub fn derive(seed: u64, stream: &[u64]) -> Self {
        let mut mix = seed;
        for &number in stream {
            // The constant keeps [0] apart from [] and [0, 0] from [0].
            mix = split_mix(&mut mix) ^ number.wrapping_mul(0xd134_2543_de82_ef95);
            mix = mix.wrapping_add(0x2545_f491_4f6c_dd1d);
        }
        Self {
            state: std::array::from_fn(|_| split_mix(&mut mix)),
        }
    }

    /// The generator at a position saved by [`Rng::state`].
    pub fn from_state(state: [u64; 4]) -> Self {
        // All zeros is the one state that xoshiro never leaves.
        if state == [0; 4] {
            Self::new(0)
        } else {
            Self { state }
        }
    }

    /// The present position, to be stored and continued from.
    pub fn state(&self) -> [u64; 4] {
        self.state
    }

    /// 64 uniform bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A uniform number in `0..n`, without bias (Lemire 2019).
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "Rng::below needs a range with at least one number");
        let n = n as u64;
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            if wide as u64 >= threshold {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Uniform in [0, 1), in steps of 2⁻²⁴.
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform between `low` and `high`; `low` itself if they are equal.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Standard normal (Box and Muller 1958), from two uniforms of 53 bits.
    pub fn normal(&mut self) -> f32 {
        // 1 - u is in (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }

    /// True with probability `p`; never for 0, always for 1.
    #[inline]
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// One of the items, each as likely.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts the items in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Uniform in [0, 1) with 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_and_xoshiro_give_the_published_numbers() {
        // SplitMix64 from 1234567: the list of Rosetta Code and of the JDK's SplittableRandom.
        let mut state = 1_234_567;
        let got: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(
            got,
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423
            ]
        );
        // xoshiro256++ from state 1, 2, 3, 4: the test vector of the crate rand_xoshiro.
        let mut rng = Rng::from_state([1, 2, 3, 4]);
        let got: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(
            got,
            [41943041, 58720359, 3588806011781223, 3591011842654386]
        );
    }

    #[test]
    fn streams_differ_and_state_continues() {
        let streams: [&[u64]; 6] = [&[], &[0], &[0, 0], &[1], &[0, 1], &[1, 0]];
        let first: std::collections::BTreeSet<u64> = streams
            .iter()
            .map(|s| Rng::derive(3, s).next_u64())
            .collect();
        assert_eq!(first.len(), streams.len());
        let mut a = Rng::new(5);
        a.next_u64();
        let mut b = Rng::from_state(a.state());
        assert_eq!(a.next_u64(), b.next_u64());
        assert_ne!(Rng::from_state([0; 4]).next_u64(), 0);
    }

    #[test]
    fn draws_have_the_right_shape() {
        let mut rng = Rng::new(0);
        let mut counts = [0usize; 3];
        (0..30_000).for_each(|_| counts[rng.below(3)] += 1);
        assert!(
            counts.iter().all(|&c| (9_600..10_400).contains(&c)),
            "{counts:?}"
        );
        let normals: Vec<f64> = (0..50_000).map(|_| f64::from(rng.normal())).collect();
        let mean = normals.iter().sum::<f64>() / 50_000.0;
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 50_000.0;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03,
            "{mean} {variance}"
        );
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.uniform())));
        assert!((0..1000).all(|_| !rng.chance(0.0) && rng.chance(1.0)));
    }

    #[test]
    fn shuffle_keeps_every_item_and_reaches_every_order() {
        let mut orders = std::collections::BTreeSet::new();
        let mut rng = Rng::new(1);
        for _ in 0..200 {
            let mut items = [0, 1, 2];
            rng.shuffle(&mut items);
            orders.insert(items);
        }
        assert_eq!(orders.len(), 6);
        rng.shuffle::<u8>(&mut []);
    }
}
