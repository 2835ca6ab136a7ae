"""The file of a run: its header, then an answer a line, in order. What dyadctl began is gone on with, and the other
way round: only whole answers count, and a torn end is cut off."""
from __future__ import annotations

import os
import stat
import tempfile
from typing import BinaryIO

from dyad_serve import _json, _rows, _run_header, errors

# Of the file that has the header of a table.
HEADER_SUFFIX = ".run.json"


class RunFile:
    """Open for one run, and locked until `close`. answers: how many it has; again: numbers of those that were errors and
    are asked again.

    layout        of answers that are rows; None: an answer is a line
    retry_errors  whether errors are asked again

    DyadError, and nothing is touched: the file is of another run (RunMismatch), has no header, is written by another
    process, or is the input.
    """

    def __init__(self, path: _json.Path, header: _json.Object, input_path: str, layout: _rows.Layout | None = None,
                 retry_errors: bool = False) -> None:
        self.path, self._layout, self._retries = os.fspath(path), layout, retry_errors
        self.again: set[int] = set()
        self._begins: list[int] = []  # of answers that were there
        self._replaced: dict[int, bytes] = {}
        self._file: BinaryIO = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")  # noqa: SIM115
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise self._fault("it is no file in which answers are found again")
            if _is_part(self.path, input_path):
                raise self._fault("it is the input, or lies in it")
            self._lock()
            self._end = self._read(header)
            self._file.seek(self._end)
            self._file.truncate()
            if self._end == 0:
                self._write_head(header)
        except BaseException:
            self._file.close()
            raise
        self.answers = len(self._begins)

    def append(self, number: int, text: str) -> None:
        """The answer of line `number`, with its line feeds: the next one, or one of `again`."""
        if number in self.again:
            self._replaced[number] = text.encode()
            return
        self._file.write(text.encode())
        self._file.flush()
        self.answers += 1

    def check_open(self) -> None:
        """Raises ValueError after close."""
        if self._file.closed:
            raise ValueError(f"the run of {self.path} was closed; make it anew to go on")

    def close(self) -> None:
        """Lets go of the file. New answers in the place of errors get there now, by a copy that takes its place."""
        if self._file.closed:
            return
        try:
            if self._replaced:
                self._write_replaced()
        finally:
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
        if self._layout is not None and self._layout.separator:
            at = self._read_columns(self._layout, header)
        else:
            at = self._read_header(header)
        if at == 0:
            return 0
        end = self._read_lines(header, at) if self._layout is None else self._read_rows(self._layout, header, at)
        if len(self._begins) > header["input"]["items"]:
            raise self._fault(f"it has more answers than the {header['input']['items']} lines of the input")
        return end

    def _read_header(self, header: _json.Object) -> int:
        first = self._file.readline()
        if not first.endswith(b"\n"):
            start = _json.HEADER_START
            if not first or first[:len(start)] == start[:len(first)] and not _is_json(first):
                return 0
        _run_header.check_same(_run_header.read(first, self.path), header, self.path)
        return self._file.tell() if first.endswith(b"\n") else 0

    def _read_columns(self, layout: _rows.Layout, header: _json.Object) -> int:
        """Of a table the header stands beside it."""
        there = self._header_beside()
        if there is not None:
            _run_header.check_same(there, header, self.path)
        elif self._file.read(1):
            raise self._fault(f"it has no header of a run beside it, {self.path}{HEADER_SUFFIX}")
        self._file.seek(0)
        head = layout.head().encode()
        found = self._file.read(len(head))
        if found != head[:len(found)]:
            raise self._fault("its columns are not those of this run")
        return len(head) if found == head else 0

    def _header_beside(self) -> _json.Object | None:
        try:
            with open(self.path + HEADER_SUFFIX, "rb") as file:
                return _run_header.read(file.read(), self.path + HEADER_SUFFIX)
        except FileNotFoundError:
            return None

    def _read_lines(self, header: _json.Object, end: int) -> int:
        while (line := self._file.readline()).endswith(b"\n"):
            answer = _json.parse_line(line) if _is_json(line) else {}
            if answer.get("run") != header["run"]:
                raise self._fault(f"answer {len(self._begins) + 1} is none of this run")
            if "error" in answer and self._retries:
                self.again.add(len(self._begins))
            self._begins.append(end)
            end += len(line)
        return end

    def _read_rows(self, layout: _rows.Layout, header: _json.Object, end: int) -> int:
        """The last item's rows are made again, as nobody can tell whether they are all there; an error is one row."""
        self._file.seek(0)
        first: _rows.OldRow | None = None  # of the item that is read
        try:
            for row in layout.old_rows(self._file.read(), end, header["run"]):
                if first is not None and row.item < first.item:
                    raise self._fault(f"rows of item {row.item} stand behind those of item {first.item}")
                if first is None or row.item > first.item:
                    self._add_item(first)
                    first, end = row, row.begin
        except errors.DyadError as error:
            raise error if self.path in error.message else self._fault(error.message) from None
        if first is not None and first.is_error:
            self._add_item(first)
            end = first.end
        return end

    def _add_item(self, first: _rows.OldRow | None) -> None:
        """And those before it that have no rows."""
        if first is None:
            return
        self._begins += [first.begin] * (first.item + 1 - len(self._begins))
        if first.is_error and self._retries:
            self.again.add(first.item)

    def _write_head(self, header: _json.Object) -> None:
        head = _run_header.line(header)
        if self._layout is not None and self._layout.separator:
            if self._header_beside() is None:
                with open(self.path + HEADER_SUFFIX, "x", encoding="utf-8") as file:
                    file.write(head)
            head = self._layout.head()
        self._file.write(head.encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write_replaced(self) -> None:
        self._file.seek(0)
        old = self._file.read()
        target = os.path.realpath(self.path)  # a link stays one
        handle, copy = tempfile.mkstemp(prefix=f"{os.path.basename(target)}.", dir=os.path.dirname(target))
        try:
            with open(handle, "wb") as fresh:
                os.chmod(copy, stat.S_IMODE(os.fstat(self._file.fileno()).st_mode))
                at = 0
                for number, text in sorted(self._replaced.items()):
                    fresh.write(old[at:self._begins[number]] + text)
                    at = self._begins[number + 1] if number + 1 < len(self._begins) else self._end
                fresh.write(old[at:])
                fresh.flush()
                os.fsync(handle)
            os.replace(copy, target)
        except BaseException:
            os.unlink(copy)
            raise

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
