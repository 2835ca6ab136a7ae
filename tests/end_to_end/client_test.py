#!/usr/bin/env python3
"""dyadctl against real servers, where something ends in the middle: dyadctl killed, the server killed and
started again; and over TLS. What it prints in quiet times is tested in tests/client."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

from support.server import BUILD, DEMO, SOURCE, Server

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


def answers(path):
    """What stands behind the header, which says when the run began."""
    return path.read_bytes().split(b"\n", 1)[1]


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
    assert answers(torn) == answers(whole)


def check_pairs_over_a_restart(server, folder):
    """A stream of pairs survives the server: sums are those of a quiet run."""
    source, whole, broken = (folder / name for name in ("pairs.jsonl", "a.jsonl", "b.jsonl"))
    write_lines(source, ({"sentence_good": f"The {i} cats sleep.",
                          "sentence_bad": f"The {i} cats sleeps."} for i in range(800)))
    server.ctl("pairs", "--input", str(source), "--output", str(whole))
    streams = folder / "streams.jsonl"
    server.ctl("pairs", "--input", str(source), "--output", str(streams), "--streams", "4")
    assert answers(streams) == answers(whole)

    command = [DYADCTL, "pairs", "--server", server.address, "--input", source, "--output", broken]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_lines(broken, 100, process)
    restart(server)
    _, errors = process.communicate(timeout=60)
    if process.returncode != 0:  # the server was away for longer than dyadctl tries
        again = subprocess.run(command, capture_output=True, text=True)
        assert again.returncode == 0, (errors, again.stderr)
    assert answers(broken) == answers(whole)


def check_standard_output(server):
    """What is printed arrives, or status 1 and one line say that it did not; of every program."""
    at = f"--server={server.address}"
    ctl = [["--help"], ["--version"], ["help", "score"], ["score", at, "A cat."], ["score", at, "A cat.", "--json"],
           ["generate", at, "A cat"], ["generate", at, "A cat", "--json"], ["pairs", at, "A cat.", "Cat a."],
           ["pairs", at, "A cat.", "Cat a.", "--json"], ["tokenize", at, "A cat."], ["detokenize", at, "5"],
           ["tokenize", f"--tokenizer={DEMO}", "A cat."], ["models", at], ["models", at, "--json"], ["health", at],
           ["blimp", at, str(SOURCE / "deploy" / "minimal_pairs.jsonl")]]
    commands = [[DYADCTL, *words] for words in ctl]
    commands += [[BUILD / "bin" / "dyad-server", *words]
                 for words in (["--help"], ["--version"], ["--check", f"--model={DEMO}"])]
    bench = BUILD / "bin" / "dyad-bench"
    if bench.exists():  # needs LibTorch
        result = subprocess.run([bench, "--help"], capture_output=True, text=True)
        assert result.returncode == 0 and "--threads" in result.stdout, result
        commands.append([bench, "--help"])
    for command in commands:
        words = list(map(str, command))
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/full", "wb") as full, open(writer, "wb") as unread:
            outputs = {"full": {"stdout": full}, "unread": {"stdout": unread},
                       "closed": {"preexec_fn": lambda: os.close(1)}}
            for kind, options in outputs.items():
                result = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=60, **options)
                lines = [line for line in result.stderr.splitlines() if "cannot write to standard output" in line]
                assert result.returncode == 1 and len(lines) == 1, (kind, words, result)

    # A reader that goes: the call is cancelled, long before its last token.
    before = server.metric_sum("dyad_generated_tokens_total")
    process = subprocess.Popen([DYADCTL, "generate", at, "Once upon", "--max_new_tokens=450", "--ignore_eos"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.read(5)
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert "cannot write to standard output" in process.stderr.read()
    process.stderr.close()
    time.sleep(0.2)
    assert server.metric_sum("dyad_generated_tokens_total") - before < 450


def check_last_resort(folder):
    """Whatever happens, the last line is dyadctl's own and the status 1 or 2."""
    gone = folder / "gone"
    for words in (["tokenize", "--tokenizer=x", "a"], ["score", "--input=x"], ["blimp", "x"], ["score", "a", "--tls_ca=x"],
                  ["generate", "a", "--logit_bias=" + "[" * 60_000 + "]" * 60_000]):
        gone.mkdir()
        result = subprocess.run([DYADCTL, *words], stderr=subprocess.PIPE, text=True, timeout=60, cwd=gone,
                                preexec_fn=gone.rmdir)
        assert result.returncode in (1, 2), result
        assert result.stderr.splitlines()[-1].startswith(f"dyadctl {words[0]}: "), result


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
        wholes[name] = answers(whole)
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
        broken = answers(folder / f"{name}.broken")
        assert wholes[name].startswith(broken) and broken != wholes[name], name
        if name == "pairs":  # has no --timeout, and would try for seconds
            continue
        nobody = subprocess.run([*runs[name], "--timeout=0.3"], capture_output=True, text=True)
        assert nobody.returncode == 3, (name, nobody.stderr)
        assert answers(folder / f"{name}.broken") == broken, name
    restart(server)
    for name, process in processes.items():
        again = subprocess.run(runs[name], capture_output=True, text=True)
        assert again.returncode == 0, (name, again.stderr)
        assert answers(folder / f"{name}.broken") == wholes[name], name


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
        plaintext = server.ctl("health", check=False)
        assert plaintext.returncode == 1 and "--tls_ca" in plaintext.stderr, plaintext
        assert len(plaintext.stderr.splitlines()) == 1, plaintext
        assert server.ctl("health", *server.tls[:1], check=False).returncode == 1  # no certificate of our own
        assert time.time() - start < 4
        wrong = server.ctl("health", f"--tls_ca={folder}/client.pem", check=False)
        assert wrong.returncode == 1 and "authority" in wrong.stderr, wrong
        assert len(wrong.stderr.splitlines()) == 1, wrong  # none of gRPC's


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Server({"demo": DEMO}, SMALL) as server:
            check_killed_batch(server, folder)
            check_pairs_over_a_restart(server, folder)
            check_lost_server(server, folder)
            check_standard_output(server)
        check_last_resort(folder)
        check_tls(folder)
    print("client: killed batches, restarted servers and TLS work")


if __name__ == "__main__":
    main()
