"""Writes the JPEG files that the tests of crates/paint-data/src/decode.rs decode.

    python tests/reference/make_jpeg_reference.py

Needs pillow and numpy; last run with pillow 13.0.0 (libjpeg-turbo 3.2.0). Each jpeg/NAME.jpg has
a NAME.png beside it with the pixels of PIL's Image.open(NAME.jpg).convert("RGB").
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).parent / "jpeg"


def picture(mode, width=35, height=21):
    """Waves, a hard edge and noise: no decoder's rounding goes unseen."""
    y, x, c = np.meshgrid(
        np.arange(height), np.arange(width), np.arange(len(mode)), indexing="ij"
    )
    values = 128 + 90 * np.sin(x / (3 + c) + y / (5 - c) + c) + 60 * (x + y > 30)
    values += np.random.default_rng(0).normal(0, 12, values.shape)
    pixels = values.clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def encode(image, **options):
    data = io.BytesIO()
    image.save(data, "JPEG", **{"quality": 80, **options})
    return data.getvalue()


def unfinished(progressive):
    """Only the first two scans, which libjpeg smooths over the block borders."""
    third_scan = -1
    for _ in range(3):
        third_scan = progressive.index(b"\xff\xda", third_scan + 1)
    return progressive[:third_scan] + b"\xff\xd9"


def files():
    rgb, grey = picture("RGB"), picture("L")
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"baseline-{name}", encode(rgb, subsampling=subsampling)
        yield f"progressive-{name}", encode(rgb, subsampling=subsampling, progressive=True)
    yield "cifar", encode(picture("RGB", 32, 32), quality=95)
    yield "coarse", encode(rgb, quality=10)
    yield "restarts", encode(rgb, restart_marker_blocks=1)
    yield "one-pixel", encode(picture("RGB", 1, 1))
    yield "grey", encode(grey)
    yield "progressive-grey", encode(grey, progressive=True)
    yield "stored-as-rgb", encode(rgb, keep_rgb=True)
    yield "cmyk", encode(picture("CMYK"), quality=50)
    yield "unfinished", unfinished(encode(rgb, progressive=True))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name, data in files():
        assert len(data) < 2000, (name, len(data))
        (OUT / f"{name}.jpg").write_bytes(data)
        Image.open(OUT / f"{name}.jpg").convert("RGB").save(OUT / f"{name}.png", optimize=True)
