"""Which runs are meant: folders of runs, patterns, lists of them; and what to call each."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

Given = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def expand(given: Iterable[Given]) -> tuple[Path, ...]:
    """The folders meant: each as it stands, or the runs in it, or those that its ``*`` and ``?`` match.

    Raises:
        TypeError: something that names no file.
    """
    folders: list[str] = []
    for pattern in [os.fspath(one) for one in _one_by_one(given)]:
        inside = str(Path(glob.escape(pattern), "*")) if Path(pattern).exists() else pattern
        matched = [] if _holds_run(pattern) else sorted(glob.glob(inside))  # noqa: PTH207 - may be absolute
        folders += [*filter(_holds_run, matched)] or [pattern]
    return distinct(folders)


def _one_by_one(given: Iterable[Given]) -> Iterator[str | os.PathLike[str]]:
    for one in given:
        if isinstance(one, str | os.PathLike):
            yield one
        elif isinstance(one, list | tuple | set | Iterator):
            yield from _one_by_one(one)
        else:
            kind = type(one).__name__
            raise TypeError(f"{kind}: names no run; give the folder of one, or a pattern such as 'results/*'")


def _holds_run(folder: str) -> bool:
    return Path(folder, "environment.json").is_file()


def distinct(folders: Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Each folder once, however it is spelled."""
    return tuple({Path(folder).resolve(): Path(folder) for folder in folders}.values())


def names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path; the whole path where that is not unique."""
    last = [folder.resolve().name or str(folder) for folder in folders]
    seen = Counter(last)
    return [name if seen[name] == 1 else str(folder) for name, folder in zip(last, folders, strict=True)]
