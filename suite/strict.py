"""JSON to frozen dataclasses, strictly: exact types, no unknown, missing or doubled key, no NaN."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

T = TypeVar("T")
Decoder = Callable[[Any, str], Any]

_EXACT = 2**53


def parse(line: str) -> dict[str, Any]:
    """The object that a line of JSON holds.

    Raises:
        ValueError: it is not JSON, no object, nested too deep, or has a key twice or NaN in it.
    """
    try:
        tree = _JSON.decode(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(tree, dict):
        raise ValueError("not an object")
    return tree


def build(kind: type[T], tree: dict[str, Any]) -> T:
    """A dataclass from its tree.

    Raises:
        ValueError: a field is unknown, missing or of the wrong type; the message says which.
    """
    built: T = _decoder(typing.cast(Any, kind))(tree, kind.__name__)
    return built


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


_JSON = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)


@functools.cache
def _decoder(kind: Any) -> Decoder:
    """How to read a type; made once, for a run may have 100,000 records. Its depth bounds what is read."""
    if dataclasses.is_dataclass(kind):
        return _fields_decoder(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _union_decoder(args)
    if origin is Literal:
        return lambda value, where: value if value in args else _refuse(kind, value, where)
    if kind is float:
        return _float
    if origin is tuple:
        return _tuple_decoder(kind, args[0])
    if origin is dict:
        each = _decoder(args[1])
        return lambda value, where: (
            {key: each(one, f"{where}.{key}") for key, one in value.items()}
            if type(value) is dict
            else _refuse(kind, value, where)
        )
    return lambda value, where: value if type(value) is kind else _refuse(kind, value, where)


def _refuse(kind: Any, value: Any, where: str) -> NoReturn:
    raise ValueError(f"{where}: {str(value)[:40]!r} is not {getattr(kind, '__name__', kind)}")


def _float(value: Any, where: str) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -_EXACT <= value <= _EXACT:
        return float(value)
    _refuse(float, value, where)


def _tuple_decoder(kind: Any, of: Any) -> Decoder:
    each = _decoder(of)

    def decode(value: Any, where: str) -> tuple[Any, ...]:
        if type(value) is not list:
            _refuse(kind, value, where)
        if of is float and set(map(type, value)) == {float} and all(map(math.isfinite, value)):
            return tuple(value)  # nearly all that a run consists of
        return tuple([each(one, where) for one in value])

    return decode


def _union_decoder(kinds: tuple[Any, ...]) -> Decoder:
    exact = {kind: _decoder(kind) for kind in kinds if isinstance(kind, type) and kind is not types.NoneType}
    optional = types.NoneType in kinds
    others = [_decoder(kind) for kind in kinds if kind is not types.NoneType]

    def decode(value: Any, where: str) -> Any:
        if value is None and optional:
            return None
        return exact.get(type(value), others[0])(value, where)

    return decode


def _fields_decoder(kind: Any) -> Decoder:
    decoders = {name: _decoder(of) for name, of in typing.get_type_hints(kind).items()}

    def decode(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise ValueError(f"{where}: not an object")
        if value.keys() != decoders.keys():
            for name in sorted(value.keys() - decoders.keys()):
                raise ValueError(f"{where}.{name}: unknown field")
            for name in sorted(decoders.keys() - value.keys()):
                raise ValueError(f"{where}.{name}: missing")
        return kind(**{name: one(value[name], f"{where}.{name}") for name, one in decoders.items()})

    return decode
