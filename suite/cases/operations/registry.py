"""Registry of operations: those of this tree and of installed packages, by name."""

from __future__ import annotations

import functools
import importlib
import types
from importlib import metadata

from suite.cases.operations.base import Operation

NAMES = ("lookup", "dequantised", "bag", "gradient", "update")
"""The operations of this tree, each in the file of its name."""
ENTRY_POINTS = "embedding_lookup.operations"
"""Where an installed package names others."""


@functools.cache
def named(name: str) -> Operation:
    """The operation of a name.

    Raises:
        ValueError: there is none; the message is one line.
    """
    if name in NAMES:
        return of_module(importlib.import_module(f"suite.cases.operations.{name}"))
    for found in metadata.entry_points(group=ENTRY_POINTS):
        if found.name == name:
            kind: type[Operation] = found.load()
            return kind()
    raise ValueError(f"operation {name}: unknown; give one of {', '.join(known())}")


def known() -> tuple[str, ...]:
    """The names there are, of this tree and of installed packages; imports none of them."""
    return (*NAMES, *sorted(found.name for found in metadata.entry_points(group=ENTRY_POINTS)))


def of_module(module: types.ModuleType) -> Operation:
    """The one operation that a module defines."""
    (kind,) = (
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Operation) and one.__module__ == module.__name__
    )
    found: Operation = kind()
    return found
