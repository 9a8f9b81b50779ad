"""A full-size ViT-B/32 from the Hub to a patch and back to transformers.

    python tests/reference/whole_path.py XTASK HUB SCRATCH

XTASK is the built runner; HUB a directory in Hub layout with openai/clip-vit-base-patch32 (tokenizer
files), uoft-cs/cifar10 and ylecun/mnist; SCRATCH an empty directory for 5 GB. transformers makes the
checkpoint, with random weights; `xtask mirror` publishes it with the first rows of both datasets;
`xtask patch` fetches all of it, classifies CIFAR-10's test images, fine-tunes for one step,
interpolates and writes the patched checkpoint. transformers then opens the checkpoint that was
published and the two that were written, and must rank the best five classes as the run recorded
them, on every image: random weights give most images one class, and the ranking tells more.
Needs what full_size.py needs.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from full_size import hf_model

HERE = Path(__file__).parent
MODEL = "paint/random-vit-base-patch32"
TOKENIZER = "models/openai/clip-vit-base-patch32"
# Rows of train and test; a tenth of train is validation.
ROWS = {"uoft-cs/cifar10/plain_text": (300, 200), "ylecun/mnist/mnist": (100, 20)}
# Two thirds of CIFAR-10's training rows are frogs, which the random model hardly ever sees: one step helps.
FROG = 6


def publish(hub, root):
    model = root / "models" / MODEL
    shutil.copytree(hub / TOKENIZER, model)
    hf_model("B/32").save_pretrained(model)
    for dataset, n_rows in ROWS.items():
        (root / "datasets" / dataset).mkdir(parents=True)
        for split, n in zip(("train", "test"), n_rows):
            name = f"{split}-00000-of-00001.parquet"
            table = pq.read_table(hub / "datasets" / dataset / name)
            if dataset.startswith("uoft-cs") and split == "train":
                labels = table.column("label").to_pylist()
                frogs = [i for i, label in enumerate(labels) if label == FROG][: 2 * n // 3]
                others = [i for i, label in enumerate(labels) if label != FROG][: n - len(frogs)]
                table = table.take(sorted(frogs + others))
            pq.write_table(table.slice(0, n), root / "datasets" / dataset / name)


def patch(xtask, root, scratch):
    """One step that is large enough to change predictions, and a grid of two values."""
    mirror = subprocess.Popen([xtask, "mirror", "--dir", root, "--port", "0"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    endpoint = mirror.stdout.readline().strip().removeprefix("HF_ENDPOINT=")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(scratch / "home"), "PAINT_RUNS": str(scratch / "runs")}
    started = time.time()
    try:
        subprocess.run([xtask, "patch", "--model", MODEL, "--task", "cifar10", "--support", "mnist",
                        "--steps", "1", "--batch", "32", "--learning-rate", "1e-4",
                        "--alphas", "0,0.5", "--max-drop", "100", "--margin", "0", "--out", scratch / "run"],
                       env=environment, check=True)
    finally:
        mirror.terminate()
    print(f"patched in {time.time() - started:.0f} s", flush=True)


def main(xtask, hub, scratch):
    hub, scratch = Path(hub), Path(scratch)
    root, run = scratch / "hub", scratch / "run"
    publish(hub, root)
    patch(xtask, root, scratch)
    alpha = json.loads((run / "checkpoints/cifar10/patched/paint.json").read_text())["alpha"]
    assert alpha == 0.5, f"the choice fell on {alpha}, so nothing was interpolated"
    for name, checkpoint, predictions in (
        ("zero-shot", root / "models" / MODEL, "zero-shot/0.000"),
        ("fine-tuned", run / "checkpoints/cifar10/fine_tuned", "cifar10/1.000"),
        ("patched", run / "checkpoints/cifar10/patched", "cifar10/0.500"),
    ):
        print(name, flush=True)
        subprocess.run([sys.executable, HERE / "compare_zero_shot.py", "--checkpoint", checkpoint,
                        "--parquet", root / "datasets/uoft-cs/cifar10/plain_text/test-00000-of-00001.parquet",
                        "--task", HERE / "../../data-manifests/tasks/cifar10.toml", "--at-least", "1", "--rankings-at-least", "1",
                        "--predictions", run / "predictions" / predictions / "cifar10-test.json"], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
