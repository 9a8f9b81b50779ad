"""Question 1 on real photographs through the Hub's protocol: killed, continued, all cached, offline.

    python tests/reference/hub_rq1.py XTASK HUB SCRATCH [OPTION ...]

XTASK is the built runner, HUB a directory for `xtask mirror` with the datasets of photos-small,
SCRATCH an empty directory; options go to `xtask rq1`. The runner reaches the mirror through a proxy
that counts, so that "downloaded", "not downloaded again" and "no connection" are measured. The first
run begins with nothing in the cache, is killed (SIGKILL) once half of the bytes came, and continued.
The runs share no answers, weights or pixels. Fails unless the first fetched every file of the three
datasets once, but for what was on its way as it was killed (at most a tenth), the warm one nothing
but listings (at most 200,000 bytes), the offline one made no connection, and all wrote the same bytes. Needs Python alone.
"""

import os
import signal
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


def start(xtask, name, scratch, proxy, options, environment):
    hub = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    hub |= {"HF_ENDPOINT": proxy.endpoint(), "HF_HOME": str(scratch / "home"), "PAINT_RUNS": str(scratch / name)}
    with open(scratch / f"{name}.log", "a") as log:
        return subprocess.Popen([xtask, "rq1", "--suite", "photos-small", "--out", scratch / f"run-{name}", *options],
                                env=hub | environment, stdout=log, stderr=log)


def report(name, started, proxy):
    connections, received = proxy.take()
    print(f"{name:<8} {time.time() - started:5.0f} s, {connections:3} connections, {received:>11,} bytes", flush=True)
    return connections, received


def kill_at(n_bytes, xtask, scratch, proxy, options):
    """Bytes that came until the run named `cold` was killed."""
    started = time.time()
    process = start(xtask, "cold", scratch, proxy, options, {})
    while proxy.received < n_bytes and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it ended by itself"
    received = report("killed", started, proxy)[1]
    assert received >= n_bytes, "it was killed too early"
    return received


def run(xtask, name, scratch, proxy, options, environment):
    """The run's files by name, connections and bytes received."""
    started, out = time.time(), scratch / f"run-{name}"
    if start(xtask, name, scratch, proxy, options, environment).wait() != 0:
        sys.exit(f"{name} failed, see {scratch / name}.log")
    connections, received = report(name, started, proxy)
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
        before = kill_at(size // 2, xtask, scratch, proxy, options)
        assert before < size, "it was killed too late"
        cold, _, received = run(xtask, "cold", scratch, proxy, options, {})
        assert size <= before + received <= 1.1 * size, "what came before the kill is not fetched again"
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
