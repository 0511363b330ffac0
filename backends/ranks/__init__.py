"""Ways to look up rows of a table that lies in parts on several ranks, found by name or path."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

from backends import UnknownBackend, class_in
from backends.ranks.base import Way

_HOUSE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the ways in this folder, sorted; imports none of them."""
    return tuple(sorted(p.stem for p in _HOUSE.glob("*.py") if p.stem not in ("__init__", "base")))


def path_of(which: str) -> Path:
    """The file of a way given by name or by path.

    Raises:
        UnknownBackend: there is no such way, or no such file; one line.
    """
    if not (which.endswith(".py") or "/" in which):
        if which not in names():
            raise UnknownBackend(f"{which}: no such way; there are {', '.join(names())}")
        return _HOUSE / f"{which}.py"
    if not Path(which).is_file():
        raise UnknownBackend(f"{which}: no such file; give a way's name or the path of its file")
    return Path(which)


def sharding_of(which: str) -> str:
    """How a way wants the table cut, read from its source; nothing is imported.

    Raises:
        UnknownBackend: its file says nothing of that.
    """
    path = path_of(which)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if [getattr(t, "id", None) for t in targets] == ["sharding"] and isinstance(value, ast.Constant):
            return str(value.value)
    raise UnknownBackend(f"{which}: says no sharding; its class needs sharding = 'row' or 'column'")


def load(which: str) -> type[Way]:
    """The class of a way given by name or by path.

    Raises:
        UnknownBackend: there is none, or its file holds none or several.
    """
    path = path_of(which)
    if path.parent == _HOUSE:
        module = importlib.import_module(f"backends.ranks.{path.stem}")
    else:
        spec = importlib.util.spec_from_file_location(f"backends.ranks._plugin_{path.stem}", path)
        assert spec and spec.loader, "a .py file has a loader"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return class_in(module, Way, which)  # type: ignore[type-abstract]
