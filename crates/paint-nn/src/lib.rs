//! The transformer block's operations as candle custom operations for the CPU:
//! forward *and* backward, fused, vectorised with run-time dispatch, on all cores.
//!
//! Everything takes and returns ordinary [`candle_core::Tensor`]s, so it mixes
//! freely with other candle code. candle's own fused `LayerNorm`,
//! `softmax_last_dim` and relatives have no backward pass, so training through
//! them silently loses gradients; every operation here has one and is checked
//! against finite differences, or against operations that are.
//!
//! The crate knows no model and no files. For a fixed number of threads the
//! results are the same bytes on every run: work is cut into fixed pieces, never
//! by who comes first.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use paint_nn::{Activation, layer_norm, linear_activation};
//!
//! let device = Device::Cpu;
//! let x = Tensor::new(&[[1f32, 2.0, 4.0], [0.0, 1.0, -1.0]], &device)?;
//! let weight = Var::new(&[[0.1f32, 0.2, 0.3], [0.4, 0.5, 0.6]], &device)?;
//! let bias = Var::new(&[0f32, 0.1], &device)?;
//! let (scale, shift) = (Tensor::new(&[1f32; 3], &device)?, Tensor::new(&[0f32; 3], &device)?);
//! let x = layer_norm(&x, &scale, &shift, 1e-5)?;
//! let y = linear_activation(&x, &weight, &bias, Activation::QuickGelu)?;
//! let grads = y.sum_all()?.backward()?;
//! assert_eq!(grads.get(&weight).unwrap().dims(), [2, 3]);
//! # Ok::<(), candle_core::Error>(())
//! ```

mod activation;
mod adamw;
mod add;
mod attention;
mod buffer;
mod cross_entropy;
mod embed;
mod few_rows;
mod lanes;
mod layer_norm;
mod linear;
mod matmul;
mod muon;
mod parameters;
mod pooled_attention;
mod products;
mod slices;
mod squares;
mod transformer;

pub use activation::{Activation, exp};
pub use adamw::{AdamW, AdamWState};
pub use add::add;
pub use attention::attention;
pub use cross_entropy::cross_entropy;
pub use embed::embed_with_class_token;
pub use lanes::Lanes;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_activation};
pub use muon::Muon;
pub use parameters::backward;
pub use products::{times, times_transposed, transposed_times};
pub use slices::{lane_max, lane_sum, vectorized};
pub use squares::sum_of_squares;
pub use transformer::{Affine, TransformerLayer};
