"""Small files of /proc and /sys, read without trust: what is missing, odd or too long is None."""

from __future__ import annotations

import re
import stat
from mmap import PAGESIZE
from pathlib import Path

ROOT = Path("/")

_LONGEST_FILE_BYTES = 4 << 20
_PIECE_BYTES = 1 << 16
_LONGEST_FACT = 200
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_RANGE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")
_MOST_PROCESSORS = 65536
_MAPPING = re.compile("([0-9a-f]+)-([0-9a-f]+) ")


def text(root: Path, path: str) -> str | None:
    """The content of a regular file below ``root``, at most 4 MiB of it; None if it can't be read."""
    place = root / path.lstrip("/")
    try:
        if not stat.S_ISREG(place.stat().st_mode):  # a pipe would make us wait
            return None
        with place.open("rb") as file:
            # In pieces: /proc/sys answers a large read with "cannot allocate memory".
            pieces = (file.read(_PIECE_BYTES) for _ in range(_LONGEST_FILE_BYTES // _PIECE_BYTES))
            return b"".join(iter(lambda: next(pieces, b""), b"")).decode(errors="replace")
    except (OSError, ValueError):
        return None


def line(root: Path, path: str) -> str | None:
    """The first line of a file as a fact; None if it has none."""
    content = text(root, path)
    return None if content is None else printable(content.partition("\n")[0])


def integer(root: Path, path: str) -> int | None:
    """A file that holds one integer."""
    return as_integer(line(root, path))


def as_integer(word: str | None) -> int | None:
    """The integer that a word is, in ASCII digits and of at most 64 bits or so; else None."""
    return int(word) if word is not None and _INTEGER.fullmatch(word) else None


def printable(words: str) -> str | None:
    """Text on one line without control characters, at most 200 of them; None if nothing is left."""
    shown = "".join(c if c.isprintable() else " " for c in words[: 8 * _LONGEST_FACT])
    return " ".join(shown.split())[:_LONGEST_FACT].rstrip() or None


def chosen(root: Path, path: str) -> str | None:
    """The word in brackets of a choice such as ``always [madvise] never``."""
    words = re.search(r"\[([a-z_+-]{1,40})\]", line(root, path) or "")
    return words[1] if words else None


def table(content: str | None) -> dict[str, str]:
    """``key : value`` or ``key=value`` lines; the first of a key counts."""
    found: dict[str, str] = {}
    for row in (content or "").splitlines():
        key, separator, value = row.partition(":") if ":" in row.partition("=")[0] else row.partition("=")
        if separator:
            found.setdefault(key.strip(), value.strip())
    return found


def mapped_bytes(root: Path, span: tuple[int, int], key: str) -> int:
    """Bytes, in whole pages, of this process's memory between two addresses that smaps counts under a key.

    Of a mapping that lies there in part only, as many as it may hold there.

    Args:
        key: such as ``Rss`` or ``AnonHugePages``.

    Raises:
        OSError: it can't be read.
    """
    total = inside = 0
    first, end = span[0] // PAGESIZE * PAGESIZE, -(-span[1] // PAGESIZE) * PAGESIZE
    with (root / "proc/self/smaps").open() as lines:
        for row in lines:
            if mapping := _MAPPING.match(row):
                low, high = (int(address, 16) for address in mapping.groups())
                inside = max(0, min(high, end) - max(low, first))
            elif inside and row.startswith(f"{key}:"):
                total += min(inside, int(row.split()[1]) * 1024)
    return total


def processors(words: str | None) -> frozenset[int] | None:
    """The set that a list such as ``0-3,8`` names; None if it is no such list."""
    found: set[int] = set()
    for part in (words or "").split(","):
        ends = _RANGE.fullmatch(part.strip())
        if not ends:
            return None
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not first <= last < _MOST_PROCESSORS:
            return None
        found.update(range(first, last + 1))
    return frozenset(found)
