"""Rows of results, for notebooks and pandas."""
from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

# More rows are not drawn; they are still there.
_ROWS_SHOWN = 100


class Table(Sequence[dict[str, Any]]):
    """A sequence of rows, each a dict. A missing value is None, or, in rows of a file with errors, not there."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = [dict(row) for row in rows]

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order of the rows; none for a table without rows."""
        return list(dict.fromkeys(name for row in self._rows for name in row))

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Table: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Table:
        return Table(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return f"Table({len(self)} rows of {', '.join(self.columns)})"

    def frame(self) -> Any:
        """A pandas.DataFrame. ImportError says what to install if pandas is not there."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("frame() needs pandas: pip install 'dyad-serve[pandas]'") from error
        return pandas.DataFrame(self._rows)

    def _repr_html_(self) -> str:
        """Static HTML with every string escaped, as notebooks show it."""
        columns = self.columns
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        body = "".join("<tr>" + "".join(_cell(row.get(name)) for name in columns) + "</tr>"
                       for row in self._rows[:_ROWS_SHOWN])
        more = len(self) - _ROWS_SHOWN
        foot = f"<p>and {more} more rows</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _cell(value: Any) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, float):
        return f'<td style="text-align:right">{value:.4f}</td>'
    return f"<td>{html.escape(str(value))}</td>"
