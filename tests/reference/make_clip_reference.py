"""Writes the reference values that crates/paint-clip/tests/reference.rs compares with.

    python tests/reference/make_clip_reference.py CLIP_DIR

CLIP_DIR holds the tokenizer files of openai/clip-vit-base-patch32. Needs torch, transformers,
pillow and numpy; last run with transformers 5.23.0, torch 2.15.0, pillow 13.0.0. Weights and source
images come from formulas that the Rust test computes too, so that only results are stored:

    clip_features.json  features and logits of a tiny CLIPModel, both activations, both EOT rules
    clip_tokens.json    token ids of difficult texts
    clip_pixels.json    what was resized, and clip_pixels.bin, the results one after the other
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPConfig, CLIPModel

HERE = Path(__file__).parent
MASK = (1 << 64) - 1

# ---------------------------------------------------------------- formulas shared with the test


def fnv1a(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def uniform(name, n):
    """n numbers in [-1, 1) from a name: SplitMix64, top 24 bits, exact in f32."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def weight(name, shape):
    n = int(np.prod(shape, dtype=np.int64))
    u = uniform(name, n)
    if name == "logit_scale":
        values = np.full(n, 2.5, np.float32)
    elif "norm" in name or "pre_layrnorm" in name:
        values = u * np.float32(0.25) + np.float32(1 if name.endswith("weight") else 0)
    else:
        values = u * np.float32(0.25)
    return torch.from_numpy(values.reshape(shape))


def picture(kind, width, height):
    """[h, w, 3] bytes: smooth slopes, hard edges, or noise."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    if kind == "slopes":
        values = (x * 3 + y * 5 + c * 40) // 2 % 256
    elif kind == "edges":
        values = ((x // 5 + y // 3 + c) % 2) * 255
    else:
        u = uniform(f"noise {width} {height}", height * width * 3).reshape(height, width, 3)
        values = np.floor((u + np.float32(1)) * np.float32(128))
    return values.astype(np.uint8)


# ------------------------------------------------------------------------------------ features

MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])
PROMPTS = [
    "the photo of a cat",
    "some blurry photo of the small red house, seen from a hill.",
    "a",
    "it's a dog \N{DOG FACE}",
    "a " * 100,
]
# Eos 49407: the rule by id. 2: the largest id. 320 is the token "a": the rule by id picks its first
# place, where "the largest id" would pick the last token.
CASES = [
    ("quick_gelu", "quick_gelu", 49407),
    ("gelu", "gelu", 2),
    ("quick_gelu", "gelu", 320),
]


def tiny_config(vision_act, text_act, eos):
    common = {"num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {"hidden_size": 32, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
    text = {"hidden_size": 16, "intermediate_size": 32, "eos_token_id": eos}
    return {
        "projection_dim": 24,
        "vision_config": {**common, **vision, "hidden_act": vision_act},
        "text_config": {**common, **text, "hidden_act": text_act},
    }


def features(tokenizer):
    pictures = [picture(kind, 32, 32) for kind in ("slopes", "edges", "noise")]
    pixels = np.stack([((p / 255.0 - MEAN) / STD).transpose(2, 0, 1) for p in pictures])
    batch = tokenizer(PROMPTS, padding=True, truncation=True, max_length=77, return_tensors="pt")
    cases = []
    for vision_act, text_act, eos in CASES:
        config = tiny_config(vision_act, text_act, eos)
        # Double precision: the reference should not add an error of its own.
        model = CLIPModel(CLIPConfig(**config)).double().eval()
        state = model.state_dict()
        for name, tensor in state.items():
            if not name.endswith("position_ids"):
                tensor.copy_(weight(name, tuple(tensor.shape)))
        with torch.no_grad():
            out = model(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                pixel_values=torch.from_numpy(pixels),
            )
            image = model.visual_projection(model.vision_model(torch.from_numpy(pixels)).pooler_output)
            text = model.text_projection(
                model.text_model(batch.input_ids, attention_mask=batch.attention_mask).pooler_output
            )
        rounded = lambda t: [[round(x, 7) for x in row] for row in t.tolist()]
        cases.append(
            {
                "config": config,
                "image_features": rounded(image),
                "text_features": rounded(text),
                "logits_per_image": rounded(out.logits_per_image),
            }
        )
    ids = [tokenizer(p, truncation=True, max_length=77).input_ids for p in PROMPTS]
    return {"prompts": PROMPTS, "ids": ids, "cases": cases}


# -------------------------------------------------------------------------------------- tokens

TEXTS = """
hello world|a photo of a cat.|A Photo Of A CAT|  leading and   inner   spaces |tab	and newline
it's|they've|I'll|we'd|I'm|you're|don't|CAN'T|rock 'n' roll|'s|o'clock|the dogs' bowls
1|12|1234567890|3.14|-5|1,000,000|50%|$9.99|№ 7|x²+y²=z²|½ cup
café|cafe\u0301|naïve|Ångström|A\u030angstro\u0308m|İstanbul|straße|ﬁne|ＡＢＣ|ǅ
日本語|中文字符|한국어|العربية|עברית|हिन्दी|ไทย|Ελληνικά|Русский
😀|👍🏽|👨‍👩‍👧‍👦|🇫🇷|☃️|a 🐶 and a 🐱
!!!|...|—|“quoted”|(parentheses)|[brackets]|{}|<tag>|a/b\\c|foo_bar|a-b|#hash @at|https://example.org/a?b=c&d=e
&amp; &lt;b&gt;|<|endoftext|>|zero\u200bwidth|non\u00a0breaking|soft\u00adhyphen|\ufeffbom
""".strip().replace("tab\tand newline", "tab\tand\nnewline")


def texts():
    # The special token itself holds the separator.
    lines = TEXTS.replace("<|endoftext|>", "\0").replace("\n", "|").replace("and|newline", "and\nnewline")
    split = [t.replace("\0", "a <|endoftext|> b") for t in lines.split("|")]
    long = ["word " * 74, "word " * 75, "word " * 76, "word " * 200, "🐶" * 60, "supercalifragilistic" * 30]
    return ["", *split, *long]


def tokens(tokenizer):
    encode = lambda text: tokenizer(text, truncation=True, max_length=77).input_ids
    return [{"text": text, "ids": encode(text)} for text in texts()]


# -------------------------------------------------------------------------------------- pixels

# kind, width, height, shorter side, crop, filter
RESIZES = [
    ("noise", 100, 75, 32, 32, "bicubic"),
    ("edges", 100, 75, 32, 32, "bicubic"),
    ("slopes", 100, 75, 32, 32, "bicubic"),
    ("edges", 75, 101, 32, 32, "bicubic"),
    ("edges", 75, 101, 32, 32, "bilinear"),
    ("noise", 20, 13, 32, 32, "bicubic"),
    ("edges", 20, 13, 32, 32, "bicubic"),
    ("edges", 20, 13, 32, 32, "bilinear"),
    ("slopes", 32, 32, 32, 32, "bicubic"),
    ("noise", 32, 32, 32, 32, "bicubic"),
    ("noise", 300, 7, 16, 16, "bicubic"),
    ("edges", 3, 400, 16, 16, "bicubic"),
    ("noise", 1, 50, 8, 8, "bicubic"),
    ("noise", 1, 1, 8, 8, "bicubic"),
    ("edges", 640, 480, 48, 40, "bicubic"),
    ("noise", 333, 500, 47, 40, "bicubic"),
    ("noise", 51, 50, 24, 37, "bicubic"),
    ("slopes", 37, 61, 25, 40, "bicubic"),
    ("edges", 500, 333, 64, 64, "bicubic"),
]


def centre_crop(image, crop):
    """transformers.image_transforms.center_crop, on [h, w, 3]."""
    from transformers.image_transforms import center_crop

    return center_crop(image, (crop, crop), input_data_format="channels_last")


def resize_crop(image, edge, crop, filter_name):
    height, width = image.shape[:2]
    if width <= height:
        size = (edge, int(edge * height / width))
    else:
        size = (int(edge * width / height), edge)
    resample = Image.Resampling[filter_name.upper()]
    return centre_crop(np.array(Image.fromarray(image).resize(size, resample)), crop)


def pixels():
    index, data = [], []
    for kind, width, height, edge, crop, filter_name in RESIZES:
        result = resize_crop(picture(kind, width, height), edge, crop, filter_name)
        assert result.shape == (crop, crop, 3), result.shape
        data.append(result.astype(np.uint8).tobytes())
        index.append(
            {
                "kind": kind,
                "width": width,
                "height": height,
                "shortest_edge": edge,
                "crop": crop,
                "resample": {"bilinear": 2, "bicubic": 3}[filter_name],
            }
        )
    return index, b"".join(data)


def write_json(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=True, indent=None) + "\n")


if __name__ == "__main__":
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    write_json("clip_features.json", features(tokenizer))
    write_json("clip_tokens.json", tokens(tokenizer))
    index, data = pixels()
    write_json("clip_pixels.json", index)
    (HERE / "clip_pixels.bin").write_bytes(data)
