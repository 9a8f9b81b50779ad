//! The CLIP family: configuration, towers, checkpoints, tokenizer, preprocessing, zero-shot head.
//!
//! A checkpoint is a directory as `transformers` or open_clip write it ([`Layout`]): weights in
//! safetensors or PyTorch files, of which nothing is ever executed, whole or in shards. What this
//! crate saves in either layout, that library opens.
//! Both towers are differentiable in every tensor. The crate knows no datasets and no training.
//!
//! Source: Radford et al. 2021, "Learning transferable visual models from natural language
//! supervision"; tensor names, defaults and rules are those of `transformers`' `CLIPModel`.
//!
//! From a checkpoint and class names to logits:
//!
//! ```no_run
//! # use std::path::Path;
//! # use candle_core::Device;
//! use paint_clip::{Clip, Preprocessor, Tokenizer, ZeroShotHead};
//!
//! # fn classify(dir: &Path, path: &Path, class_names: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
//! let clip = Clip::load(dir, &Device::Cpu)?;
//! let (tokenizer, preprocessor) = (Tokenizer::load(dir)?, Preprocessor::load(dir)?);
//! let head = ZeroShotHead::build(&clip, &tokenizer, &class_names, &["a photo of a {}.".to_owned()])?;
//! let pixels = preprocessor.resize_crop(&image::open(path)?.to_rgb8());
//! let pixels = preprocessor.normalize(&pixels, 1, &Device::Cpu)?;
//! let logits = head.logits(&clip.encode_image(&pixels)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! A model without a checkpoint:
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use paint_clip::{Clip, ClipConfig, TextConfig, VisionConfig};
//!
//! let config = ClipConfig {
//!     text: TextConfig { vocab_size: 9, hidden_size: 8, num_attention_heads: 2, ..Default::default() },
//!     vision: VisionConfig { hidden_size: 8, num_attention_heads: 2, ..Default::default() },
//!     ..Default::default()
//! };
//! let tensors = paint_clip::init(&config, &mut || 0.5, &Device::Cpu)?;
//! let clip = Clip::from_tensors(&config, &tensors)?;
//! let pixels = Tensor::zeros((1, 3, 224, 224), candle_core::DType::F32, &Device::Cpu)?;
//! assert_eq!(clip.encode_image(&pixels)?.dims(), [1, 512]);
//! # Ok::<(), paint_clip::Error>(())
//! ```

mod error;

mod config;
mod known_models;
mod layout;
mod open_clip_config;

mod checkpoint;
mod init;
mod inventory;
mod pickle;
mod repository;
mod safetensors_file;
mod stored;
mod torch_file;

mod clip;
mod encoder;
mod text;
mod vision;

mod preprocessor;
mod preprocessor_config;
mod resample;
mod tokenizer;
mod zero_shot_head;

mod replace;
mod save;

pub use checkpoint::{Tensors, load_tensors, weight_files};
pub use clip::{Clip, image_tensor_names, l2_normalize};
pub use config::{ClipConfig, HiddenAct, TextConfig, VisionConfig};
pub use error::{Error, Result};
pub use init::init;
pub use layout::Layout;
pub use preprocessor::Preprocessor;
pub use replace::restore;
pub use repository::checkpoint_files;
pub use save::{Parent, Provenance, WeightDtype, save, save_as};
pub use tokenizer::Tokenizer;
pub use zero_shot_head::ZeroShotHead;
