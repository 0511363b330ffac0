"""The report on a terminal: its tables as wide as the window, then its sentences."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from suite.analysis.outcomes import Results
from suite.analysis.reduce import TIMINGS
from suite.report import sentences, tables
from suite.text import plain

if TYPE_CHECKING:
    from rich.console import Console


MAX_TERMINAL_ROWS = 2000
PLAIN_WIDTH = 200
"""Columns assumed where the output is no terminal and its width is unknown."""
DISPENSABLE = ("extra MB", "enqueue µs", "graph µs", "±", "of copy")
"""Left out in this order where the terminal is too narrow; CSV and Markdown have them."""
NUMERIC = ("µs", *(f"{timing} µs" for timing in TIMINGS), "±", *tables.NUMBERS)
NOTE_WIDTH = 24
MIN_CELL = 12
MIN_NOTE = 10
"""Remarks are left out below this width."""


class Screen:
    """Output in colour and to the width of a terminal, folded between words; plain, a line a text, elsewhere.

    Attributes:
        console: where tables are printed.
    """

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console

        self._file = file
        self._text = io.StringIO()  # not to the file at once: where a pipe is closed, rich ends the process
        self._folds = file.isatty() or "COLUMNS" in os.environ
        width = None if self._folds else PLAIN_WIDTH
        terminal = file.isatty()
        self.console = Console(file=self._text, width=width, highlight=False, force_terminal=terminal)

    def line(self, text: str, style: str = "") -> None:
        """Print a text of visible characters."""
        from rich.text import Text

        self.console.print(Text(text, style=style), soft_wrap=not self._folds)

    def close(self) -> None:
        """Write all of it to the file."""
        self._file.writelines(line.rstrip() + "\n" for line in self._text.getvalue().splitlines())


def show(results: Results, file: TextIO, baseline: str | None) -> None:
    """Print the report.

    Args:
        baseline: the backend that others are compared with.
    """
    screen = Screen(file)
    if len(results.outcomes) > MAX_TERMINAL_ROWS:
        rows = f"{len(results.outcomes):,} rows"
        screen.line(f"{rows} are too many to print; --csv and --markdown have them", "dim")
    else:
        _print_table(tables.table(results), screen.console)
        screen.line(tables.LEGEND, "dim")
    screen.line("")
    for number, line in enumerate(sentences.sentences(results, baseline)):
        screen.line(line, "" if number else "bold")
    for line in sentences.origins(results):
        screen.line(line, "dim")
    for note in results.notes:
        screen.line(plain(note), "yellow")
    screen.close()


def _print_table(table: tables.Table, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = [row for section in table.sections for row in section.rows]
    widths = [max(map(len, cells)) for cells in zip(table.headings, *rows, strict=True)]
    shown = _fitting(table.headings, widths, console.width)
    detail = not table.headings[-1]
    share = (console.width - widths[0]) // max(1, len(widths) - 1) - 2
    for section in (tables.Section("", (table.headings,)), *table.sections):
        if section.title:
            console.print(Text(section.title, style="bold"), soft_wrap=True)
        grid = Table.grid(padding=(0, 2, 0, 0))
        for k in shown:
            numeric = table.headings[k] in NUMERIC
            wide = min(widths[k], max(MIN_CELL, share)) if k and not detail else widths[k]
            grid.add_column(
                justify="right" if numeric else "left",
                min_width=None if detail and k == len(widths) - 1 else wide,
                max_width=None if detail else wide,
                overflow="fold",
            )
        for row in section.rows:
            style = "dim" if not section.title else "green" if row[0] == "*" else ""
            weights = ["bold" if section.title and tables.is_wide(cell) else "" for cell in row]
            grid.add_row(*(Text(row[k], weights[k]) for k in shown), style=style)
        console.print(grid)


def _fitting(headings: Sequence[str], widths: Sequence[int], width: int) -> list[int]:
    """Which columns fit side by side; the last, of remarks, can fold."""
    shown = list(range(len(headings)))
    for heading in DISPENSABLE:
        needed = sum(widths[k] + 2 for k in shown[:-1]) + min(widths[-1], NOTE_WIDTH)
        if needed > width and heading in headings:
            shown.remove(headings.index(heading))
    if not headings[-1] and width - sum(widths[k] + 2 for k in shown[:-1]) < MIN_NOTE:
        shown.pop()
    return shown
