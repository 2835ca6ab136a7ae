"""Starts the built dyad-server on free loopback ports and talks to it with the built dyadctl."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("DYAD_BUILD_DIR", SOURCE / "build" / "release"))
FIXTURES = BUILD / "fixtures"
DEMO = SOURCE / "deploy" / "demo_model"

sys.path.insert(0, str(BUILD / "python"))


def free_port():
    """A port that nobody has, below those that the system gives to connections as they come: one of those might
    be taken before the server binds it. Browsers refuse some below 10081."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(max(1024, lowest // 2), max(2048, lowest)), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no port is free")


class Server:
    """with Server({"name": folder}, "--threads=2") as server: …"""

    def __init__(self, models, *flags):
        self.address = f"127.0.0.1:{free_port()}"
        self.metrics_port = free_port()
        listed = ",".join(f"{name}={folder}" for name, folder in models.items())
        self.command = [str(BUILD / "bin" / "dyad-server"), f"--listen={self.address}",
                        f"--metrics=127.0.0.1:{self.metrics_port}", f"--model={listed}", *flags]

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        limit = time.time() + 120
        while subprocess.run([BUILD / "bin" / "dyadctl", "health", "--server", self.address],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if self.process.poll() is not None or time.time() > limit:
                raise RuntimeError("the server did not start:\n" + self.output())
            time.sleep(0.05)
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        if kind is not None or status != 0:
            print(self.output()[-4000:], file=sys.stderr)
        self.log.close()
        if kind is None:
            assert status == 0, f"the server ended with status {status} on SIGTERM"

    def output(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def resident_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024

    def metrics(self):
        """{series with its labels: value}"""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
        return {series: float(value) for series, value in rows}

    def metric_sum(self, name, *label_parts):
        """Sum over the series of `name` whose labels contain every one of `label_parts`."""
        return sum(value for series, value in self.metrics().items()
                   if re.split(r"[{ ]", series)[0] == name and all(p in series for p in label_parts))

    def ctl(self, *arguments, check=True, **options):
        command, *rest = arguments
        result = subprocess.run([BUILD / "bin" / "dyadctl", command, "--server", self.address, *rest],
                                capture_output=True, text=True, **options)
        if check and result.returncode:
            raise RuntimeError(f"dyadctl {' '.join(map(str, arguments))}: {result.stderr}")
        return result

    def batch(self, command, lines, *flags, check=True):
        """Runs one dyadctl batch over `lines` (dicts) and returns the answers."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "in.jsonl")
            source.write_text("".join(json.dumps(line) + "\n" for line in lines))
            run = self.ctl(command, "--input", str(source), *flags, check=check)
            return [json.loads(line) for line in run.stdout.split("\n")[:-1]]
