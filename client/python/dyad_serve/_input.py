"""The lines that a run answers: of a file, a folder or an archive."""
from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from dyad_serve import _json, errors

_PIECE = 1 << 20
# As dyadctl: of one line, and of all files of an archive.
_MAX_LINE_BYTES = 64 << 20
_MAX_ARCHIVE_BYTES = 1 << 30


class Input:
    """Lines of JSON; blank ones and headers of runs are none. `count` is how many there are.

    path      a file of lines, perhaps compressed; with `file_key` also a folder or archive, of which *.jsonl and
              *.jsonl.gz are read in the order of their names
    file_key  a line without this key gets the name of its file as that; None: lines stay as they are
    limit     at most so many lines of each file
    check     raises ValueError for a line that cannot be asked for

    DyadError names file, line and fault of the first line that is bad; OSError a file that cannot be read.
    """

    def __init__(self, path: _json.Path, file_key: str | None, limit: int | None,
                 check: Callable[[_json.Object], object]) -> None:
        self.path = os.fspath(path)
        self._file_key, self._limit = file_key, limit
        self._names = _names(self.path) if file_key is not None and os.path.isdir(self.path) else None
        self._packed = _unpacked(self.path) if file_key is not None and self._names is None else None
        self.count = 0
        for line in self._lines(check):
            self.count += 1

    def __iter__(self) -> Iterator[_json.Object]:
        return self._lines(lambda line: None)

    def description(self) -> _json.Object:
        """{"name", "sha256", "bytes", "items"} of the run's header."""
        if self._names is None:
            digest, size = _digest(self.path)
        else:
            files = [(name, *_digest(os.path.join(self.path, name))) for name in self._names]
            lines = "".join(_sum_line(digest, name) for name, digest, _ in files)
            digest, size = hashlib.sha256(os.fsencode(lines)).hexdigest(), sum(size for *_, size in files)
        return {"name": self.path, "sha256": digest, "bytes": size, "items": self.count}

    def _files(self) -> Iterator[tuple[str, IO[bytes]]]:
        if self._packed is not None:
            for name, content in self._packed.items():
                yield name, io.BytesIO(content)
        elif self._names is not None:
            for name in self._names:
                yield name, _opened(os.path.join(self.path, name))
        else:
            yield os.path.basename(self.path), _opened(self.path)

    def _lines(self, check: Callable[[_json.Object], object]) -> Iterator[_json.Object]:
        for name, stream in self._files():
            taken = 0
            with stream:
                for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b""), 1):
                    if taken == self._limit:
                        break
                    if not _json.is_item(line):
                        continue
                    try:
                        if len(line) > _MAX_LINE_BYTES:
                            raise ValueError(f"it has more than {_MAX_LINE_BYTES} bytes")
                        value = _json.parse_line(line)
                        if self._file_key is not None:
                            value.setdefault(self._file_key, _stem(name))
                        check(value)
                    except (ValueError, TypeError, RecursionError) as error:
                        raise errors.make("INVALID_ARGUMENT", f"{name}: line {number}: {error}") from None
                    taken += 1
                    yield value


def _stem(name: str) -> str:
    """A file's name without its endings; empty if it is no file of a benchmark."""
    base = os.path.basename(name).removesuffix(".gz")
    return base.removesuffix(".jsonl") if base.endswith(".jsonl") and not base.startswith("._") else ""


def _names(folder: str) -> list[str]:
    """Of the files below, from there."""
    found = [os.path.relpath(os.path.join(parent, name), folder)
             for parent, _, names in os.walk(folder) for name in names if _stem(name)]
    if not found:
        raise errors.make("NOT_FOUND", f"no *.jsonl in {folder}")
    return sorted(found, key=os.fsencode)


def _opened(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        begin = file.read(6)
    opens: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
    for magic, opener in opens.items():
        if begin.startswith(magic):
            return opener(path, "rb")  # type: ignore[no-any-return]
    return open(path, "rb")


def _unpacked(path: str) -> dict[str, bytes] | None:
    """The files of a tar or zip archive by their names; None for another file."""
    files: dict[str, bytes] = {}
    left = _MAX_ARCHIVE_BYTES

    def add(name: str, size: int, stream: Any) -> None:
        nonlocal left
        left -= size
        if left < 0:
            raise errors.make("RESOURCE_EXHAUSTED", f"{path}: more than {_MAX_ARCHIVE_BYTES} bytes of *.jsonl")
        with stream:
            files[name] = stream.read(size + 1)

    with contextlib.ExitStack() as stack:
        try:
            if zipfile.is_zipfile(path):
                zipped = stack.enter_context(zipfile.ZipFile(path))
                for info in zipped.infolist():
                    if _stem(info.filename):
                        add(info.filename, info.file_size, zipped.open(info))
            elif tarfile.is_tarfile(path):
                packed = stack.enter_context(tarfile.open(path))
                for member in packed:
                    if not _stem(member.name) or member.isdir():
                        continue
                    if not member.isfile():
                        raise errors.make("INVALID_ARGUMENT", f"{path}: {member.name} inside is a link or device")
                    add(member.name, member.size, packed.extractfile(member))
            elif _stem(path):
                return None
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise errors.make("INVALID_ARGUMENT", f"{path}: {error}") from None
    if not files:
        raise errors.make("INVALID_ARGUMENT", f"{path} is no archive with *.jsonl files, and none itself")
    return {name: files[name] for name in sorted(files, key=os.fsencode)}


def _digest(path: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _sum_line(digest: str, name: str) -> str:
    """As sha256sum prints it."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"
