"""Answers of several rows each, in files of JSON lines, CSV or TSV: the bytes of client/rows.h."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dyad_serve import _csv, _json, errors


class OldRow(NamedTuple):
    """A whole row of a file: its item, and its bytes."""

    item: int
    is_error: bool
    begin: int
    end: int


@dataclasses.dataclass(frozen=True)
class Layout:
    """format   "jsonl", "csv" or "tsv"
    own      columns of the input, of CSV and TSV
    columns  the answer's, between the number of the item and run
    prefix   in front of every name of the answer
    number   the name of the number
    """

    format: str
    own: tuple[str, ...]
    columns: tuple[str, ...]
    prefix: str = ""
    number: str = "item"

    @property
    def separator(self) -> str:
        """Between cells; empty for JSON lines."""
        return _csv.SEPARATORS.get(self.format, "")

    @property
    def ours(self) -> list[str]:
        """The names of the answer's columns."""
        return [self.prefix + name for name in (self.number, *self.columns, "run", "error")]

    def head(self) -> str:
        """What stands in front of all rows."""
        return _csv.record([*self.own, *self.ours], self.separator) if self.separator else ""

    def rows(self, item: int, line: _json.Object, run: str, answer: Sequence[_json.Object] | _json.Object) -> list[_json.Object]:
        """The rows of an item; `answer` is a list of them, or an error object."""
        item_row = [{}] if isinstance(answer, dict) else answer
        rows = [{**line, **{self.prefix + name: value for name, value in {self.number: item, **row, "run": run}.items()}}
                for row in item_row]
        if isinstance(answer, dict):
            rows[0][f"{self.prefix}error"] = answer["error"]
        return rows

    def text(self, rows: Sequence[_json.Object]) -> str:
        """With line feeds."""
        if not self.separator:
            return "".join(_json.format_line(row) + "\n" for row in rows)
        return "".join(_csv.record([self._cell(name, row.get(name)) for name in (*self.own, *self.ours)], self.separator)
                       for row in rows)

    def old_rows(self, content: bytes, at: int, run: str) -> Iterator[OldRow]:
        """The whole rows of a file from `at` on, in order; a torn last one is none. DyadError for one that is not of
        this run."""
        for number, (row, begin, end) in enumerate(self._read(content, at), 1):
            item = row.get(self.prefix + self.number)
            if row.get(f"{self.prefix}run") != run or not str(item).isdecimal():
                raise errors.make("FAILED_PRECONDITION", f"row {number} is none of this run")
            yield OldRow(int(str(item)), bool(row.get(f"{self.prefix}error")), begin, end)

    def _read(self, content: bytes, at: int) -> Iterator[tuple[_json.Object, int, int]]:
        if not self.separator:
            for line in content[at:].splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield _json.parse_line(line), at, at + len(line)
                except ValueError:
                    yield {}, at, at
                at += len(line)
            return
        columns: list[str] | None = None
        begin = 0
        try:
            for record in _csv.records(content, self.separator):
                if not record.ended:
                    return
                if columns is None:
                    columns = record.cells
                else:
                    yield dict(zip(columns, record.cells)) if len(columns) == len(record.cells) else {}, begin, record.end
                begin = record.end
        except _csv.Fault as fault:
            if not fault.is_open:
                raise errors.make("FAILED_PRECONDITION", str(fault)) from None

    def _cell(self, name: str, value: Any) -> str:
        if name == f"{self.prefix}error" and isinstance(value, dict):
            return f"{value['code']}: {value['message']}"
        if value is None:
            return ""
        return value if isinstance(value, str) else _json.format_line(value)
