"""The findings as text: in colour on a terminal, plain elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from suite.claims.finding import VERDICTS, Finding
from suite.text import plain

_STYLES = {"TRUE": "bold green", "FALSE": "bold red", "IT DEPENDS": "bold yellow", "NOT MEASURED": "dim"}
_WIDTH = max(map(len, VERDICTS)) + 2
_NARROW, _MOST = 60, 110


def show(findings: Sequence[Finding], machine: str, file: TextIO, columns: int) -> None:
    """Print each finding, then the machine in one line."""
    lines = [*_lines(findings, min(max(columns, _NARROW), _MOST)), ("dim", machine)]
    if file.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(file=file, highlight=False)
        for style, words in lines:
            console.print(Text(words, style=style), soft_wrap=True)
    else:
        for _, words in lines:
            print(words.rstrip(), file=file)


def _lines(findings: Sequence[Finding], columns: int) -> Iterator[tuple[str, str]]:
    """(style, text) of each line: verdict, name and claim; under it the number and why."""
    for finding in findings:
        yield _STYLES[finding.verdict], f"{finding.verdict:{_WIDTH}}{finding.name}: {plain(finding.claim)}"
        number = f"{plain(finding.number)}. " if finding.number else ""
        for line in _folded(number + plain(finding.why), columns - _WIDTH):
            yield "", " " * _WIDTH + line
        yield "", ""


def _folded(text: str, columns: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
