"""Numbers of one text, with the few methods of a tensor that reductions of minicons call."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Union, overload

Other = Union[float, "Values"]


class Scalar(float):
    """A float with `item`, which sums, differences, products and quotients keep."""

    def item(self) -> float:
        return float(self)

    def tolist(self) -> float:
        return float(self)

    def exp(self) -> Scalar:
        return Scalar(math.exp(self))

    def log(self) -> Scalar:
        return Scalar(math.log(self))

    def __neg__(self) -> Scalar:
        return Scalar(-float(self))

    def __add__(self, other: float) -> Scalar:
        return Scalar(float(self) + other)

    def __sub__(self, other: float) -> Scalar:
        return Scalar(float(self) - other)

    def __rsub__(self, other: float) -> Scalar:
        return Scalar(other - float(self))

    def __mul__(self, other: float) -> Scalar:
        return Scalar(float(self) * other)

    def __truediv__(self, other: float) -> Scalar:
        return Scalar(float(self) / other)

    def __rtruediv__(self, other: float) -> Scalar:
        return Scalar(other / float(self))

    __radd__ = __add__
    __rmul__ = __mul__


class Values(Sequence[float]):
    """A list of floats. Reductions take the axis 0, or none; arithmetic is by element. A sum is exact and then
    rounded once, the mean likewise."""

    def __init__(self, values: Iterable[float]) -> None:
        self._values = [float(value) for value in values]

    @overload
    def __getitem__(self, index: int) -> Scalar: ...
    @overload
    def __getitem__(self, index: slice) -> Values: ...
    def __getitem__(self, index: int | slice) -> Scalar | Values:
        return Values(self._values[index]) if isinstance(index, slice) else Scalar(self._values[index])

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"Values({self._values})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> tuple[int]:
        return (len(self._values),)

    def tolist(self) -> list[float]:
        return list(self._values)

    def item(self) -> float:
        """The only value; ValueError if there are more or none."""
        if len(self._values) != 1:
            raise ValueError(f"item() of {len(self._values)} values")
        return self._values[0]

    def sum(self, dim: int = 0) -> Scalar:
        return Scalar(math.fsum(self._along(dim)))

    def mean(self, dim: int = 0) -> Scalar:
        """NaN of no values, as a tensor's."""
        values = self._along(dim)
        return Scalar(math.fsum(values) / len(values) if values else math.nan)

    def prod(self, dim: int = 0) -> Scalar:
        return Scalar(math.prod(self._along(dim)))

    def min(self, dim: int | None = None) -> Scalar:
        return Scalar(min(self._along(dim)))

    def max(self, dim: int | None = None) -> Scalar:
        return Scalar(max(self._along(dim)))

    def exp(self) -> Values:
        return Values(map(math.exp, self._values))

    def log(self) -> Values:
        return Values(map(math.log, self._values))

    def _along(self, dim: int | None) -> list[float]:
        if dim not in (None, 0, -1):
            raise IndexError(f"dimension {dim} of values that have one")
        return self._values

    def _with(self, other: Other, operation: Callable[[float, float], float]) -> Values:
        if not isinstance(other, Values):
            return Values(operation(value, other) for value in self._values)
        if len(other) != len(self):
            raise ValueError(f"{len(self)} values and {len(other)} values")
        return Values(map(operation, self._values, other._values))

    def __neg__(self) -> Values:
        return Values(-value for value in self._values)

    def __add__(self, other: Other) -> Values:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Other) -> Values:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Other) -> Values:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Other) -> Values:
        return self._with(other, lambda a, b: a / b)

    def __rsub__(self, other: float) -> Values:
        return self._with(other, lambda a, b: b - a)

    def __rtruediv__(self, other: float) -> Values:
        return self._with(other, lambda a, b: b / a)

    __radd__ = __add__
    __rmul__ = __mul__
