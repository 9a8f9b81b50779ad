//! What a model is built from: `config.json` as `transformers`' `CLIPConfig`, with its defaults for
//! every missing key, or open_clip's configuration put into its words.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::known_models::check_activation;
use crate::layout::Layout;
use crate::replace::restore;
use crate::{Error, Result, open_clip_config};

/// Bounds far above every known CLIP. Without them the numbers of a hostile file would be believed
/// and memory taken for them before the weights, which do not have such tensors, are compared.
const MAX_WIDTH: usize = 1 << 16;
const MAX_LAYERS: usize = 1 << 10;
const MAX_VOCABULARY: usize = 1 << 22;
const MAX_CONTEXT: usize = 1 << 16;
/// Pixels along one side, as for the preprocessor.
const MAX_SIZE: usize = 1 << 14;

/// Both towers and what joins them. Defaults are `CLIPConfig`'s (ViT-B/32).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// The image tower.
    #[serde(rename = "vision_config")]
    pub vision: VisionConfig,
    /// The text tower.
    #[serde(rename = "text_config")]
    pub text: TextConfig,
    /// Width of the space that both towers project into.
    pub projection_dim: usize,
    /// Initial `logit_scale`, the logarithm of the factor on cosines.
    pub logit_scale_init_value: f64,
}

/// The image tower: a ViT with a class token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Number of transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads; divides the width.
    pub num_attention_heads: usize,
    /// Colour channels; 3.
    pub num_channels: usize,
    /// Height and width of the input in pixels.
    pub image_size: usize,
    /// Height and width of a patch in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Activation of the MLP.
    pub hidden_act: HiddenAct,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
}

/// The text tower: a causal transformer, read out at the end-of-text token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Number of transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads; divides the width.
    pub num_attention_heads: usize,
    /// Context length in tokens.
    pub max_position_embeddings: usize,
    /// Activation of the MLP.
    pub hidden_act: HiddenAct,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Kept for `transformers`; this crate takes the ids as the tokenizer gives them.
    pub bos_token_id: u32,
    /// 2 (OpenAI's legacy value) reads out at the largest id of the text, any other value at the
    /// first position with that id.
    pub eos_token_id: u32,
    /// Kept for `transformers`; what follows the end of a text is never seen.
    pub pad_token_id: u32,
}

/// Activation between the two MLP layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// `x * sigmoid(1.702 x)`, of OpenAI's checkpoints.
    QuickGelu,
    /// Exact GELU with erf, of most LAION checkpoints.
    Gelu,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            vision: VisionConfig::default(),
            text: TextConfig::default(),
            projection_dim: 512,
            logit_scale_init_value: 2.6592,
        }
    }
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
            bos_token_id: 49406,
            eos_token_id: 49407,
            pad_token_id: 1,
        }
    }
}

impl HiddenAct {
    /// As the configuration files spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QuickGelu => "quick_gelu",
            Self::Gelu => "gelu",
        }
    }
}

impl From<HiddenAct> for paint_nn::Activation {
    fn from(hidden_act: HiddenAct) -> Self {
        match hidden_act {
            HiddenAct::QuickGelu => Self::QuickGelu,
            HiddenAct::Gelu => Self::Gelu,
        }
    }
}

impl VisionConfig {
    /// Patches along one side of the image.
    pub(crate) fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of an image.
    #[must_use]
    pub fn n_patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Sequence length: the class token and the patches.
    pub(crate) fn n_positions(&self) -> usize {
        self.n_patches() + 1
    }
}

impl ClipConfig {
    /// Reads `dir/config.json`, or `dir/open_clip_config.json` of a directory in that [`Layout`].
    /// Keys that are missing or null take the defaults of `transformers` or open_clip.
    ///
    /// # Errors
    /// If the file cannot be read, is not JSON, describes a model that is not a CLIP or whose
    /// numbers do not fit together, or names another activation than the published model of that
    /// name was trained with: OpenAI's (`openai/clip-vit-*`, `timm/vit_*.openai`) with `quick_gelu`,
    /// LAION's (`laion/CLIP-ViT-*`) with `gelu`. The name is `_name_or_path` of `config.json`, or
    /// the last two parts of `dir`, or that of the Hub's cache (`models--ORG--NAME`); a checkpoint
    /// of any other name is believed.
    pub fn load(dir: &Path) -> Result<Self> {
        restore(dir)?;
        let layout = Layout::of(dir);
        let (config, name) = match layout {
            Layout::HuggingFace => {
                let path = dir.join("config.json");
                let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
                let value: Value = serde_json::from_str(&text).map_err(Error::json(&path))?;
                let name = value["_name_or_path"].as_str().map(str::to_owned);
                (Self::from_value(value, &path)?, name)
            }
            Layout::OpenClip => {
                let (document, origin) = open_clip_config::read(dir)?;
                let config = open_clip_config::model(&document, &origin)?;
                config.check(&origin)?;
                (config, None)
            }
        };
        check_activation(&config, name.as_deref(), dir, layout.config_file())?;
        Ok(config)
    }

    fn from_value(mut value: Value, path: &Path) -> Result<Self> {
        if !value.is_object() {
            let source = serde::de::Error::custom("expected an object of keys and values");
            return Err(Error::Json {
                path: path.to_owned(),
                source,
            });
        }
        drop_nulls(&mut value);
        if let Some(model_type) = value.get("model_type").filter(|t| *t != "clip") {
            return Err(Error::Config {
                origin: path.display().to_string(),
                key: "model_type".to_owned(),
                problem: format!("is {model_type}, and only \"clip\" (both towers) is supported"),
            });
        }
        apply_legacy_sections(&mut value);
        let config: Self = serde_json::from_value(value).map_err(Error::json(path))?;
        config.check(&path.display().to_string())?;
        Ok(config)
    }

    /// The text of a `config.json` that `transformers` opens. Ends with a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["architectures"] = json!(["CLIPModel"]);
        value["model_type"] = json!("clip");
        value["initializer_factor"] = json!(1.0);
        for (section, model_type) in [
            ("text_config", "clip_text_model"),
            ("vision_config", "clip_vision_model"),
        ] {
            value[section]["model_type"] = json!(model_type);
            value[section]["projection_dim"] = json!(self.projection_dim);
        }
        format!("{value:#}\n")
    }

    /// Every tensor of the model by its `transformers` name, with its shape.
    #[must_use]
    pub fn tensor_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::from([("logit_scale".to_owned(), vec![])]);
        self.add_vision_shapes(&mut shapes);
        self.add_text_shapes(&mut shapes);
        shapes
    }

    fn add_vision_shapes(&self, shapes: &mut BTreeMap<String, Vec<usize>>) {
        let c = &self.vision;
        let d = c.hidden_size;
        let patch = vec![d, c.num_channels, c.patch_size, c.patch_size];
        let mut add = |name: &str, shape: Vec<usize>| shapes.insert(name.to_owned(), shape);
        add("vision_model.embeddings.class_embedding", vec![d]);
        add("vision_model.embeddings.patch_embedding.weight", patch);
        add(
            "vision_model.embeddings.position_embedding.weight",
            vec![c.n_positions(), d],
        );
        for norm in ["pre_layrnorm", "post_layernorm"] {
            add(&format!("vision_model.{norm}.weight"), vec![d]);
            add(&format!("vision_model.{norm}.bias"), vec![d]);
        }
        add("visual_projection.weight", vec![self.projection_dim, d]);
        add_layer_shapes(
            "vision_model",
            c.num_hidden_layers,
            d,
            c.intermediate_size,
            shapes,
        );
    }

    fn add_text_shapes(&self, shapes: &mut BTreeMap<String, Vec<usize>>) {
        let c = &self.text;
        let d = c.hidden_size;
        let mut add = |name: &str, shape: Vec<usize>| shapes.insert(name.to_owned(), shape);
        add(
            "text_model.embeddings.token_embedding.weight",
            vec![c.vocab_size, d],
        );
        add(
            "text_model.embeddings.position_embedding.weight",
            vec![c.max_position_embeddings, d],
        );
        add("text_model.final_layer_norm.weight", vec![d]);
        add("text_model.final_layer_norm.bias", vec![d]);
        add("text_projection.weight", vec![self.projection_dim, d]);
        add_layer_shapes(
            "text_model",
            c.num_hidden_layers,
            d,
            c.intermediate_size,
            shapes,
        );
    }

    /// Every number that sizes the model, with its key and the least and most that it may be.
    fn sizes(&self) -> [(&'static str, usize, (usize, usize)); 13] {
        let (v, t) = (&self.vision, &self.text);
        let (width, layers, pixels) = ((1, MAX_WIDTH), (1, MAX_LAYERS), (1, MAX_SIZE));
        // A start and an end token.
        let (words, context) = ((1, MAX_VOCABULARY), (2, MAX_CONTEXT));
        [
            ("projection_dim", self.projection_dim, width),
            ("vision_config.hidden_size", v.hidden_size, width),
            (
                "vision_config.intermediate_size",
                v.intermediate_size,
                width,
            ),
            (
                "vision_config.num_hidden_layers",
                v.num_hidden_layers,
                layers,
            ),
            (
                "vision_config.num_attention_heads",
                v.num_attention_heads,
                width,
            ),
            ("vision_config.image_size", v.image_size, pixels),
            ("vision_config.patch_size", v.patch_size, pixels),
            ("text_config.hidden_size", t.hidden_size, width),
            ("text_config.intermediate_size", t.intermediate_size, width),
            ("text_config.num_hidden_layers", t.num_hidden_layers, layers),
            (
                "text_config.num_attention_heads",
                t.num_attention_heads,
                width,
            ),
            ("text_config.vocab_size", t.vocab_size, words),
            (
                "text_config.max_position_embeddings",
                t.max_position_embeddings,
                context,
            ),
        ]
    }

    /// Refuses numbers that no model can be built from; `origin` names them in the error.
    pub(crate) fn check(&self, origin: &str) -> Result<()> {
        let (v, t) = (&self.vision, &self.text);
        let fail = |key: &str, problem: String| {
            Err(Error::Config {
                origin: origin.to_owned(),
                key: key.to_owned(),
                problem,
            })
        };
        for (key, value, (least, most)) in self.sizes() {
            if !(least..=most).contains(&value) {
                let problem = format!("is {value}, which is not between {least} and {most}");
                return fail(key, problem);
            }
        }
        for (section, width, heads) in [
            ("vision_config", v.hidden_size, v.num_attention_heads),
            ("text_config", t.hidden_size, t.num_attention_heads),
        ] {
            if width % heads != 0 {
                let problem = format!("is {width}, not a multiple of num_attention_heads {heads}");
                return fail(&format!("{section}.hidden_size"), problem);
            }
        }
        if v.num_channels != 3 {
            return fail(
                "vision_config.num_channels",
                format!("is {}, only 3 works", v.num_channels),
            );
        }
        if v.image_size % v.patch_size != 0 {
            let problem = format!(
                "is {}, not a multiple of patch_size {}",
                v.image_size, v.patch_size
            );
            return fail("vision_config.image_size", problem);
        }
        Ok(())
    }
}

fn add_layer_shapes(
    tower: &str,
    n_layers: usize,
    d: usize,
    mlp: usize,
    shapes: &mut BTreeMap<String, Vec<usize>>,
) {
    for layer_idx in 0..n_layers {
        let mut add = |name: &str, weight: Vec<usize>, bias: usize| {
            let prefix = format!("{tower}.encoder.layers.{layer_idx}.{name}");
            shapes.insert(format!("{prefix}.weight"), weight);
            shapes.insert(format!("{prefix}.bias"), vec![bias]);
        };
        add("layer_norm1", vec![d], d);
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            add(&format!("self_attn.{projection}"), vec![d, d], d);
        }
        add("layer_norm2", vec![d], d);
        add("mlp.fc1", vec![mlp, d], mlp);
        add("mlp.fc2", vec![d, mlp], d);
    }
}

/// `null` means "not stated" in these files.
fn drop_nulls(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, v| !v.is_null());
        map.values_mut().for_each(drop_nulls);
    }
}

/// Old files state a tower twice; `transformers` lets `*_config_dict`, completed by the defaults,
/// replace `*_config`.
fn apply_legacy_sections(value: &mut Value) {
    if let Value::Object(map) = value {
        for section in ["text_config", "vision_config"] {
            if let Some(legacy) = map.remove(&format!("{section}_dict")) {
                map.insert(section.to_owned(), legacy);
            }
        }
    }
}
