"""What `cargo xtask bench --against torch` compares preprocessing and interpolation with.

Needs torch, torchvision, pillow, safetensors and pyarrow. Each function does one repetition.
"""

import io
import os
import time
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import transforms

BATCH = 50
TRANSFORM = transforms.Compose(
    [
        transforms.Resize(224, transforms.InterpolationMode.BICUBIC, antialias=True),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize(
            (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
        ),
    ]
)


@cache
def photographs(directory):
    """The encoded images of every Parquet file of a directory, or of its *.jpg files."""
    import pyarrow.parquet

    files = sorted(Path(directory).glob("*.parquet"))
    tables = [pyarrow.parquet.read_table(file, columns=["image"]) for file in files]
    images = [row["bytes"] for table in tables for row in table["image"].to_pylist()]
    return images or [file.read_bytes() for file in sorted(Path(directory).glob("*.jpg"))]


class Images(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return TRANSFORM(Image.open(io.BytesIO(self.images[i])).convert("RGB"))


def preprocess(directory, workers=0):
    """Images per second; `workers` processes of a DataLoader, 0 for the usual single process."""
    images = photographs(str(directory))
    loader = torch.utils.data.DataLoader(Images(images), BATCH, num_workers=workers)
    start = time.perf_counter()
    n = sum(len(batch) for batch in loader)
    assert n == len(images)
    return n / (time.perf_counter() - start)


def interpolate(a, b, out, alpha=0.4, durable=False):
    """MB of output per second: load, mix, save; `durable` adds the fsync that paint does."""
    Path(out).unlink(missing_ok=True)
    start = time.perf_counter()
    zero_shot, fine_tuned = load_file(a), load_file(b)
    mixed = {name: (1 - alpha) * x + alpha * fine_tuned[name] for name, x in zero_shot.items()}
    save_file(mixed, out)
    if durable:
        file = os.open(out, os.O_RDWR)
        os.fsync(file)
        os.close(file)
    return os.path.getsize(out) / 1e6 / (time.perf_counter() - start)
