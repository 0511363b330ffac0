"""Residency of a mapped table: brought to its cache state, and watched in the turns of each contender."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from suite.cases.case import Case
from suite.engine.placement import pages
from suite.machine.filesystem import FileSystem, filesystem
from suite.machine.procfs import ROOT, as_integer, table, text
from suite.records.record import Fact
from suite.telemetry.reading import Reading, both, facts

LOOKS = 4
"""In so many turns of a contender its pages are looked at; each look takes milliseconds a gigabyte."""
_READING_S = 0.02
"""A page that is being read can't be evicted; what was asked for before is there by then."""
LEFT = 0.02
"""The most that may stay of a file in the page cache where it is to be cold."""

Mapped = np.memmap[Any, Any]


@dataclass(frozen=True, slots=True)
class Residency:
    """The pages of a table's file, for one case.

    Attributes:
        row_bytes: bytes of the distinct rows of a lookup. system: where the file lies.
    """

    table: Mapped
    row_bytes: int
    system: FileSystem

    @classmethod
    def of(cls, table: Any, case: Case, distinct: int) -> Residency | None:
        """That of a mapped table; None of one in memory."""
        if not isinstance(table, np.memmap):
            return None
        return cls(table, distinct * case.row_bytes, filesystem(str(table.filename)))

    def evict(self) -> None:
        """Put its pages out of the page cache, those too that are still being read for an earlier turn."""
        pages.evict(self.table)
        time.sleep(_READING_S)
        pages.evict(self.table)

    def resident(self) -> Reading[float]:
        """The share of its pages that is in the page cache."""
        return pages.resident_pages(self.table).then(lambda count: count / pages.pages(self.table))

    def watch(self) -> Watch:
        """What is seen of it in the turns of one contender."""
        return Watch(self)


def why_not(table: Any, case: Case) -> str | None:
    """Bring a mapped table to the cache state of its case; why that can't be, or None.

    Hot, its pages are read into the page cache; cold, they are put out of it, to see that they can be.
    """
    if not isinstance(table, np.memmap):
        return None
    of = Residency(table, 1, filesystem(str(table.filename)))
    if not case.evicted:
        pages.load(table)
        return None
    if reason := of.system.why_not_cold():
        return f"cold: {reason}"
    try:
        of.evict()
    except OSError as error:
        return f"cold: its pages can't be evicted ({error.strerror or error})"
    left = of.resident().value
    if left is not None and left > LEFT:
        return f"cold: {left:.0%} of its pages stay in the page cache, whatever it is told"
    return None


@dataclass(slots=True)
class Watch:
    """What the turns of one contender did to the pages of a table.

    Attributes:
        before, after: the share of its pages in the page cache, in the turns that were looked at.
        gained: pages that came into the cache in these, and the lookups that brought them.
        read_bytes: bytes that this process had read from devices in all turns, and their lookups.
    """

    of: Residency
    before: list[Reading[float]] = field(default_factory=list)
    after: list[Reading[float]] = field(default_factory=list)
    looked_at: int = 0
    read: list[Reading[int]] = field(default_factory=list)
    lookups: int = 0

    @contextmanager
    def turn(self, lookups: int) -> Iterator[None]:
        """Watch one turn of so many lookups."""
        looks = len(self.before) < LOOKS
        if looks:
            self.before.append(self.of.resident())
        before = read_bytes()
        yield
        self.read.append(both(before, read_bytes(), lambda a, b: b - a))
        self.lookups += lookups
        if looks:
            self.after.append(self.of.resident())
            self.looked_at += lookups

    def facts(self) -> dict[str, Fact]:
        """Figures for the record, by the names in ``suite.records.figures``."""
        before, after = _mean(self.before), _mean(self.after)
        count = pages.pages(self.of.table)
        gained = both(before, after, lambda a, b: (b - a) * count * len(self.before) / self.looked_at)
        read = _mean(self.read).then(lambda mean: mean * len(self.read) / self.lookups)
        if self.of.system.device is None:
            read = Reading(None, f"{self.of.system.kind} has no device of its own")
        return {
            **facts(
                {
                    "file_resident_fraction_before": before,
                    "file_resident_fraction_after": after,
                    "file_read_pages_per_lookup": gained,
                    "file_read_bytes_per_lookup": read,
                    "file_over_read": read.then(lambda amount: amount / self.of.row_bytes),
                }
            ),
            "file_system": self.of.system.kind,
            "file_device": self.of.system.device,
            "file_read_ahead_bytes": self.of.system.read_ahead_bytes,
        }


def read_bytes() -> Reading[int]:
    """Bytes that this process has had read from devices (proc_pid_io(5)), read ahead of it too."""
    known = as_integer(table(text(ROOT, "proc/self/io")).get("read_bytes"))
    return Reading(None, "/proc/self/io can't be read") if known is None else Reading(known)


def _mean(readings: list[Reading[Any]]) -> Reading[float]:
    if not readings:
        return Reading(None, "no turn was taken")
    total = functools.reduce(lambda a, b: both(a, b, operator.add), readings)
    return total.then(lambda value: value / len(readings))
