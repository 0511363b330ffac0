"""YAML of plain trees: mappings, lists, texts, numbers; a text of several lines as a block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

Tree = Mapping[str, "Tree"] | Sequence["Tree"] | str | int | bool
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NO_TEXT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
"""What YAML 1.1 reads as something else than text."""


def text_of(tree: Mapping[str, Tree]) -> str:
    """A document."""
    return "\n".join(_lines(tree)) + "\n"


def _lines(tree: Tree) -> Iterator[str]:
    if isinstance(tree, str | int):
        yield _scalar(tree)
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _item(f"{_scalar(key)}:", value)
    else:
        for value in tree:
            first, *more = _block(value) if _is_long(value) else _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" if line else "" for line in more)


def _item(start: str, value: Tree) -> Iterator[str]:
    if isinstance(value, str | int) and not _is_long(value):
        yield f"{start} {_scalar(value)}"
    elif not value:
        yield f"{start} {'{}' if isinstance(value, Mapping) else '[]'}"
    elif _is_long(value):
        first, *more = _block(value)
        yield f"{start} {first}"
        yield from more
    else:
        yield start
        yield from (f"  {line}" if line else "" for line in _lines(value))


def _is_long(value: Tree) -> bool:
    return isinstance(value, str) and "\n" in value


def _block(value: Tree) -> Iterator[str]:
    yield "|"
    yield from (f"  {line}" if line else "" for line in str(value).rstrip("\n").split("\n"))


def _scalar(value: str | int) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT:
        return value
    return json.dumps(value)
