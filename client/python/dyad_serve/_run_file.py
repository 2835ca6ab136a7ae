"""The file of a run: its header, then an answer a line, in order. What dyadctl began is gone on with, and the other
way round: only whole answers count, and a torn end is cut off."""
from __future__ import annotations

import os
import stat
from typing import BinaryIO

from dyad_serve import _json, _run_header, errors


class RunFile:
    """Open for one run, and locked until `close`. answers: how many it has.

    DyadError, and nothing is touched: the file is of another run (RunMismatch), has no header, is written by another
    process, or is the input.
    """

    def __init__(self, path: _json.Path, header: _json.Object, input_path: str) -> None:
        self.path = os.fspath(path)
        self.answers = 0
        self._file: BinaryIO = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")  # noqa: SIM115
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise self._fault("it is no file in which answers are found again")
            if _is_part(self.path, input_path):
                raise self._fault("it is the input, or lies in it")
            self._lock()
            end = self._read(header)
            self._file.seek(end)
            self._file.truncate()
            if end == 0:
                self._file.write(_run_header.line(header).encode())
                self._file.flush()
                os.fsync(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    def append(self, answer: _json.Object) -> None:
        self._file.write(_json.format_line(answer).encode() + b"\n")
        self._file.flush()
        self.answers += 1

    def check_open(self) -> None:
        """Raises ValueError after close."""
        if self._file.closed:
            raise ValueError(f"the run of {self.path} was closed; make it anew to go on")

    def close(self) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._fault("it is being written by another run") from None

    def _read(self, header: _json.Object) -> int:
        """Where the last whole answer ends; 0 if not even a header is whole."""
        first = self._file.readline()
        if not first.endswith(b"\n"):
            start = _json.HEADER_START
            if not first or first[:len(start)] == start[:len(first)] and not _is_json(first):
                return 0
        _run_header.check_same(_run_header.read(first, self.path), header, self.path)
        if not first.endswith(b"\n"):
            return 0
        end = self._file.tell()
        while (line := self._file.readline()).endswith(b"\n"):
            if not _is_json(line) or _json.parse_line(line).get("run") != header["run"]:
                raise self._fault(f"answer {self.answers + 1} is none of this run")
            self.answers += 1
            end += len(line)
        if self.answers > header["input"]["items"]:
            raise self._fault(f"it has more answers than the {header['input']['items']} lines of the input")
        return end

    def _fault(self, what: str) -> errors.DyadError:
        return errors.make("FAILED_PRECONDITION", f"{self.path} cannot be gone on with: {what}")


def _is_json(line: bytes) -> bool:
    try:
        _json.parse_line(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_part(path: str, input_path: str) -> bool:
    if not os.path.isdir(input_path):
        return os.path.samefile(path, input_path)
    folder = os.path.realpath(input_path)
    return os.path.commonpath([folder, os.path.realpath(path)]) == folder
