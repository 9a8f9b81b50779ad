//! Weights in, weights out: interpolating checkpoints and choosing coefficients.
