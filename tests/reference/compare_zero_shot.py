"""Compares zero-shot predictions of paint with those of transformers on the same images.

    python tests/reference/compare_zero_shot.py --checkpoint DIR --parquet FILE \\
        --task data-manifests/tasks/TASK.toml --predictions RUN/predictions/zero-shot/0.000/TASK-test.json

The predictions are those that a run left of the whole Parquet file, in its order: give `cargo xtask
patch` a --hub with a file of as many images as wanted, and no --limit. The checkpoint is opened by
transformers alone: model, tokenizer and image processor (PIL); an embedded model is a directory
under runs/models after its first use. Prints one JSON line with the shares of equal predictions and
of equal rankings of the best classes; the exit status is 1 if the first is below --at-least or the
second below --rankings-at-least.

Needs torch, transformers, pillow and pyarrow; last run with transformers 5.23.0, torch 2.15.0.
"""

import argparse
import inspect
import io
import json
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("checkpoint", "parquet", "task", "predictions"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--at-least", type=float, default=0.999)
    parser.add_argument("--rankings-at-least", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=64)
    return parser.parse_args()


def pil_processor(checkpoint):
    """Releases before 5 choose PIL by use_fast=False, later ones by backend="pil"."""
    source = inspect.getsource(AutoImageProcessor.from_pretrained)
    choice = {"backend": "pil"} if "backend" in source else {"use_fast": False}
    return AutoImageProcessor.from_pretrained(checkpoint, **choice)


def normalized(x):
    return x / x.norm(dim=-1, keepdim=True)


def build_head(model, tokenizer, classes, templates):
    """[n_classes, d]: the normalised mean of normalised prompt features, times exp(logit_scale)."""
    rows = []
    for name in classes:
        prompts = [template.replace("{}", name) for template in templates]
        context = model.config.text_config.max_position_embeddings
        batch = tokenizer(
            prompts, padding=True, truncation=True, max_length=context, return_tensors="pt"
        )
        pooled = model.text_model(batch.input_ids, attention_mask=batch.attention_mask).pooler_output
        rows.append(normalized(normalized(model.text_projection(pooled)).mean(0)))
    return torch.stack(rows) * model.logit_scale.exp()


def images(parquet, column):
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size=256, columns=[column]):
        for value in batch.column(0).to_pylist():
            data = value["bytes"] if isinstance(value, dict) else value
            yield Image.open(io.BytesIO(data)).convert("RGB")


def logits_of(model, processor, head, pictures, batch_size):
    batch = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == batch_size:
            yield encode(model, processor, batch) @ head.T
            batch = []
    if batch:
        yield encode(model, processor, batch) @ head.T


def encode(model, processor, pictures):
    pixels = processor(images=pictures, return_tensors="pt").pixel_values
    return normalized(model.visual_projection(model.vision_model(pixels).pooler_output))


@torch.no_grad()
def main():
    args = arguments()
    task = tomllib.loads(args.task.read_text())
    columns = {"image": "image", "label": "label"} | task.get("columns", {})
    run = json.loads(args.predictions.read_text())
    labels = pq.read_table(args.parquet, columns=[columns["label"]]).column(0).to_pylist()
    if run["labels"] != labels:
        sys.exit("the run did not see the rows of this Parquet file, in this order")
    # Every image's best classes, best first.
    ranked = torch.tensor(run["ranked"]).view(len(labels), -1)
    model, report = CLIPModel.from_pretrained(
        args.checkpoint, dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    head = build_head(model, tokenizer, task["class_names"], task["templates"])
    pictures = images(args.parquet, columns["image"])
    processor = pil_processor(args.checkpoint)
    logits = torch.cat(list(logits_of(model, processor, head, pictures, args.batch)))
    theirs = logits.argmax(1)
    equal = theirs == ranked[:, 0]
    equal_ranking = (logits.topk(ranked.shape[1]).indices == ranked).all(1)
    correct = theirs == torch.tensor(labels)
    best = logits.topk(2).values
    margins = best[:, 0] - best[:, -1]
    result = {
        "n": len(labels),
        "equal": equal.float().mean().item(),
        "n_ranked": ranked.shape[1],
        "equal_ranking": equal_ranking.float().mean().item(),
        "n_different_rankings": (~equal_ranking).sum().item(),
        "n_classes_predicted": theirs.unique().numel(),
        "different_rows": (~equal).nonzero().flatten().tolist()[:20],
        "largest_margin_where_different": margins[~equal].max().item() if (~equal).any() else None,
        "accuracy_of_transformers": correct.float().mean().item(),
    }
    print(json.dumps(result))
    sys.exit(result["equal"] < args.at_least or result["equal_ranking"] < args.rankings_at_least)


if __name__ == "__main__":
    main()
