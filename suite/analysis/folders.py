"""Folders of runs: those that paths, patterns and lists of them stand for, and a name for each."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from suite.text import at_home

Given = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def expand(given: Iterable[Given]) -> tuple[Path, ...]:
    """The folders of runs: each one given, the runs inside it, or those that its ``*`` and ``?`` match.

    A ``~`` at the start is the home folder.

    Raises:
        TypeError: an argument that names no file.
    """
    folders: list[str] = []
    for pattern in map(at_home, _flat(given)):
        inside = str(Path(glob.escape(pattern), "*")) if Path(pattern).exists() else pattern
        matched = [] if _holds_run(pattern) else sorted(glob.glob(inside))  # noqa: PTH207 - may be absolute
        folders += [*filter(_holds_run, matched)] or [pattern]
    return distinct(folders)


def _flat(given: Iterable[Given]) -> Iterator[str | os.PathLike[str]]:
    for item in given:
        if isinstance(item, str | os.PathLike):
            yield item
        elif isinstance(item, list | tuple | set | Iterator):
            yield from _flat(item)
        else:
            kind = type(item).__name__
            raise TypeError(f"{kind}: names no run; give the folder of one, or a pattern such as 'results/*'")


def _holds_run(folder: str) -> bool:
    return Path(folder, "environment.json").is_file()


def distinct(folders: Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Each folder once, however it is written."""
    return tuple({Path(folder).resolve(): Path(folder) for folder in folders}.values())


def part_name(name: str, number: int) -> str:
    """The name of a part of a run that went on in another environment; suite.compare takes it too."""
    return f"{name}@{number}"


def names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path; the whole path where that is not unique."""
    last = [folder.resolve().name or str(folder) for folder in folders]
    times = Counter(last)
    return [name if times[name] == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]
