"""The fast reader of JSON, where msgspec is installed; what is uncertain is left to ``strict``."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin

from suite.records import strict

T = TypeVar("T")
Reader = Callable[[bytes], Any]
Convert = Callable[[Any], Any]
_EXACT = 2**53
"""Larger floats may have been integers in the text."""
_PLAIN = {int, str, bool, type(None)}
_SHARED = 1024
"""How many values of a dataclass are kept, to be shared."""


def read(kind: type[T], line: bytes) -> T | None:
    """What ``strict.parse`` and ``strict.build`` make of a line, to the bit; None if not certain.

    msgspec checks names, types and numbers; this checks that no key stands twice.
    """
    reader = _reader(typing.cast(Any, kind))
    return reader(line) if reader else None


@functools.cache
def _reader(kind: type) -> Reader | None:
    try:
        from msgspec import MsgspecError
        from msgspec.json import Decoder
    except ImportError:
        return None
    decode, convert = Decoder(_struct(kind)).decode, _converter(kind)

    def read(line: bytes) -> Any:
        # msgspec silently takes the last of two equal keys. Each key has one colon after it, and any other
        # colon is within a text, so the keys and texts read say how many colons the line should have: if it
        # has more, a key was not read. An escape can hide a colon, or the quote that ends a text, so a line
        # with one is not certain.
        if b"\\" in line:
            return None
        try:
            value, colons = convert(decode(line))
        except (MsgspecError, ValueError, RecursionError):
            return None
        return value if colons == line.count(b":") else None

    return read


@functools.cache
def _struct(kind: Any) -> Any:
    """A dataclass as msgspec reads it: every field must be there, but for those that may be absent."""
    import msgspec

    hints = typing.get_type_hints(kind)
    named: list[Any] = []
    for field in dataclasses.fields(kind):
        of = _read_as(hints[field.name])
        absent = field.name in strict.ABSENT_BEFORE.get(kind.__name__, ())
        named.append((field.name, of | msgspec.UnsetType, msgspec.UNSET) if absent else (field.name, of))
    # What is dropped holds numbers only, so that it has no colon but the one after its name.
    gone = strict.GONE.get(kind.__name__, ())
    named += [(name, list[float] | msgspec.UnsetType, msgspec.UNSET) for name in gone]
    return msgspec.defstruct(kind.__name__, named, forbid_unknown_fields=True, gc=False)


def _read_as(hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return _struct(typing.cast(Any, hint))
    if get_origin(hint) in (types.UnionType, typing.Union):
        return typing.Union[tuple(map(_read_as, get_args(hint)))]  # noqa: UP007 - of a tuple
    return hint


@functools.cache
def _converter(kind: Any) -> Convert:
    """From the struct of a dataclass to the dataclass, and to the number of colons in its text."""
    from msgspec import UNSET
    from msgspec.structs import astuple

    hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    inner = {place: _inner(hints[field.name]) for place, field in enumerate(fields)}
    nested = [(place, convert) for place, convert in inner.items() if convert]
    count, late = len(fields), strict.ABSENT_BEFORE.get(kind.__name__, ())
    first = count - len(late)  # those that may be absent stand last
    defaults, gone = [_default(f) for f in fields[first:]], kind.__name__ in strict.GONE
    texts = [place for place, field in enumerate(fields) if str in strict.json_types(hints[field.name])]
    make = _maker(kind)

    def convert(struct: Any) -> tuple[Any, int]:
        values = [*astuple(struct)]
        colons = len(values)
        if gone:
            colons -= values[count:].count(UNSET)
            del values[count:]
        for place, then in nested:
            if values[place] is not None and values[place] is not UNSET:
                values[place], more = then(values[place])
                colons += more
        end = count
        while end > first and values[end - 1] is UNSET:
            end -= 1
            values[end] = defaults[end - first]()
            colons -= 1
        if UNSET in values[first:end]:
            raise ValueError("a field is absent before one that is there")
        for place in texts:
            if type(values[place]) is str:
                colons += values[place].count(":")
        return make(*values), colons

    return convert


def _default(field: dataclasses.Field[Any]) -> Callable[[], Any]:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    return lambda: field.default


@functools.cache
def _maker(kind: Any) -> Callable[..., Any]:
    """The constructor of a dataclass; where it holds only texts and integers, equal values share an instance.

    Not where it holds floats: 0.0 and -0.0 are equal.
    """
    hints = typing.get_type_hints(kind)
    plain = all(strict.json_types(hints[field.name]) <= _PLAIN for field in dataclasses.fields(kind))
    return functools.lru_cache(_SHARED, typed=True)(kind) if plain else typing.cast(Callable[..., Any], kind)


def _inner(hint: Any) -> Convert | None:
    """How to convert a value that may be a dataclass or is a mapping."""
    kinds = [hint, *get_args(hint)]
    for kind in kinds:
        if dataclasses.is_dataclass(kind):
            return _converter(typing.cast(Any, kind))
    return _mapping if get_origin(hint) is dict else None


def _mapping(values: dict[str, Any]) -> tuple[dict[str, Any], int]:
    colons = len(values)
    for name, value in values.items():
        colons += name.count(":")
        if type(value) is str:
            colons += value.count(":")
        elif type(value) is float and not -_EXACT < value < _EXACT:
            raise ValueError("may have been a whole number")
    return values, colons
