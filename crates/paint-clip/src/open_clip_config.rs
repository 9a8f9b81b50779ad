//! `open_clip_config.json`: the model (`model_cfg`) and its preprocessing (`preprocess_cfg`).
//!
//! Source: `CLIPVisionCfg` and `CLIPTextCfg` in open_clip's `model.py`, `PreprocessCfg` in its
//! `transform.py`. Of what these can describe, the plain CLIP is supported: every other key that
//! says something else than its default is refused by name, for it would change the results.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{ClipConfig, Error, HiddenAct, Result, TextConfig, VisionConfig};

/// Keys that do not change what a trained model computes, or only those parts that are refused.
const NEUTRAL: [&str; 21] = [
    "attn_pooler_heads",
    "attn_pooler_queries",
    "custom_text",
    "eos_id",
    "hf_model_pretrained",
    "hf_pooler_type",
    "hf_proj_type",
    "hf_tokenizer_name",
    "init_logit_scale",
    "nonscalar_logit_scale",
    "output_dict",
    "output_tokens",
    "pad_id",
    "patch_dropout",
    "timm_drop",
    "timm_drop_path",
    "timm_model_pretrained",
    "timm_pool",
    "timm_proj",
    "timm_proj_bias",
    "tokenizer_kwargs",
];

/// Values that are open_clip's defaults, of keys that this module does not read.
const DEFAULTS: [(&str, &str, &str); 6] = [
    ("vision_cfg", "pos_embed_type", "learnable"),
    ("vision_cfg", "pool_type", "tok"),
    ("vision_cfg", "block_type", "default"),
    ("text_cfg", "pool_type", "argmax"),
    ("text_cfg", "proj_type", "linear"),
    ("text_cfg", "block_type", "default"),
];

/// A section of the file whose keys are taken out one by one.
struct Section<'a> {
    origin: &'a str,
    name: &'static str,
    keys: Map<String, Value>,
}

impl<'a> Section<'a> {
    fn take(parent: &mut Map<String, Value>, name: &'static str, origin: &'a str) -> Result<Self> {
        let keys = match parent.remove(name) {
            Some(Value::Object(keys)) => keys,
            found => {
                return Err(Error::Config {
                    origin: origin.to_owned(),
                    key: name.to_owned(),
                    problem: match found {
                        None => "is missing".to_owned(),
                        Some(_) => "is no object of keys and values".to_owned(),
                    },
                });
            }
        };
        Ok(Self { origin, name, keys })
    }

    fn refuse(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::Config {
            origin: self.origin.to_owned(),
            key: format!("{}.{key}", self.name),
            problem: problem.into(),
        }
    }

    /// The value, if there is one and it is not null.
    fn any(&mut self, key: &str) -> Option<Value> {
        self.keys.remove(key).filter(|value| !value.is_null())
    }

    fn number(&mut self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.any(key) else {
            return Ok(None);
        };
        // Some sizes are written for both axes.
        let side = match value.as_array().map(Vec::as_slice) {
            Some([side, other]) if side == other => side,
            Some(_) => return Err(self.refuse(key, format!("is {value}; only squares work"))),
            None => &value,
        };
        match side.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refuse(key, format!("is {value}, which is no whole number"))),
        }
    }

    fn or(&mut self, key: &str, default: usize) -> Result<usize> {
        Ok(self.number(key)?.unwrap_or(default))
    }

    fn real(&mut self, key: &str, default: f64) -> Result<f64> {
        match self.any(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .ok_or_else(|| self.refuse(key, format!("is {value}, which is no number"))),
        }
    }

    /// `width * mlp_ratio`, cut to a whole number as in open_clip.
    fn mlp(&mut self, width: usize) -> Result<usize> {
        Ok((width as f64 * self.real("mlp_ratio", 4.0)?) as usize)
    }

    fn layer_norm_eps(&mut self) -> Result<f64> {
        let mut norm = match self.any("norm_kwargs") {
            None => return Ok(1e-5),
            Some(Value::Object(norm)) => norm,
            Some(other) => return Err(self.refuse("norm_kwargs", format!("is {other}"))),
        };
        let eps = norm.remove("eps");
        match (eps.as_ref().and_then(Value::as_f64), norm.is_empty()) {
            (Some(eps), true) => Ok(eps),
            _ => Err(self.refuse("norm_kwargs", "may only set `eps`")),
        }
    }

    /// What is left must be what open_clip takes for granted.
    fn finish(self) -> Result<()> {
        let unusual = self.keys.iter().find(|(key, value)| {
            let neutral = NEUTRAL.contains(&key.as_str());
            let default = DEFAULTS
                .iter()
                .any(|(section, k, v)| *section == self.name && k == key && value == v);
            !(neutral || default || value.is_null() || **value == json!(false))
        });
        match unusual {
            None => Ok(()),
            Some((key, value)) => Err(self.refuse(
                key,
                format!("is {value}; only the plain CLIP architecture is supported"),
            )),
        }
    }
}

/// The model that the file describes. `document`: the parsed file.
pub(crate) fn model(document: &Value, origin: &str) -> Result<ClipConfig> {
    let mut document = document.as_object().cloned().unwrap_or_default();
    let mut model = Section::take(&mut document, "model_cfg", origin)?;
    let mut vision = Section::take(&mut model.keys, "vision_cfg", origin)?;
    let mut text = Section::take(&mut model.keys, "text_cfg", origin)?;
    let Some(projection_dim) = model.number("embed_dim")? else {
        return Err(model.refuse("embed_dim", "is missing"));
    };
    let hidden_act = if model.any("quick_gelu") == Some(json!(true)) {
        HiddenAct::QuickGelu
    } else {
        HiddenAct::Gelu
    };
    let defaults = ClipConfig::default();
    let config = ClipConfig {
        vision: vision_tower(&mut vision, hidden_act)?,
        text: text_tower(&mut text, hidden_act)?,
        projection_dim,
        ..defaults
    };
    vision.finish()?;
    text.finish()?;
    model.finish()?;
    Ok(config)
}

fn vision_tower(section: &mut Section<'_>, hidden_act: HiddenAct) -> Result<VisionConfig> {
    if section.keys.get("layers").is_some_and(Value::is_array) {
        return Err(section.refuse("layers", "describes a ResNet; only ViTs are supported"));
    }
    let width = section.or("width", 768)?;
    let head_width = section.or("head_width", 64)?;
    if head_width == 0 || width % head_width != 0 {
        let problem = format!("is {head_width}, which does not divide the width {width}");
        return Err(section.refuse("head_width", problem));
    }
    Ok(VisionConfig {
        hidden_size: width,
        intermediate_size: section.mlp(width)?,
        num_hidden_layers: section.or("layers", 12)?,
        num_attention_heads: width / head_width,
        num_channels: 3,
        image_size: section.or("image_size", 224)?,
        patch_size: section.or("patch_size", 16)?,
        hidden_act,
        layer_norm_eps: section.layer_norm_eps()?,
    })
}

fn text_tower(section: &mut Section<'_>, hidden_act: HiddenAct) -> Result<TextConfig> {
    let width = section.or("width", 512)?;
    // "argmax" is the rule that transformers takes `eos_token_id` 2 for.
    let mut eos_token_id = 2;
    if section.keys.get("pool_type") == Some(&json!("eos")) {
        section.any("pool_type");
        let eos = section.or("eos_id", 2)?;
        eos_token_id = match u32::try_from(eos) {
            Ok(eos) if eos != 2 => eos,
            _ => {
                let problem =
                    format!("is {eos}, which is no end-of-text token of a CLIP tokenizer");
                return Err(section.refuse("eos_id", problem));
            }
        };
    }
    Ok(TextConfig {
        vocab_size: section.or("vocab_size", 49408)?,
        hidden_size: width,
        intermediate_size: section.mlp(width)?,
        num_hidden_layers: section.or("layers", 12)?,
        num_attention_heads: section.or("heads", 8)?,
        max_position_embeddings: section.or("context_length", 77)?,
        hidden_act,
        layer_norm_eps: section.layer_norm_eps()?,
        eos_token_id,
        ..TextConfig::default()
    })
}

/// The `model_cfg` of a model, from which open_clip builds the same.
///
/// # Errors
/// If open_clip has no words for it.
pub(crate) fn model_cfg(config: &ClipConfig) -> Result<Value> {
    let (v, t) = (&config.vision, &config.text);
    let refuse = |key: &str, problem: String| Error::Config {
        origin: "open_clip_config.json".to_owned(),
        key: key.to_owned(),
        problem,
    };
    if v.hidden_act != t.hidden_act {
        let problem = "is another one than vision_config's; open_clip has one for both";
        return Err(refuse("text_config.hidden_act", problem.to_owned()));
    }
    let mlp_ratio = |key: &str, width: usize, mlp: usize| {
        let ratio = mlp as f64 / width as f64;
        // open_clip multiplies and cuts.
        if (width as f64 * ratio) as usize == mlp {
            return Ok(ratio);
        }
        let problem = format!("is {mlp}, which no ratio to the width {width} gives in open_clip");
        Err(refuse(key, problem))
    };
    let vision_ratio = mlp_ratio(
        "vision_config.intermediate_size",
        v.hidden_size,
        v.intermediate_size,
    )?;
    let text_ratio = mlp_ratio(
        "text_config.intermediate_size",
        t.hidden_size,
        t.intermediate_size,
    )?;
    let mut vision_cfg = json!({
        "image_size": v.image_size,
        "layers": v.num_hidden_layers,
        "width": v.hidden_size,
        "head_width": v.hidden_size / v.num_attention_heads,
        "patch_size": v.patch_size,
        "mlp_ratio": vision_ratio,
    });
    let mut text_cfg = json!({
        "context_length": t.max_position_embeddings,
        "vocab_size": t.vocab_size,
        "width": t.hidden_size,
        "heads": t.num_attention_heads,
        "layers": t.num_hidden_layers,
        "mlp_ratio": text_ratio,
    });
    for (cfg, eps) in [
        (&mut vision_cfg, v.layer_norm_eps),
        (&mut text_cfg, t.layer_norm_eps),
    ] {
        if eps != 1e-5 {
            cfg["norm_kwargs"] = json!({ "eps": eps });
        }
    }
    // Where the end of a text is also its largest id, open_clip's default finds it.
    let largest = t.vocab_size.checked_sub(1) == usize::try_from(t.eos_token_id).ok();
    if t.eos_token_id != 2 && !largest {
        text_cfg["pool_type"] = json!("eos");
        text_cfg["eos_id"] = json!(t.eos_token_id);
    }
    Ok(json!({
        "embed_dim": config.projection_dim,
        "quick_gelu": v.hidden_act == HiddenAct::QuickGelu,
        "vision_cfg": vision_cfg,
        "text_cfg": text_cfg,
    }))
}

/// The parsed file of a directory.
pub(crate) fn read(dir: &Path) -> Result<(Value, String)> {
    let path = dir.join("open_clip_config.json");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let document: Value = serde_json::from_str(&text).map_err(Error::json(&path))?;
    Ok((document, path.display().to_string()))
}
