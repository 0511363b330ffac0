"""JSON to frozen dataclasses, strictly: exact types, no unknown, missing or doubled key, no NaN."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

T = TypeVar("T")
Read = Callable[[Any], Any]
Kinds = dict[type, Read | None]
"""The exact types a value may have, and how one of each is read; null where it is taken as it is."""

_LARGEST = int(sys.float_info.max)
_BLANK = " \t\n\r"
_FLOATS, _LISTS, _WORDS = {float}, {list}, {int, str, bool, type(None)}
_SHAPES, _SHARED = 64, 1024
"""So many shapes of a dataclass, and values of one, are remembered."""


class _Wrong(Exception):
    """A value that can't be read: where it stands below the whole, and why."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why

    def below(self, name: str) -> _Wrong:
        return _Wrong(f".{name}{self.where}", self.why)


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
    """A dataclass from its tree.

    Raises:
        ValueError: a field is unknown, missing or of the wrong type; the message says which.
    """
    try:
        return typing.cast(T, _fields(typing.cast(Any, kind))(tree))
    except _Wrong as error:
        raise ValueError(f"{kind.__name__}{error.where}: {error.why}") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


_JSON = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)


def _kinds(kind: Any) -> Kinds:
    """What may stand for a type. How deep types nest bounds what is read."""
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return {dict: _fields(typing.cast(Any, kind))}
    if origin in (types.UnionType, typing.Union):
        merged: Kinds = {}
        for one in reversed(args):  # the first that takes a value reads it
            merged |= _kinds(one)
        return merged
    if origin is Literal:
        return dict.fromkeys(map(type, args), _member(kind))
    if origin is tuple:
        return {list: _floats if args[0] is float else _tuple(args[0])}
    if origin is dict:
        return {dict: _mapping(args[1])}
    if kind is float:
        return {float: _float, int: _float}
    return {kind: None}


def _wrong(kind: Any, value: object) -> _Wrong:
    return _Wrong("", f"{str(value)[:40]!r} is not {getattr(kind, '__name__', kind)}")


def _float(value: float) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -_LARGEST <= value <= _LARGEST:
        return float(value)
    raise _wrong(float, value)


def _floats(values: list[Any]) -> tuple[float, ...]:
    return tuple(values) if _plain(values) else tuple(map(_float, values))


def _plain(values: list[Any]) -> bool:
    """Whether all are finite floats, as nearly all of a run are; a sum is finite only if every number is."""
    return {*map(type, values)} == _FLOATS and math.isfinite(sum(values))


def _member(kind: Any) -> Read:
    known = get_args(kind)

    def read(value: Any) -> Any:
        if value in known:
            return value
        raise _wrong(kind, value)

    return read


def _tuple(of: Any) -> Read:
    kinds = _kinds(of)
    rounds = kinds == {list: _floats}

    def read(values: list[Any]) -> tuple[Any, ...]:
        if not values:
            return ()
        if rounds and {*map(type, values)} == _LISTS:
            flat: list[Any] = []
            for one in values:
                flat += one
            if _plain(flat):
                return tuple(map(tuple, values))
        return tuple([_any(of, kinds, value) for value in values])

    return read


def _mapping(of: Any) -> Read:
    kinds = _kinds(of)

    def read(tree: dict[str, Any]) -> dict[str, Any]:
        name = ""
        try:
            return {name: _any(of, kinds, value) for name, value in tree.items()}
        except _Wrong as error:
            raise error.below(name) from None

    return read


def _any(of: Any, kinds: Kinds, value: Any) -> Any:
    try:
        read = kinds[type(value)]
    except KeyError:
        raise _wrong(of, value) from None
    return value if read is None else read(value)


@functools.cache
def _fields(kind: Any) -> Read:
    """How to read a dataclass; made once, for a run may have 100,000 records.

    What it comes to depends on the names and types in an object, and records are much alike: it is worked
    out once for each shape that is met. Fields that may be absent stand last.
    """
    hints = typing.get_type_hints(kind)
    known = {field.name: _kinds(hints[field.name]) for field in dataclasses.fields(kind)}
    late = {field.name for field in dataclasses.fields(kind) if field.metadata.get("may_be_absent")}
    names = tuple(known)
    if late != {*names[len(names) - len(late) :]}:
        raise TypeError(f"{kind.__name__}: a field that may be absent stands before one that may not")
    make = maker(kind)
    shapes: dict[tuple[Any, ...], list[tuple[int, Read]]] = {}

    def steps(tree: dict[str, Any]) -> list[tuple[int, Read]]:
        """Which of an object's values have to be read on, and how, its keys in the order of the fields."""
        reads = [known[name][type(value)] for name, value in tree.items()]
        return [(place, then) for place, then in enumerate(reads) if then]

    def read(tree: dict[str, Any]) -> Any:
        shape = (*tree, *map(type, tree.values()))
        due = shapes.get(shape)
        if due is None:
            ordered = _ordered(hints, known, late, tree)
            due = steps(ordered)
            if len(shapes) < _SHAPES and (*ordered,) == (*tree,):
                shapes[shape] = due
            tree = ordered
        values = [*tree.values()]
        place = 0
        try:
            for place, then in due:
                values[place] = then(values[place])
        except _Wrong as error:
            raise error.below(names[place]) from None
        return make(*values)

    return read


@functools.cache
def maker(kind: Any) -> Callable[..., Any]:
    """What makes one; where it holds only text and whole numbers, the same one for equal values.

    Not where it holds floats: 0.0 and -0.0 are equal.
    """
    hints = typing.get_type_hints(kind)
    plain = all(_kinds(hints[field.name]).keys() <= _WORDS for field in dataclasses.fields(kind))
    return functools.lru_cache(_SHARED, typed=True)(kind) if plain else typing.cast(Callable[..., Any], kind)


def _ordered(
    hints: dict[str, Any], known: dict[str, Kinds], late: set[str], tree: dict[str, Any]
) -> dict[str, Any]:
    """An object with its keys in the order of the fields; raises what is wrong with it."""
    for unknown in sorted(tree.keys() - known.keys()):
        raise _Wrong(f".{unknown}", "unknown field")
    names = tuple(known)
    for place, (name, kinds) in enumerate(known.items()):
        if name not in tree and (name not in late or not tree.keys().isdisjoint(names[place:])):
            raise _Wrong(f".{name}", "missing")
        if name in tree and type(tree[name]) not in kinds:
            raise _wrong(hints[name], tree[name]).below(name)
    return {name: tree[name] for name in known if name in tree}
