//! The two activations of the CLIP family and the exponential they share.

/// The non-linearity of a transformer's MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`, OpenAI's CLIP models.
    QuickGelu,
    /// `x · Φ(x)` with the exact error function, most LAION models.
    Gelu,
}

impl Activation {
    /// The activated value.
    #[inline(always)]
    pub(crate) fn value(self, x: f32) -> f32 {
        match self {
            Self::QuickGelu => x * sigmoid(1.702 * x),
            Self::Gelu => x * normal_cdf(x),
        }
    }

    /// The derivative at `x`.
    #[inline(always)]
    pub(crate) fn derivative(self, x: f32) -> f32 {
        match self {
            Self::QuickGelu => {
                let s = sigmoid(1.702 * x);
                s * (1.0 + 1.702 * x * (1.0 - s))
            }
            Self::Gelu => {
                const INV_SQRT_2PI: f32 = 0.398_942_3;
                normal_cdf(x) + x * INV_SQRT_2PI * exp(-0.5 * x * x)
            }
        }
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `Φ(x) = (1 + erf(x / √2)) / 2`, by Abramowitz and Stegun 7.1.26 (absolute error of erf
/// below 1.5e-7, the resolution of `f32` near one).
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_6
            + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let upper = 0.5 * poly * exp(-z * z);
    if x < 0.0 { upper } else { 1.0 - upper }
}

/// `e^x` without branches, so that loops over it vectorise inside
/// [`vectorized`](crate::vectorized); relative error below 2e-7, clamped to the finite range.
///
/// Cody and Waite's reduction with the polynomial of the Cephes library's `expf`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 · 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let p = 1.987_569_2e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let y = p.mul_add(r, 1.0).mul_add(r, 1.0);
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    y * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        for i in -8_700..8_800 {
            let x = i as f32 * 0.01;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 2e-7, "exp({x}): relative error {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn activations_match_known_values() {
        let close = |a: f32, b: f32| assert!((a - b).abs() < 4e-7, "{a} against {b}");
        close(Activation::Gelu.value(1.0), 0.841_344_8);
        close(Activation::Gelu.value(-2.0), -0.045_500_26);
        close(Activation::Gelu.value(0.0), 0.0);
        close(Activation::QuickGelu.value(1.0), 0.845_795_8);
        close(Activation::QuickGelu.value(-2.0), -0.064_341_37);
    }

    #[test]
    fn derivatives_match_differences() {
        for activation in [Activation::QuickGelu, Activation::Gelu] {
            for i in -40..40 {
                let (x, h) = (i as f32 * 0.1, 1e-2);
                let slope = (activation.value(x + h) - activation.value(x - h)) / (2.0 * h);
                let derivative = activation.derivative(x);
                assert!((slope - derivative).abs() < 1e-4, "{activation:?} at {x}");
            }
        }
    }
}
