"""One cache, two clients: what this project downloads is used by Python's huggingface_hub and
the other way round. Run by hand; not needed to build or test.

    cargo xtask mirror --dir DIR --port 8300 &
    python tests/reference/hub_cache.py http://127.0.0.1:8300 ours CACHE KIND ID   # after paint
    python tests/reference/hub_cache.py http://127.0.0.1:8300 theirs CACHE KIND ID # before paint

`ours` opens a cache that this project filled: nothing may be fetched again. `theirs` fills a
cache, which `HF_HUB_CACHE=CACHE HF_HUB_OFFLINE=1 cargo xtask …` then opens. Both check every
blob's name against its content, and that Python's scan of the cache has no complaint. Tasks for
`ours` are without `revision`: what is fetched for a pinned commit is under that commit, not `main`.

Outcome with huggingface_hub 2.4.0, mirror and cache of this project: "equal" for
uoft-cs/cifar10, tanganke/gtsrb (both modes), ylecun/mnist, openai/clip-vit-base-patch32
(theirs). Through the same mirror datasets 5.2.0 loads ylecun/mnist, and transformers 5.23.0 the
tokenizer of openai/clip-vit-base-patch32.
"""

import hashlib
import os
import sys
from pathlib import Path

endpoint, mode, cache, kind, repo = sys.argv[1:6]
os.environ["HF_ENDPOINT"] = endpoint
os.environ["HF_HUB_CACHE"] = cache
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ.pop("HF_HUB_OFFLINE", None)
os.environ.pop("HF_TOKEN", None)

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, snapshot_download


def blobs():
    root = Path(cache) / f"{kind}s--{repo.replace('/', '--')}" / "blobs"
    return {p.name: p.stat().st_mtime_ns for p in root.iterdir()} if root.is_dir() else {}


def check(directory):
    for path in sorted(p for p in Path(directory).rglob("*") if p.is_file()):
        etag = Path(os.readlink(path)).name
        data = path.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        assert etag in (hashlib.sha256(data).hexdigest(), git), path


before = blobs()
info = HfApi().repo_info(repo, repo_type=kind)
names = [s.rfilename for s in info.siblings]
if mode == "ours":
    assert before, "this project has downloaded nothing here"
    local = snapshot_download(repo, repo_type=kind, local_files_only=True)
    have = [n for n in names if (Path(local) / n).exists()]
    for name in have:
        path = hf_hub_download(repo, name, repo_type=kind)
        assert Path(path).exists() and path.startswith(local), path
    assert blobs() == before, "Python fetched something again"
    check(local)
    print(f"huggingface_hub {huggingface_hub.__version__}: {len(have)} files of ours used as they are")
else:
    local = snapshot_download(repo, repo_type=kind)
    check(local)
    assert {str(p.relative_to(local)) for p in Path(local).rglob("*") if p.is_file()} == set(names)
    print(f"huggingface_hub {huggingface_hub.__version__}: fetched {len(names)} files")
report = scan_cache_dir(cache)
assert not report.warnings, report.warnings
print("equal")
