"""PyTorch doing the work of `cargo xtask bench`: one JSON request a line, one answer a line.

Needs torch and transformers. Started by `cargo xtask bench --against torch`; the first line it
prints says what it is. The model is `transformers.CLIPModel` with random weights, its attention the
fused one (sdpa), its optimiser the fused AdamW: the fastest that PyTorch has by default means.
"""

import json
import subprocess
import sys
import time

import bench_peer_pixels
import torch
import transformers

N_CLASSES = 100
cases = {}


def clip(config):
    # transformers calls the width of the projection by the same name in both towers.
    config = dict(config)
    for tower in ("vision_config", "text_config"):
        config[tower] = {**config[tower], "projection_dim": config["projection_dim"]}
    return transformers.CLIPModel(transformers.CLIPConfig(**config))


def features(model, pixels):
    return model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)


def noise(config, batch):
    size = config["vision_config"]["image_size"]
    return torch.randn(batch, 3, size, size)


class Forward:
    def __init__(self, config, batch):
        self.model = clip(config).eval()
        self.pixels = noise(config, batch)

    @torch.inference_mode()
    def measure(self):
        start = time.perf_counter()
        features(self.model, self.pixels)
        return len(self.pixels) / (time.perf_counter() - start)


class Training:
    """Image side against a frozen head, as in fine-tuning."""

    def __init__(self, config, batch):
        self.model = clip(config).train()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith(("vision_model.", "visual_projection.")))
        self.learning = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learning, lr=1e-6, weight_decay=0.1, fused=True)
        self.head = 100 * torch.nn.functional.normalize(
            torch.randn(N_CLASSES, config["projection_dim"]), dim=-1
        )
        self.pixels = noise(config, batch)
        self.labels = torch.arange(batch) % N_CLASSES

    def measure(self):
        start = time.perf_counter()
        image = torch.nn.functional.normalize(features(self.model, self.pixels), dim=-1)
        loss = torch.nn.functional.cross_entropy(image @ self.head.T, self.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learning, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return len(self.pixels) / (time.perf_counter() - start)


class PeakMemory:
    """Of a process of its own that trains three steps, in MB."""

    def __init__(self, config, batch):
        self.request = json.dumps({"work": "memory_here", "config": config, "batch": batch,
                                   "threads": torch.get_num_threads()})

    def measure(self):
        child = subprocess.run([sys.executable, __file__], input=self.request + "\n", text=True,
                               stdout=subprocess.PIPE, check=True)
        return json.loads(child.stdout.splitlines()[1])["value"]


class MemoryHere(Training):
    def measure(self):
        for _ in range(3):
            super().measure()
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1000


class Preprocess:
    def __init__(self, directory, workers):
        self.arguments = directory, workers

    def measure(self):
        return bench_peer_pixels.preprocess(*self.arguments)


class Interpolate:
    def __init__(self, a, b, out, durable):
        self.arguments = {"a": a, "b": b, "out": out, "durable": durable}

    def measure(self):
        return bench_peer_pixels.interpolate(**self.arguments)


WORK = {
    "preprocess": Preprocess,
    "interpolate": Interpolate,
    "vision_forward": Forward,
    "forward_latency": Forward,
    "training_step": Training,
    "peak_memory": PeakMemory,
    "memory_here": MemoryHere,
}


def answer(line):
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    if line not in cases:
        cases.clear()  # one model at a time in memory
        work, _ = WORK[request.pop("work")], request.pop("threads")
        cases[line] = work(**request)
    return {"value": cases[line].measure()}


print(f"torch {torch.__version__}, transformers {transformers.__version__}", flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(answer(line)), flush=True)
    except Exception as error:  # whatever it is, the asker is told
        print(json.dumps({"error": repr(error)}), flush=True)
