"""Writes checkpoints/, the tiny checkpoints that crates/paint-clip/tests/formats.rs reads.

    python tests/reference/make_checkpoint_fixtures.py

Needs torch, transformers and open_clip; last run with torch 2.15.0, transformers 5.23.0, open_clip
3.3.0. Each directory is a form in which these libraries, or older ones, leave a checkpoint;
checkpoints/logits.json holds what the libraries compute with them, in double precision.
"""

import json
import shutil
from collections import OrderedDict
from pathlib import Path

import open_clip
import torch
from make_clip_reference import uniform
from open_clip.push_to_hf_hub import save_for_hf
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

OUT = Path(__file__).parent / "checkpoints"
END = 63
IDS = [[62, 5, 9, END], [62, 17, 3, 40, 8, 21, END], [62, END]]

VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 16, "patch_size": 8}
TEXT = {"vocab_size": 64, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 12, "eos_token_id": END, "bos_token_id": 62}
MODEL_CFG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 12, "vocab_size": 64, "width": 8, "heads": 2, "layers": 2, "mlp_ratio": 2.0},
}


def randomise(model):
    """Every tensor shows in the result."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name == "logit_scale":
                tensor.fill_(2.5)
                continue
            centre = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.0
            tensor.copy_(torch.from_numpy(uniform(name, tensor.numel())).reshape(tensor.shape) * 0.3 + centre)
    return model.eval()


def pixels():
    return torch.from_numpy(uniform("pixels", 3 * 3 * 16 * 16)).reshape(3, 3, 16, 16).double()


def padded():
    return torch.tensor([ids + [END] * (12 - len(ids)) for ids in IDS])


def hf_logits(model):
    with torch.no_grad():
        return CLIPModel.forward(model.double(), input_ids=padded(), pixel_values=pixels()).logits_per_image.tolist()


def open_clip_logits(model):
    with torch.no_grad():
        model = model.double()
        image, text = model.encode_image(pixels(), normalize=True), model.encode_text(padded(), normalize=True)
        return (model.logit_scale.exp() * image @ text.T).tolist()


def hf_model():
    text = {**TEXT, "hidden_act": "quick_gelu"}
    return randomise(CLIPModel(CLIPConfig(projection_dim=12, vision_config={**VISION, "hidden_act": "quick_gelu"}, text_config=text)))


def hf_config(directory, model):
    directory.mkdir()
    model.config.save_pretrained(directory)


def hf(logits):
    model = hf_model()
    model.save_pretrained(OUT / "hf")
    model.save_pretrained(OUT / "hf-shards", max_shard_size="10KB")
    state = OrderedDict(model.state_dict())
    # As in OpenAI's files, and a matrix that is stored by columns.
    state["text_model.embeddings.position_ids"] = torch.arange(12).expand((1, -1))
    state["vision_model.embeddings.position_ids"] = torch.arange(5).expand((1, -1))
    state["text_projection.weight"] = state["text_projection.weight"].t().contiguous().t()
    hf_config(OUT / "hf-bin", model)
    torch.save(state, OUT / "hf-bin" / "pytorch_model.bin")
    hf_config(OUT / "hf-bin-shards", model)
    weight_map = {}
    for i, names in enumerate([list(state)[::2], list(state)[1::2]], 1):
        shard = f"pytorch_model-{i:05}-of-00002.bin"
        torch.save({name: state[name].clone() for name in names}, OUT / "hf-bin-shards" / shard)
        weight_map.update(dict.fromkeys(names, shard))
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (OUT / "hf-bin-shards" / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    exact = hf_logits(hf_model())
    for form in ("hf", "hf-shards", "hf-bin", "hf-bin-shards"):
        logits[form] = exact
    for form, dtype in (("hf-f16", torch.float16), ("hf-bf16", torch.bfloat16)):
        hf_model().to(dtype).save_pretrained(OUT / form)
        logits[form] = hf_logits(hf_model().to(dtype))


class NoTokenizer:
    def save_pretrained(self, directory):
        pass


def open_clips(logits):
    for form, quick_gelu, custom_text in (
        ("open-clip", True, False),
        ("open-clip-bin", False, False),
        ("open-clip-text", False, True),
    ):
        kind = open_clip.model.CustomTextCLIP if custom_text else open_clip.model.CLIP
        model = randomise(kind(**MODEL_CFG, quick_gelu=quick_gelu))
        config = {**MODEL_CFG, **({"quick_gelu": True} if quick_gelu else {}), **({"custom_text": True} if custom_text else {})}
        open_clip.model.set_model_preprocess_cfg(model, {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.4, 0.3), "interpolation": "bicubic", "resize_mode": "shortest"})
        model.visual.image_mean, model.visual.image_std = (0.5, 0.5, 0.5), (0.5, 0.4, 0.3)
        save_for_hf(model, NoTokenizer(), config, OUT / form, safe_serialization=form != "open-clip-bin")
        if form == "open-clip-text":
            # A half-precision one too.
            half = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
            model.load_state_dict(half)
            save_file(half, OUT / form / "open_clip_model.safetensors")
        logits[form] = open_clip_logits(model)


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    logits = {}
    hf(logits)
    open_clips(logits)
    rounded = {form: [[round(x, 7) for x in row] for row in rows] for form, rows in logits.items()}
    (OUT / "logits.json").write_text(json.dumps({"ids": IDS, "logits": rounded}) + "\n")
    for generated in OUT.glob("*/generation_config.json"):
        generated.unlink()
