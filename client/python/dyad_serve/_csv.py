"""Tables of text, as client/csv.h has them: RFC 4180, a byte order mark in front, CRLF or LF, line breaks in quotes."""
from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

SEPARATORS = {"csv": ",", "tsv": "\t"}
_QUOTED = '"[^"\0]*(?:""[^"\0]*)*'
_MARK = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """Cells; its first line, from 1; the byte behind it; whether it ended with a line feed."""

    cells: list[str]
    line: int
    end: int
    ended: bool


class Fault(ValueError):
    """What is wrong, and where: `text` ends there, in an open quote or not."""

    def __init__(self, line: int, column: int, what: str, is_open: bool = False) -> None:
        super().__init__(f"line {line}, column {column}: {what}")
        self.is_open = is_open


def records(content: bytes, separator: str) -> Iterator[Record]:
    """Blank lines are no records. Raises Fault."""
    end = len(_MARK) if content.startswith(_MARK) else 0
    text = content[end:].decode(errors="surrogateescape")
    is_utf8 = text.isprintable() or _is_utf8(text)
    cell, at, line = _cell(separator), 0, 1
    while at < len(text):
        begin, first, cells, quoted = at, line, list[str](), text[at] == '"'
        while True:
            match = cell.match(text, at)
            if match is None:
                raise _fault(text, at, line, len(cells) + 1, separator)
            value = match[2] if match[1] is None else match[1].replace('""', '"')
            line += value.count("\n")
            if not is_utf8 and not _is_utf8(value):
                raise Fault(line, len(cells) + 1, "no UTF-8")
            line += match[3].count("\n")
            cells.append(value)
            at = match.end()
            if match[3] != separator:
                break
        end += len(text[begin:at].encode(errors="surrogateescape"))
        if quoted or cells != [""]:
            yield Record(cells, first, end, match[3].endswith("\n"))


def record(cells: list[str], separator: str) -> str:
    """One record with its line feed; a cell has quotes where it needs them."""
    alone = len(cells) == 1  # without quotes an empty one were a blank line
    return separator.join('"' + cell.replace('"', '""') + '"' if (not cell and alone) or any(
        sign in cell for sign in ('"', "\r", "\n", separator)) else cell for cell in cells) + "\n"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@functools.cache
def _cell(separator: str) -> re.Pattern[str]:
    return re.compile(f'(?:"({_QUOTED[1:]})"|([^"\r\n\0{separator}]*))({separator}|\r?\n|\r?\\Z)')


def _fault(text: str, at: int, line: int, column: int, separator: str) -> Fault:
    quoted = text[at:at + 1] == '"'
    match = re.compile(_QUOTED if quoted else f'[^"\r\n\0{separator}]*').match(text, at)
    assert match is not None
    line_there, end = line + match[0].count("\n"), match.end()
    if quoted and end == len(text):
        return Fault(line_there, column, f"the quote that opens on line {line} does not close", is_open=True)
    sign = text[end:end + 1]
    if sign == "\0":
        return Fault(line_there, column, "a zero byte: a binary file, or UTF-16")
    if quoted:
        sign = text[end + 1:end + 2]
    if sign == "\r":
        return Fault(line_there, column, "a carriage return without line feed")
    return Fault(line_there, column, "text behind the quote that ends the cell" if quoted
                 else "a quote in a cell that does not begin with one")
