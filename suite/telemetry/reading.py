"""Reading of a figure: its value, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from suite.records.record import Fact

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value, or the reason why there is none; always exactly one of the two."""

    value: T | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"a reading has a value or a reason, not {self.value!r} and {self.reason!r}")

    def then(self, change: Callable[[T], U]) -> Reading[U]:
        """The changed value, or the same reason."""
        return Reading(None, self.reason) if self.value is None else Reading(change(self.value))


def both(a: Reading[T], b: Reading[U], change: Callable[[T, U], V]) -> Reading[V]:
    """A figure made of two readings, or the reason of the first that is missing."""
    if a.value is None or b.value is None:
        return Reading(None, a.reason or b.reason)
    return Reading(change(a.value, b.value))


def facts(readings: Mapping[str, Reading[Any]]) -> dict[str, Fact]:
    """Readings as a record keeps them: values by name, and for a null the reason in ``<name>_missing``."""
    known: dict[str, Fact] = {}
    for name, reading in readings.items():
        known[name] = reading.value
        if reading.reason is not None:
            known[f"{name}_missing"] = reading.reason
    return known
