#!/usr/bin/env python3
"""dyadctl against real servers, where something ends in the middle: dyadctl killed, the server killed and
started again; and over TLS. What it prints in quiet times is tested in tests/client."""
import json
import pathlib
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
    restart(server)
    _, errors = process.communicate(timeout=60)
    if process.returncode != 0:  # the server was away for longer than dyadctl tries
        again = subprocess.run(command, capture_output=True, text=True)
        assert again.returncode == 0, (errors, again.stderr)
    assert broken.read_bytes() == whole.read_bytes()


def kill(server):
    """No goodbye to anybody."""
    server.process.kill()
    server.process.wait()


def restart(server):
    kill(server)
    server.log.close()
    server.__enter__()


def check_lost_server(server, folder):
    """A server that goes away leaves answers alone in every command's output; the same command goes on."""
    texts = [f"The old man told story number {i}." for i in range(4000)]
    lines = {"score": [{"text": text} for text in texts[:500]],
             "generate": [{"text": text, "max_new_tokens": 4, "temperature": 1, "seed": i}
                          for i, text in enumerate(texts[:300])],
             "pairs": [{"sentence_good": text, "sentence_bad": text[:-1]} for text in texts[:1000]],
             "tokenize": [{"text": text} for text in texts],
             "detokenize": [{"ids": [i, i + 1]} for i in range(3, 4003)]}
    wholes, runs = {}, {}
    for name, batch in lines.items():
        source, whole, broken = (folder / f"{name}.{part}" for part in ("in", "whole", "broken"))
        write_lines(source, batch)
        server.ctl(name, "--input", str(source), "--output", str(whole))
        wholes[name] = whole.read_bytes()
        runs[name] = [DYADCTL, name, f"--server={server.address}", f"--input={source}", f"--output={broken}"]
    processes = {name: subprocess.Popen([*command, "--concurrency=1"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
                 for name, command in runs.items()}
    for name, process in processes.items():
        wait_for_lines(folder / f"{name}.broken", 5, process)
    kill(server)
    for name, process in processes.items():
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 3 and " this goes on: " in errors, (name, errors)
        broken = (folder / f"{name}.broken").read_bytes()
        assert wholes[name].startswith(broken) and broken != wholes[name], name
        wrong = subprocess.run([*runs[name], "--timeout=0.3"], capture_output=True, text=True)  # nobody there
        assert wrong.returncode == 3, (name, wrong.stderr)
        assert (folder / f"{name}.broken").read_bytes() == broken, name
    restart(server)
    for name, process in processes.items():
        again = subprocess.run(runs[name], capture_output=True, text=True)
        assert again.returncode == 0, (name, again.stderr)
        assert (folder / f"{name}.broken").read_bytes() == wholes[name], name


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
            check_pairs_over_a_restart(server, folder)
            check_lost_server(server, folder)
        check_tls(folder)
    print("client: killed batches, restarted servers and TLS work")


if __name__ == "__main__":
    main()
