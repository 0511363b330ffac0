"""JSON to frozen dataclasses, strictly: exact types, no unknown, missing or doubled key, no NaN."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
import types
import typing
from typing import Any, Literal, TypeVar, get_args, get_origin

T = TypeVar("T")

ABSENT_BEFORE = {
    "Case": {"offset", "placement", "operation", "variant"},
    "Samples": {"began_s", "meter_s", "meter_threads", "graph_s", "graph_missing"},
    "Traffic": {"huge_pages"},
    "Record": {"pass_number", "environment"},
    "Environment": {"full_speed_s", "environments", "whose", "digests", "requires"},
}
"""Fields that records of earlier versions lack; they are read as having the default."""
GONE = {"Samples": {"processes"}}
"""Fields that only records of earlier versions have; what they hold is dropped."""
_LARGEST = int(sys.float_info.max)
_BLANK = " \t\n\r"
_UNIONS = (types.UnionType, typing.Union)


def parse(line: str) -> dict[str, Any]:
    """The object that a line of JSON holds.

    Raises:
        ValueError: it is not JSON, no object, nested too deep, or has a key twice or NaN in it.
    """
    text = line.strip(_BLANK)
    try:
        tree, end = _JSON.raw_decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if end != len(text):
        raise ValueError(f"something follows character {end}")
    if not isinstance(tree, dict):
        raise ValueError("not an object")
    return tree


def build(kind: type[T], tree: dict[str, Any]) -> T:
    """A dataclass from its tree. How deep its types nest bounds what is read.

    Raises:
        ValueError: a field is unknown, missing or of the wrong type; the message says which.
    """
    return typing.cast(T, _object(kind, tree, kind.__name__))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a key stands twice")
    return tree


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


_JSON = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)


@functools.cache
def json_types(hint: Any) -> frozenset[type]:
    """The exact types that JSON may have for a type of a field."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in _UNIONS:
        return frozenset().union(*map(json_types, args))
    if origin is Literal:
        return frozenset(map(type, args))
    if dataclasses.is_dataclass(hint) or origin is dict:
        return frozenset([dict])
    if origin is tuple:
        return frozenset([list])
    return frozenset([float, int] if hint is float else [hint])


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """By name: type of a field, and whether it may be absent; such fields must stand last."""
    hints = typing.get_type_hints(kind)
    late = ABSENT_BEFORE.get(kind.__name__, set())
    fields = {f.name: (hints[f.name], f.name in late) for f in dataclasses.fields(kind)}
    if late != {*list(fields)[len(fields) - len(late) :]}:
        raise TypeError(f"{kind.__name__}: a field that may be absent stands before one that may not")
    return fields


def _object(kind: Any, tree: dict[str, Any], path: str) -> Any:
    fields = _fields(kind)
    for unknown in sorted(tree.keys() - fields.keys() - GONE.get(kind.__name__, set())):
        raise ValueError(f"{path}.{unknown}: unknown field")
    names, values = list(fields), {}
    for place, (name, (hint, may_be_absent)) in enumerate(fields.items()):
        if name in tree:
            values[name] = _value(hint, tree[name], f"{path}.{name}")
        elif not may_be_absent or not tree.keys().isdisjoint(names[place:]):
            raise ValueError(f"{path}.{name}: missing")
    return kind(**values)


def _value(hint: Any, value: Any, path: str) -> Any:
    if get_origin(hint) in _UNIONS:
        hint = next((option for option in get_args(hint) if type(value) in json_types(option)), hint)
    if type(value) not in json_types(hint):
        raise _wrong(hint, value, path)
    if dataclasses.is_dataclass(hint):
        return _object(hint, value, path)
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple:
        return tuple([_value(args[0], item, path) for item in value])
    if origin is dict:
        return {name: _value(args[1], item, f"{path}.{name}") for name, item in value.items()}
    if origin is Literal and value not in args:
        raise _wrong(hint, value, path)
    return _float(value, path) if hint is float else value


def _float(value: float, path: str) -> float:
    if not (-_LARGEST <= value <= _LARGEST if type(value) is int else math.isfinite(value)):
        raise _wrong(float, value, path)
    return float(value)


def _wrong(hint: Any, value: object, path: str) -> ValueError:
    return ValueError(f"{path}: {str(value)[:40]!r} is not {getattr(hint, '__name__', hint)}")
