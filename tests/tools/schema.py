"""The tables of results/README.md: every field and every column, from the code that defines them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal

from suite.analysis import fields
from suite.cases.case import Case
from suite.records import figures
from suite.records.record import Environment, Memory, Record, Samples, Traffic

KINDS = (Record, Case, Samples, Memory, Traffic, Environment)
HEADINGS = ("name", "type", "unit", "meaning")
WORDS: dict[Any, str] = {str: "text", int: "integer", float: "number", bool: "boolean", type(None): "null"}
PANDAS = {"string": "text", "Int64": "integer", "float64": "number", "boolean": "boolean"}
TEXTS = ("file_system", "file_device")
"""Names in the telemetry that are no numbers."""
NULLS = (
    "Figures of counters, read between timed samples and never during one; most over a phase after the\n"
    "samples in which only the backend's lookups run. Beside a null, `<name>_missing` has the reason. On\n"
    "a CPU there are only energy, power and the phase's length, and of a table in a file what its turns read."
)
TITLES = {
    Record: "A line of `records.jsonl`",
    Case: "`case`",
    Samples: "`samples`",
    Memory: "`memory`",
    Traffic: "`traffic`",
    Environment: "`environment.json`",
}


def record_fields() -> str:
    """A table for each of the dataclasses that a run writes down, and one for the telemetry's names."""
    parts = [f"**{TITLES[kind]}**\n\n{_table(_described(kind))}" for kind in KINDS]
    telemetry = [
        (name, WORDS[str] if name in TEXTS else "number", fields.unit(name), text)
        for name, text in figures.TELEMETRY.items()
    ]
    parts.insert(-1, f"**`telemetry`**\n\n{NULLS}\n\n{_table(telemetry)}")
    return "\n\n".join(parts)


def columns() -> str:
    """The columns of records.csv, which are those of ``suite.load``."""
    kinds = fields.COLUMNS.items()
    return _table((name, PANDAS[kind], fields.unit(name), fields.MEANINGS[name]) for name, kind in kinds)


def attributes(kind: type) -> dict[str, str]:
    """What the docstring's section of attributes says of each field."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    text = re.split(r"\n\n|\n(?=\S)", text)[0]
    names = "|".join(field.name for field in dataclasses.fields(kind))
    parts = re.split(rf"(?:^|(?<=\s))({names}): ", " ".join(text.split()))
    return {name: said.strip().removesuffix(".") for name, said in zip(parts[1::2], parts[2::2], strict=True)}


def _described(kind: type) -> Iterable[tuple[str, str, str, str]]:
    said, hints = attributes(kind), typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield field.name, _type(hints[field.name]), fields.unit(field.name), said[field.name]


def _type(hint: Any) -> str:
    """A type as JSON has it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return "object"
    if origin is Literal:
        return " ".join(f"`{one}`" for one in parts)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_type, parts)) if len(parts) < 4 else "any value"
    if origin is tuple:
        return f"list of {_plural(_type(parts[0]))}"
    return "object" if origin is dict else WORDS[hint]


def _plural(kind: str) -> str:
    return (
        kind.replace("list", "lists", 1)
        if kind.startswith("list")
        else f"{kind}s"
        if kind != "text"
        else kind
    )


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(HEADINGS)} |", "|" + " --- |" * len(HEADINGS)]
    for name, *cells in rows:
        lines.append("| " + " | ".join([f"`{name}`", *(cell.replace("``", "`") for cell in cells)]) + " |")
    return "\n".join(lines)
