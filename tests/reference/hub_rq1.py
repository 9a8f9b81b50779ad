"""Question 1 on real photographs through the Hub's protocol: nothing cached, all cached, offline.

    python tests/reference/hub_rq1.py XTASK HUB SCRATCH [OPTION ...]

XTASK is the built runner, HUB a directory for `xtask mirror` with the datasets of photos-small,
SCRATCH an empty directory; options go to `xtask rq1`. The runner reaches the mirror through a proxy
that counts, so that "downloaded", "not downloaded again" and "no connection" are measured. The runs
share no answers, weights or pixels. Fails unless the cold run fetched every file of the three
datasets once, the warm one none, the offline one made no connection, and all wrote the same bytes.
Needs Python alone.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

DATASETS = ("uoft-cs/cifar10", "tanganke/gtsrb", "ylecun/mnist")


class CountingProxy:
    """Forwards TCP connections; knows how many there were and what the server sent."""

    def __init__(self, port):
        self.to, self.connections, self.received = port, 0, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def endpoint(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.forward, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.forward, args=(server, client, True), daemon=True).start()

    def forward(self, source, sink, counted):
        try:
            while data := source.recv(1 << 18):
                if counted:
                    with self.lock:
                        self.received += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def take(self):
        with self.lock:
            taken = self.connections, self.received
            self.connections = self.received = 0
            return taken


def run(xtask, name, scratch, proxy, options, environment):
    """The run's files by name, connections and bytes received."""
    hub = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    hub |= {"HF_ENDPOINT": proxy.endpoint(), "HF_HOME": str(scratch / "home"), "PAINT_RUNS": str(scratch / name)}
    out = scratch / f"run-{name}"
    started = time.time()
    with open(scratch / f"{name}.log", "w") as log:
        subprocess.run([xtask, "rq1", "--suite", "photos-small", "--out", str(out), *options],
                       env=hub | environment, stdout=log, stderr=log, check=True)
    connections, received = proxy.take()
    print(f"{name:<8} {time.time() - started:5.0f} s, {connections:3} connections, {received:>11,} bytes", flush=True)
    files = [out / "run.toml", out / "records.jsonl", *sorted((out / "predictions").rglob("*.json"))]
    return {str(f.relative_to(out)): f.read_bytes() for f in files}, connections, received


def main(xtask, hub, scratch, *options):
    scratch = Path(scratch)
    scratch.mkdir(parents=True)
    files = [f for d in DATASETS for f in (Path(hub) / "datasets" / d).rglob("*") if f.is_file()]
    size = sum(f.stat().st_size for f in files)
    mirror = subprocess.Popen([xtask, "mirror", "--dir", hub, "--port", "0"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        proxy = CountingProxy(int(mirror.stdout.readline().rsplit(":", 1)[1]))
        print(f"{len(files)} files, {size:,} bytes", flush=True)
        cold, _, received = run(xtask, "cold", scratch, proxy, options, {})
        assert size <= received <= size + 200_000, "the cold run fetches every file once"
        warm, connections, received = run(xtask, "warm", scratch, proxy, options, {})
        assert connections > 0 and received < 200_000, "the warm run asks, but fetches nothing again"
        offline, connections, _ = run(xtask, "offline", scratch, proxy, options, {"HF_HUB_OFFLINE": "1"})
        assert connections == 0, "offline is offline"
    finally:
        mirror.terminate()
    for name, other in (("warm", warm), ("offline", offline)):
        different = [f for f in cold | other if cold.get(f) != other.get(f)]
        assert not different, f"{name}: {different}"
    print(f"equal: run.toml, records.jsonl and {len(cold) - 2} files of predictions")


if __name__ == "__main__":
    main(*sys.argv[1:])
