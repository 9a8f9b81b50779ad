"""Full-size checkpoints with random weights, from transformers and open_clip to paint and back.

    python tests/reference/full_size.py XTASK CLIP_DIR PHOTOS SCRATCH [SIZE ...]

XTASK is the built runner (target/debug/xtask), CLIP_DIR holds the tokenizer files of
openai/clip-vit-base-patch32, PHOTOS is a Parquet file with an image column, SCRATCH a directory for a
few gigabytes at a time. For each size (B/32, B/16, L/14) and each form in which a library leaves a
checkpoint, the logits that paint prints are compared with the library's, on real photographs and
prompts with a logit scale of 100; then paint's conversions are opened in both libraries and compared
again. Prints one line a comparison and fails beyond 2e-4 of the largest logit, or if one image
prefers another prompt. Needs torch, transformers, open_clip and pyarrow; last run with torch 2.15.0,
transformers 5.23.0, open_clip 3.3.0.
"""

import io
import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import open_clip
import pyarrow.parquet as pq
import torch
from open_clip.push_to_hf_hub import save_for_hf
from PIL import Image
from transformers import AutoImageProcessor, CLIPConfig, CLIPModel, CLIPTokenizerFast

TOLERANCE = 2e-4
N_PHOTOS = 5
PROMPTS = [
    "a photo of a dog.",
    "a photo of a cat.",
    "a bird on a branch",
    "an aeroplane in the sky",
    "it's a red car, seen from behind!",
    "food on a plate 🍕",
    "a building",
    "the sea",
]
# Vision width, layers, heads, patch; text width, layers, heads; projection; open_clip's name.
SIZES = {
    "B/32": (768, 12, 12, 32, 512, 12, 8, 512, "ViT-B-32"),
    "B/16": (768, 12, 12, 16, 512, 12, 8, 512, "ViT-B-16"),
    "L/14": (1024, 24, 16, 14, 768, 12, 12, 768, "ViT-L-14"),
}


def photographs(parquet, scratch):
    """Colour photographs, some of which leave an odd number of pixels to crop."""
    paths, odd = [], 0
    for row in pq.read_table(parquet).column("image").to_pylist():
        image = Image.open(io.BytesIO(row["bytes"]))
        long = int(224 * max(image.size) / min(image.size))
        if image.mode != "RGB" or image.format != "JPEG" or (len(paths) >= 3 and long % 2 == 0):
            continue
        odd += long % 2
        path = scratch / f"photo-{len(paths)}.jpg"
        path.write_bytes(row["bytes"])
        paths.append(path)
        if len(paths) == N_PHOTOS:
            print(f"{N_PHOTOS} photographs, {odd} with an odd number of pixels to crop", flush=True)
            return paths


def spread(model):
    """Weights that make logits differ: the libraries' own beginnings give nearly equal features."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name == "logit_scale":
                tensor.fill_(math.log(100))
            elif tensor.ndim < 2 and "class" not in name:
                tensor.add_(torch.randn_like(tensor) * 0.1)
            elif "mlp" in name or "attn" in name:
                tensor.mul_(1.5)
    return model.eval()


def hf_model(size):
    width, layers, heads, patch, text_width, text_layers, text_heads, projection, _ = SIZES[size]
    vision = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
              "num_attention_heads": heads, "patch_size": patch, "projection_dim": projection}
    text = {"hidden_size": text_width, "intermediate_size": 4 * text_width, "num_hidden_layers": text_layers,
            "num_attention_heads": text_heads, "projection_dim": projection, "eos_token_id": 2, "bos_token_id": 0}
    torch.manual_seed(1)
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=projection)
    return spread(CLIPModel(config))


def hf_logits(directory_or_model, clip_dir, photos):
    model, processor_dir = directory_or_model, clip_dir
    if not isinstance(model, torch.nn.Module):
        model, processor_dir = CLIPModel.from_pretrained(directory_or_model).eval(), directory_or_model
    tokenizer = CLIPTokenizerFast.from_pretrained(clip_dir)
    # PIL's resizing, as in the processors that made the checkpoints.
    processor = AutoImageProcessor.from_pretrained(processor_dir, backend="pil")
    pixels = processor([Image.open(p).convert("RGB") for p in photos], return_tensors="pt").pixel_values
    texts = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**texts, pixel_values=pixels).logits_per_image


def open_clip_logits(model, preprocess, photos):
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    pixels = torch.stack([preprocess(Image.open(p)) for p in photos])
    with torch.no_grad():
        image = model.encode_image(pixels, normalize=True)
        text = model.encode_text(tokenizer(PROMPTS), normalize=True)
        return model.logit_scale.exp() * image @ text.T


def peak_memory(command):
    """The high-water mark of a process, and what it printed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
        except FileNotFoundError:
            break
        time.sleep(0.005)
    out = process.stdout.read()
    if process.wait() != 0:
        sys.exit(f"failed: {command}")
    return peak * 1024, out


class Proof:
    def __init__(self, xtask, clip_dir, photos):
        self.xtask, self.clip_dir, self.photos = xtask, Path(clip_dir), photos
        self.worst = 0.0

    def paint(self, directory, photos, prompts):
        images = [arg for p in photos for arg in ("--image", str(p))]
        texts = [arg for p in prompts for arg in ("--prompt", p)]
        return peak_memory([self.xtask, "logits", str(directory), *images, *texts])

    def compare(self, what, logits, expected):
        logits = torch.as_tensor(logits)
        relative = ((logits - expected).abs().max() / expected.abs().max()).item()
        agree = (logits.argmax(1) == expected.argmax(1)).sum().item()
        spread = (expected.max() - expected.min()).item()
        print(f"  {what:<44} relative {relative:.1e}, argmax {agree} of {len(expected)}, "
              f"logits up to {expected.abs().max().item():.1f}, spread {spread:.2f}", flush=True)
        self.worst = max(self.worst, relative)
        if not (relative <= TOLERANCE and agree == len(expected)):
            sys.exit("beyond the tolerance")

    def reads(self, what, directory, expected, parameters):
        _, out = self.paint(directory, self.photos, PROMPTS)
        self.compare(f"paint reads {what}", json.loads(out)["logits"], expected)
        peak, _ = self.paint(directory, self.photos[:1], PROMPTS[:1])
        print(f"    peak {peak / 1e6:.0f} MB, {peak / (4 * parameters):.2f} of the weights as f32", flush=True)

    def convert(self, source, to, layout):
        subprocess.run([self.xtask, "convert", str(source), str(to), "--layout", layout], check=True, stderr=subprocess.DEVNULL)

    def tokenizer(self, directory):
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "preprocessor_config.json"):
            shutil.copy(self.clip_dir / name, directory)


def libraries_open(proof, what, source, scratch, expected):
    """Both conversions of a checkpoint, opened by their libraries."""
    from_hf = (source / "config.json").exists()
    as_open_clip, as_hf = scratch / "as-open-clip", scratch / "as-hf"
    proof.convert(source, as_open_clip, "open-clip")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{as_open_clip}")
    # Each library crops in its own way where the margin is odd: the source's pixels decide there.
    even = [p for p in proof.photos if int(224 * max(Image.open(p).size) / min(Image.open(p).size)) % 2 == 0]
    rows = [proof.photos.index(p) for p in even]
    photos, wanted = (even, expected[rows]) if from_hf else (proof.photos, expected)
    proof.compare(f"open_clip opens paint's {what}", open_clip_logits(model.eval(), preprocess, photos), wanted)
    del model
    proof.convert(as_open_clip, as_hf, "hf")
    photos, wanted = (proof.photos, expected) if from_hf else (even, expected[rows])
    proof.compare(f"transformers opens paint's {what}", hf_logits(as_hf, proof.clip_dir, photos), wanted)
    subprocess.run([proof.xtask, "verify", str(source), str(as_hf), "--tolerance", "0"], check=True)
    shutil.rmtree(as_open_clip)
    shutil.rmtree(as_hf)


def of_transformers(proof, size, scratch):
    model = hf_model(size)
    parameters = sum(p.numel() for p in model.parameters())
    expected = hf_logits(model, proof.clip_dir, proof.photos)
    directory = scratch / "hf"
    for form in (".safetensors in shards", ".bin", ".bin in shards", ".safetensors"):
        directory.mkdir()
        if form == ".safetensors":
            model.save_pretrained(directory)
        elif form == ".safetensors in shards":
            model.save_pretrained(directory, max_shard_size="150MB")
        else:
            model.config.save_pretrained(directory)
            state = model.state_dict()
            n = 3 if "shards" in form else 1
            index = {}
            for i in range(n):
                shard = f"pytorch_model-{i + 1:05}-of-{n:05}.bin" if n > 1 else "pytorch_model.bin"
                names = list(state)[i::n]
                torch.save({name: state[name] for name in names}, directory / shard)
                index.update(dict.fromkeys(names, shard))
            if n > 1:
                (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
            del state
        proof.tokenizer(directory)
        proof.reads(f"transformers' {form}", directory, expected, parameters)
        if form == ".safetensors":
            del model
            libraries_open(proof, "transformers'", directory, scratch, expected)
        shutil.rmtree(directory)


def of_open_clip(proof, size, scratch):
    name = SIZES[size][-1]
    torch.manual_seed(2)
    model, _, preprocess = open_clip.create_model_and_transforms(name, pretrained=None)
    spread(model)
    parameters = sum(p.numel() for p in model.parameters())
    expected = open_clip_logits(model, preprocess, proof.photos)
    directory = scratch / "open-clip"
    tokenizer = type("Tokenizer", (), {"save_pretrained": lambda self, directory: proof.tokenizer(Path(directory))})()
    for form in (".bin", ".safetensors"):
        save_for_hf(model, tokenizer, open_clip.get_model_config(name), directory, safe_serialization=form == ".safetensors")
        proof.reads(f"open_clip's {form}", directory, expected, parameters)
        if form == ".safetensors":
            del model
            libraries_open(proof, "open_clip's", directory, scratch, expected)
        shutil.rmtree(directory)


def main(xtask, clip_dir, parquet, scratch, *sizes):
    scratch = Path(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    proof = Proof(xtask, clip_dir, photographs(parquet, scratch))
    for size in sizes or SIZES:
        started = time.time()
        print(f"ViT-{size}", flush=True)
        of_transformers(proof, size, scratch)
        of_open_clip(proof, size, scratch)
        print(f"  {time.time() - started:.0f} s", flush=True)
    print(f"worst: {proof.worst:.1e} of the largest logit", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
