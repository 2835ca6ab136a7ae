#!/usr/bin/env python3
"""Every malformed checkpoint is refused before serving, within 5 s, with a last line that names what is
wrong, and without memory of the claimed sizes; the undamaged ones load. A file that is there and cannot be
read is refused too, by the server and by dyadctl: it is not absent."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from support.server import BUILD, FIXTURES

SERVER = BUILD / "bin" / "dyad-server"
DEMO = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "demo_model"
LINKS = {"../blobs/gone": "No such file or directory", "itself": "Too many levels of symbolic links"}


def check(folder):
    """(exit status, seconds, last line on stderr, peak bytes)"""
    start = time.time()
    process = subprocess.Popen([SERVER, "--check", f"--model={folder}"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    lines = errors.strip().splitlines()
    return (os.waitstatus_to_exitcode(status), time.time() - start,
            lines[-1] if lines else "", usage.ru_maxrss * 1024)


def links_that_lead_nowhere():
    """How many of them were passed over."""
    faults = 0
    tokenizer_files = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    for name in ("config.json", "generation_config.json", "model.safetensors", *tokenizer_files):
        for target, reason in LINKS.items():
            with tempfile.TemporaryDirectory() as folder:
                for file in DEMO.iterdir():
                    if file.name != name:
                        os.symlink(file, f"{folder}/{file.name}")
                os.symlink(name if target == "itself" else target, f"{folder}/{name}")
                commands = [[SERVER, "--check", f"--model=m={folder}"]]
                if name in tokenizer_files:
                    commands.append([BUILD / "bin" / "dyadctl", "tokenize", f"--tokenizer={folder}", "Hi"])
                for command in commands:
                    done = subprocess.run(command, capture_output=True, text=True)
                    last = done.stderr.strip().splitlines()[-1:] or [""]
                    if done.returncode != 1 or name not in last[0] or reason not in last[0]:
                        faults += 1
                        print(f"{name} -> {target}: {command[0].name}: status {done.returncode}: {last[0]}")
    return faults


def main():
    faults = links_that_lead_nowhere()
    idle = 0
    for folder in sorted((FIXTURES / "bad_base").iterdir()):
        status, seconds, last, peak = check(folder)
        idle = max(idle, peak)
        if status != 0:
            faults += 1
            print(f"bad_base/{folder.name}: must load, but: {last}")
    for folder in sorted((FIXTURES / "bad").iterdir()):
        status, seconds, last, peak = check(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{folder.name}: {last}")
        if status != 1 or seconds > 5 or not last or peak > idle + 2 * size + (64 << 20):
            faults += 1
            print(f"  FAULT: status {status}, {seconds:.1f} s, peak {peak >> 20} MiB (idle {idle >> 20})")
    print(f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
