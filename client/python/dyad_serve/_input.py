"""The lines that a run answers: of a file, a folder or an archive."""
from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import hashlib
import io
import itertools
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Union

from dyad_serve import _csv, _json, errors

_PIECE = 1 << 20
# As dyadctl: of one line, and of all files of an archive.
_MAX_LINE_BYTES = 64 << 20
_MAX_ARCHIVE_BYTES = 1 << 30
# What readers of compressed files raise.
_BROKEN = EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile


class Input:
    """Lines of JSON, or the records of a JSON array, CSV or TSV; blank lines and headers of runs are none. `count` is how
    many there are, `columns` the names that a table begins with (of JSON those of the first line).

    path      a file, perhaps compressed; with `file_key` also a folder or archive, of which the files of one format are
              read in the order of their names
    file_key  a line without this key gets the name of its file as that; None: lines stay as they are
    limit     at most so many lines of each file
    check     raises ValueError for a line that cannot be asked for
    format    "jsonl", "csv" or "tsv"; None: as the file's name says
    renamed   a line's keys by the names that they get
    json      columns of CSV and TSV whose cells are JSON

    DyadError names file, line and fault of the first line that is bad; OSError a file that cannot be read.
    """

    def __init__(self, path: _json.Path, file_key: str | None, limit: int | None,
                 check: Callable[[_json.Object], object], format: str | None = None,
                 renamed: Mapping[str, str] | None = None, json: Sequence[str] = ()) -> None:
        self.path = os.fspath(path)
        self._file_key, self._limit, self._format = file_key, limit, format
        self._renamed, self._json = dict(renamed or {}), json
        inside = format or "jsonl"
        self._names = _names(self.path, inside) if file_key is not None and os.path.isdir(self.path) else None
        self._packed = None if file_key is None or self._names is not None else _unpacked(self.path, inside, format is not None)
        self.count, self.columns = 0, list[str]()
        for line in self._lines(check):
            self.count += 1
        if file_key is not None and self.count == 0:
            raise errors.make("INVALID_ARGUMENT", f"{self.path} has no lines")

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
            kind = self._format if self._format or self._names or self._packed else format_of_name(name)
            with stream:
                records = _records(stream, kind or "jsonl", self._json, self.columns)
                for taken in itertools.count():
                    if taken == self._limit:
                        break
                    place = ""
                    try:
                        found = next(records, None)
                        if found is None:
                            break
                        place, item = f"{found[0]}: ", found[1]
                        value = _renamed(item() if callable(item) else item, self._renamed)
                        if self._file_key is not None:
                            value.setdefault(self._file_key, stem(name))
                        self.columns[:] = self.columns or list(value)
                        check(value)
                    except _BROKEN as error:
                        raise errors.make("INVALID_ARGUMENT", f"{name}: cannot be unpacked ({error})") from None
                    except (ValueError, TypeError, RecursionError) as error:
                        raise errors.make("INVALID_ARGUMENT", f"{name}: {place}{error}") from None
                    yield value


# Where a record stands, and the record, or what reads it.
_Record = tuple[str, Union[_json.Object, Callable[[], _json.Object]]]


def _records(stream: IO[bytes], kind: str, json_columns: Sequence[str], columns: list[str]) -> Iterator[_Record]:
    """`columns` gets those of a table."""
    if kind != "jsonl":
        yield from _cells(stream.read(), _csv.SEPARATORS[kind], json_columns, columns)
        return
    lines = iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b"")
    begin = b""
    for line in lines:
        begin += line
        if line.removeprefix(b"\xef\xbb\xbf").strip():
            break
    if begin.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from _items(begin + stream.read(_MAX_LINE_BYTES + 1))
        return
    yield from _json_lines(itertools.chain(io.BytesIO(begin), lines))


def _json_lines(lines: Iterable[bytes]) -> Iterator[_Record]:
    for number, line in enumerate(lines, 1):
        if _json.is_item(line):
            yield f"line {number}", functools.partial(_parsed, line)


def _parsed(line: bytes) -> _json.Object:
    if len(line) > _MAX_LINE_BYTES:
        raise ValueError(f"it has more than {_MAX_LINE_BYTES} bytes")
    if b"\0" in line:
        raise ValueError("a zero byte: a binary file, or UTF-16")
    return _json.parse_line(line)


def _items(content: bytes) -> Iterator[_Record]:
    if len(content) > _MAX_LINE_BYTES:
        raise ValueError(f"a JSON array of more than {_MAX_LINE_BYTES} bytes; lines of JSON may be more")
    for number, item in enumerate(_json.parse(content), 1):
        if not isinstance(item, dict):
            raise ValueError(f"item {number}: must be a JSON object, found: {_json.kind(item)}")
        yield f"item {number}", item


def _cells(content: bytes, separator: str, json_columns: Sequence[str], columns: list[str]) -> Iterator[_Record]:
    records = _csv.records(content, separator)
    head = next(records, None)
    if head is None:
        raise ValueError("is empty: its first line must name the columns")
    columns[:] = head.cells
    for number, name in enumerate(columns):
        if name in columns[:number]:
            raise ValueError(f"line {head.line}, column {number + 1}: the name '{name}' stands twice")
    for record in records:
        if len(record.cells) != len(columns):
            raise ValueError(f"line {record.line}, column {min(len(record.cells), len(columns)) + 1}: the record has "
                             f"{len(record.cells)} columns, the first line {len(columns)}")
        yield f"line {record.line}", functools.partial(_row, head.cells, record.cells, json_columns)


def _row(columns: Sequence[str], cells: Sequence[str], json_columns: Sequence[str]) -> _json.Object:
    row: _json.Object = dict(zip(columns, cells))
    for name in json_columns:
        if name in row:
            try:
                row[name] = _json.parse(row[name].encode()) if row[name] else None
            except ValueError as error:
                raise ValueError(f"the column {name} must hold JSON, found '{row[name]}': {error}") from None
    return row


def _renamed(line: _json.Object, names: Mapping[str, str]) -> _json.Object:
    """The line with its keys under the names that they get: {ours: theirs}."""
    if not names:
        return line
    ours = {theirs: name for name, theirs in names.items()}
    renamed: _json.Object = {}
    for key, value in line.items():
        if ours.get(key, key) in renamed:
            raise ValueError(f"has the key '{ours.get(key, key)}' beside '{key}', which columns gives that name")
        renamed[ours.get(key, key)] = value
    for name, theirs in names.items():
        if name not in renamed:
            raise ValueError(f"lacks the key '{theirs}' of columns")
    return renamed


def stem(name: str) -> str:
    """A file's name without folders and endings."""
    return os.path.splitext(os.path.basename(name).removesuffix(".gz"))[0]


def format_of_name(name: str, *, output: bool = False) -> str | None:
    """As a file's ending says; an input may be .json, too."""
    ending = os.path.splitext(name.removesuffix(".gz"))[1]
    if ending == ".json" and not output:
        return "jsonl"
    return ending[1:] if ending in (".jsonl", ".csv", ".tsv") else None


def _is_inside(name: str, kind: str) -> bool:
    """Whether a file in a folder or archive is one of a benchmark."""
    base = os.path.basename(name)
    return format_of_name(base, output=True) == kind and not base.startswith("._")


def _names(folder: str, kind: str) -> list[str]:
    """Of the files below, from there."""
    found = [os.path.relpath(os.path.join(parent, name), folder)
             for parent, _, names in os.walk(folder) for name in names if _is_inside(name, kind)]
    if not found:
        raise errors.make("NOT_FOUND", f"no *.{kind} in {folder}")
    return sorted(found, key=os.fsencode)


def _opened(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        begin = file.read(6)
    opens: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
    for magic, opener in opens.items():
        if begin.startswith(magic):
            return opener(path, "rb")  # type: ignore[no-any-return]
    return open(path, "rb")


def _unpacked(path: str, kind: str, is_told: bool) -> dict[str, bytes] | None:
    """The files of a tar or zip archive by their names; None for another file, whose name or caller tells its format."""
    files: dict[str, bytes] = {}
    left = _MAX_ARCHIVE_BYTES

    def add(name: str, size: int, stream: Any) -> None:
        nonlocal left
        left -= size
        if left < 0:
            raise errors.make("RESOURCE_EXHAUSTED", f"{path}: more than {_MAX_ARCHIVE_BYTES} bytes of *.{kind}")
        with stream:
            files[name] = stream.read(size + 1)

    with contextlib.ExitStack() as stack:
        try:
            if zipfile.is_zipfile(path):
                zipped = stack.enter_context(zipfile.ZipFile(path))
                for info in zipped.infolist():
                    if _is_inside(info.filename, kind) and not info.is_dir():
                        add(info.filename, info.file_size, zipped.open(info))
            elif tarfile.is_tarfile(path):
                packed = stack.enter_context(tarfile.open(path))
                for member in packed:
                    if not _is_inside(member.name, kind) or member.isdir():
                        continue
                    if not member.isfile():
                        raise errors.make("INVALID_ARGUMENT", f"{path}: {member.name} inside is a link or device")
                    add(member.name, member.size, packed.extractfile(member))
            elif is_told or format_of_name(path):
                return None
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise errors.make("INVALID_ARGUMENT", f"{path}: {error}") from None
    if not files:
        raise errors.make("INVALID_ARGUMENT", f"{path} is no archive with *.{kind} files, and none itself")
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
