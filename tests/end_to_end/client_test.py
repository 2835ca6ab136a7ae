#!/usr/bin/env python3
"""dyadctl against real servers, where something ends in the middle: dyadctl killed, the server killed and
started again; and over TLS. What it prints in quiet times is tested in tests/client."""
import json
import pathlib
import signal
import subprocess
import tempfile
import time

from support.server import BUILD, DEMO, Server

DYADCTL = BUILD / "bin" / "dyadctl"
SMALL = "--kv_cache_bytes=33554432"


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def wait_for_lines(path, count, process):
    """Until the file has that many lines; the process must still be at work then."""
    limit = time.time() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, "dyadctl ended before it could be interrupted"
        assert time.time() < limit
        time.sleep(0.005)


def check_killed_batch(server, folder):
    """A batch that is killed and run again has the bytes of one that was not."""
    source, whole, torn = folder / "in.jsonl", folder / "whole.jsonl", folder / "torn.jsonl"
    write_lines(source, ({"text": f"The old man told story number {i}."} for i in range(600)))
    server.ctl("score", "--input", str(source), "--output", str(whole))
    command = [DYADCTL, "score", "--server", server.address, "--input", source, "--output", torn,
               "--concurrency", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for_lines(torn, 50, process)
    process.kill()
    process.wait()
    with torn.open("ab") as file:
        file.write(b'{"ids":[2,4')  # what a kill in the middle of a write would leave
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "lines were in the output already" in result.stderr, result.stderr
    assert torn.read_bytes() == whole.read_bytes()


def check_pairs_over_a_restart(server, folder):
    """A stream of pairs survives the server: sums are those of a quiet run."""
    source, whole, broken = (folder / name for name in ("pairs.jsonl", "a.jsonl", "b.jsonl"))
    write_lines(source, ({"sentence_good": f"The {i} cats sleep.",
                          "sentence_bad": f"The {i} cats sleeps."} for i in range(800)))
    server.ctl("pairs", "--input", str(source), "--output", str(whole))
    streams = folder / "streams.jsonl"
    server.ctl("pairs", "--input", str(source), "--output", str(streams), "--streams", "4")
    assert streams.read_bytes() == whole.read_bytes()

    command = [DYADCTL, "pairs", "--server", server.address, "--input", source, "--output", broken]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_lines(broken, 100, process)
    server.process.kill()  # no goodbye to anybody
    server.process.wait()
    with Server({"demo": DEMO}, SMALL) as second:  # says how to start; takes the address of the first
        second.process.send_signal(signal.SIGTERM)
        second.process.wait()
        command_line = [word if not word.startswith("--listen=") else f"--listen={server.address}"
                        for word in second.command]
        second.process = subprocess.Popen(command_line, stdout=second.log, stderr=second.log)
        _, errors = process.communicate(timeout=60)
        if process.returncode != 0:  # the server was away for longer than dyadctl tries
            again = subprocess.run(command, capture_output=True, text=True)
            assert again.returncode == 0, (errors, again.stderr)
    assert broken.read_bytes() == whole.read_bytes()


def make_certificates(folder):
    """An authority, and a certificate by it for the server and one for the client."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names")


class TlsServer(Server):
    """Server waits for readiness in plaintext; this one can only be asked with a certificate."""

    def __init__(self, folder, *flags):
        super().__init__({"demo": DEMO}, SMALL, *flags)
        self.tls = [f"--tls_ca={folder}/ca.pem", f"--tls_cert={folder}/client.pem",
                    f"--tls_key={folder}/client.key"]

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        limit = time.time() + 60
        while self.ctl("health", *self.tls, check=False).returncode:
            assert self.process.poll() is None and time.time() < limit, self.output()
            time.sleep(0.1)
        return self


def check_tls(folder):
    make_certificates(folder)
    with TlsServer(folder, f"--tls_cert={folder}/server.pem", f"--tls_key={folder}/server.key",
                   f"--tls_ca={folder}/ca.pem") as server:
        assert "sum" in server.ctl("score", "A cat.", *server.tls).stdout
        start = time.time()
        for flags in ([], server.tls[:1]):  # plaintext; no certificate of our own
            assert server.ctl("health", *flags, check=False).returncode == 1
        assert time.time() - start < 4


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Server({"demo": DEMO}, SMALL) as server:
            check_killed_batch(server, folder)
        first = Server({"demo": DEMO}, SMALL)
        first.__enter__()
        try:
            check_pairs_over_a_restart(first, folder)
        finally:
            first.process.kill()
            first.process.wait()
            first.log.close()
        check_tls(folder)
    print("client: killed batches, restarted servers and TLS work")


if __name__ == "__main__":
    main()
