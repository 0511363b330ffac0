"""Operations from outside the tree, as if a package that has them were installed."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from suite.cases.case import Case
from suite.cases.operations import registry
from suite.cases.operations.base import Batch, Host, Operation

POOLED = "pooled"
BACKEND = '''"""Pools."""

from backends.base import Array, Backend, Lookup


class Pool(Backend):
    devices = ("cpu",)
    operation = "pooled"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        raise AssertionError
'''
"""The file of a backend that does it."""


class Pooled(Operation):
    """Four rows of packed bytes to one of numbers: none of its figures is a lookup's. Can't be measured."""

    variants = ("max", "sum")
    counts = "bag"
    reference, baselines = "pool_plain", ("pool_plain", "pool_other")

    def check(self, case: Any) -> None:
        if case.variant not in self.variants:
            raise ValueError(f"variant {case.variant}: unknown; give one of {', '.join(self.variants)}")

    def ids(self, case: Any) -> int:
        return int(4 * case.batch)

    def stored(self, case: Any) -> tuple[int, str]:
        return case.dim // 2 + 4, "int8"

    def rows(self, case: Any, numbers: Host) -> Host:
        raise NotImplementedError

    def right(self, case: Any, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        raise NotImplementedError


def install(monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Operation]) -> None:
    """Let the registry find an operation, of a class in a module."""
    found = metadata.EntryPoint(name, f"{kind.__module__}:{kind.__name__}", registry.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [found] * (group == registry.ENTRY_POINTS))
    registry.named.cache_clear()


def beside_lookups(batches: tuple[int, ...] = (16, 512)) -> tuple[Case, ...]:
    """Lookups and both variants of pooling, of one table, in turns."""
    return tuple(
        Case(50257, 768, "float32", batch, **axes)  # type: ignore[arg-type]
        for batch in batches
        for axes in ({}, *({"operation": POOLED, "variant": variant} for variant in Pooled.variants))
    )
