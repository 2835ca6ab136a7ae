#!/usr/bin/env python3
"""Every malformed checkpoint is refused before serving, within 5 s, with a last line that names what is
wrong, and without memory of the claimed sizes; the undamaged ones load."""
import os
import subprocess
import sys
import time

from support.server import BUILD, FIXTURES

SERVER = BUILD / "bin" / "dyad-server"


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


def main():
    faults = 0
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
