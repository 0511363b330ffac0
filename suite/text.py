"""Text from outside, made safe to show: on a terminal, in a CSV cell, in a Markdown cell; and paths."""

from __future__ import annotations

import os
import re
import textwrap
import unicodedata

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?", re.DOTALL)
_SPACES = re.compile(r"\s+")
_FORMULA = tuple("=+-@＝＋－＠")
_INVISIBLE = {"Cc": "", "Cf": ""}
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_MARKUP = re.compile(r"([\\`*\[\]<>|~&])")


def at_home(path: str | os.PathLike[str]) -> str:
    """A path with the home folder for a ``~`` or ``~name`` at its start, which shells leave in ``--out=~/x``.

    As given where nobody has that home.
    """
    return os.path.expanduser(path)  # noqa: PTH111 - as Path, one of no known user raises


def plain(text: str) -> str:
    """One line of visible characters: no escape sequence, no invisible or bidirectional control."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    line = _SPACES.sub(" ", _ESCAPES.sub("", text)).strip()
    visible = (c if c.isprintable() else _INVISIBLE.get(unicodedata.category(c), UNKNOWN) for c in line)
    return " ".join("".join(visible).split())


def shown(line: str) -> str:
    """A line of this suite's own layout: visible characters only, spaces kept."""
    return " ".join(plain(word) for word in line.split(" "))


def folded(text: str, columns: int, indent: int = 0) -> str:
    """A text in lines of so many columns, broken between words only; further lines begin with spaces."""
    return textwrap.fill(
        text,
        columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )


def cut(text: str, length: int) -> str:
    """Plain text of at most ``length`` characters; an ellipsis stands for the rest."""
    line = plain(text)
    return line if len(line) <= length else line[: length - 1] + "…"


def csv_cell(text: str) -> str:
    """Plain text that no spreadsheet reads as a formula."""
    line = plain(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def markdown_cell(text: str) -> str:
    """Plain text without Markdown's markup, in one cell."""
    return _MARKUP.sub(r"\\\1", plain(text))
