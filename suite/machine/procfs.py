"""Small files of /proc and /sys, read with suspicion: None for what is missing, malformed or too long."""

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
        if not stat.S_ISREG(place.stat().st_mode):  # reading a pipe would wait
            return None
        content = b""
        with place.open("rb") as file:
            # In pieces: /proc/sys answers a large read with "cannot allocate memory".
            while len(content) < _LONGEST_FILE_BYTES and (piece := file.read(_PIECE_BYTES)):
                content += piece
        return content.decode(errors="replace")
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
    """The integer that a word spells in at most 19 ASCII digits; else None."""
    return int(word) if word is not None and _INTEGER.fullmatch(word) else None


def printable(words: str) -> str | None:
    """Text on one line without control characters, at most 200 characters; None if nothing is left."""
    spaced = "".join(c if c.isprintable() else " " for c in words[: 8 * _LONGEST_FACT])
    return " ".join(spaced.split())[:_LONGEST_FACT].rstrip() or None


def chosen(root: Path, path: str) -> str | None:
    """The word in brackets of a choice such as ``always [madvise] never``."""
    match = re.search(r"\[([a-z_+-]{1,40})\]", line(root, path) or "")
    return match[1] if match else None


def table(content: str | None) -> dict[str, str]:
    """``key : value`` or ``key=value`` lines; the first line of a key counts."""
    values: dict[str, str] = {}
    for row in (content or "").splitlines():
        key, separator, value = row.partition(":") if ":" in row.partition("=")[0] else row.partition("=")
        if separator:
            values.setdefault(key.strip(), value.strip())
    return values


def mapped_bytes(root: Path, span: tuple[int, int], key: str) -> int:
    """Bytes of this process's memory between two addresses that smaps counts under a key, in whole pages.

    A mapping that is partly outside counts with at most the size of its part inside.

    Args:
        span: first address, and the address after the last.
        key: such as ``Rss`` or ``AnonHugePages``.

    Raises:
        OSError: smaps can't be read.
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


def unescaped(path: str) -> str:
    """A path as the kernel's table of mounts writes it, without its octal escapes."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda code: chr(int(code[1], 8)), path)


def processors(words: str | None) -> frozenset[int] | None:
    """The numbers in a list such as ``0-3,8``; None if it is no such list."""
    numbers: set[int] = set()
    for part in (words or "").split(","):
        ends = _RANGE.fullmatch(part.strip())
        if not ends:
            return None
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not first <= last < _MOST_PROCESSORS:
            return None
        numbers.update(range(first, last + 1))
    return frozenset(numbers)
