"""The report on a terminal: its tables as wide as the window, then its sentences."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from suite.analysis.outcomes import Results
from suite.analysis.reduce import TIMINGS
from suite.report import matrix, sentences, tables, verdict
from suite.text import folded, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid


MAX_TERMINAL_ROWS = 2000
PLAIN_WIDTH = 200
"""Columns assumed where the output is no terminal and its width is unknown."""
DISPENSABLE = ("extra MB", "enqueue µs", "graph µs", "GB/s", "±", "of copy")
"""Left out in this order where the terminal is too narrow; CSV and Markdown have them."""
NUMERIC = ("µs", *(f"{timing} µs" for timing in TIMINGS), tables.TIMES_FASTEST, "±", *tables.NUMBERS)
NOTE_WIDTH = 24
MIN_CELL = 12
MIN_NOTE = 10
"""Remarks are left out below this width."""


HEAT = (
    *("bold", "black on #cfe4f3", "black on #8fbfe0", "bright_white on #2f7ab0"),
    "bright_white on #12456b",
)
"""Styles of a ratio up to each of the matrix's steps, in one hue from light to dark, and of any above."""
SECOND = verdict.PHRASES["library"]
"""Begins the verdict's second line."""
LINES_A_HEAD = 20
"""After so many rows a matrix names its columns again."""


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

        indent = 2 if text[:1] != " " else 4
        lines = folded(text, self.console.width, indent) if self._folds else text
        self.console.print(Text(lines, style=style), soft_wrap=True)

    def close(self) -> None:
        """Write all of it to the file."""
        self._file.writelines(line.rstrip() + "\n" for line in self._text.getvalue().splitlines())


def show(results: Results, file: TextIO, baseline: str | None, cases_by_backends: bool = False) -> None:
    """Print the report.

    Args:
        baseline: the backend that others are compared with.
        cases_by_backends: whether a matrix takes the place of the tables.
    """
    screen = Screen(file)
    if cases_by_backends:
        _print_matrices(matrix.matrices(results), screen.console)
        screen.line(matrix.LEGEND, "dim")
    elif len(results.outcomes) > MAX_TERMINAL_ROWS:
        rows = f"{len(results.outcomes):,} rows"
        screen.line(f"{rows} are too many to print; --csv and --markdown have them", "dim")
    else:
        _print_table(tables.table(results), screen.console)
        screen.line(tables.LEGEND, "dim")
    screen.line("")
    for number, line in enumerate(sentences.sentences(results, baseline)):
        screen.line(line, "bold" if not number or line.startswith(SECOND) else "")
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
    of = None
    for section in table.sections:
        heads = [] if of == section.table else [table.headings]  # once for all cases of a table
        of = section.table
        console.print(Text(folded(section.title, console.width, 2), style="bold"), soft_wrap=True)
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
        for head in heads:
            grid.add_row(*(Text(head[k]) for k in shown), style="dim")
        for row in section.rows:
            first = row[0] == "*"
            weighed = [tables.is_wide(cell) or (first and k == 1) for k, cell in enumerate(row)]
            cells = (Text(row[k], "bold" if weighed[k] else "") for k in shown)
            grid.add_row(*cells, style="green" if first else "")
        console.print(grid)


def _print_matrices(found: Sequence[matrix.Matrix], console: Console) -> None:
    from rich.text import Text

    for one in found:
        if len(found) > 1:
            console.print(Text(one.title, style="bold"))
        shown = _columns_that_fit(one, console.width)
        grids: dict[str, Grid] = {}
        headed = 0
        for number, row in enumerate(one.rows):
            if row.table not in grids:
                grids[row.table] = _grid(one, shown, not grids or number - headed >= LINES_A_HEAD)
                headed = number if grids[row.table].show_header else headed
            grid = grids[row.table]
            cells = [matrix.cell(ratio, why) for ratio, why in zip(row.ratios, row.missing, strict=True)]
            styles = map(_heat, row.ratios)
            inside = [Text(cell, style) for cell, style in zip(cells, styles, strict=True)]
            grid.add_row(f"{row.batch:,}", row.ids, row.best, *inside[:shown])
        for table, grid in grids.items():
            console.print(Text(folded(table, console.width, 2), style="bold"), soft_wrap=True)
            console.print(grid)
        left = one.names[shown:]
        notes = [
            f"ids: {one.common}" if one.common else "",
            f"too narrow for {', '.join(left)}" if left else "",
        ]
        for note in filter(None, notes):
            console.print(Text(folded(note, console.width, 2), style="dim"), soft_wrap=True)


def _grid(one: matrix.Matrix, shown: int, headed: bool) -> Grid:
    """Of one table: batch, what its ids are, the fastest time, and a column for each backend shown."""
    from rich.table import Table

    grid = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", show_header=headed)
    ids = max((len(row.ids) for row in one.rows), default=0)
    grid.add_column("batch", justify="right", no_wrap=True, min_width=len("65,536"))
    grid.add_column("ids", no_wrap=True, min_width=ids)
    grid.add_column("fastest", justify="right", no_wrap=True, min_width=len("1.00 ms"))
    for name in one.names[:shown]:
        grid.add_column("\n".join(name.split("_")), justify="right", min_width=_width(name))
    return grid


def _width(name: str) -> int:
    return max(map(len, [*name.split("_"), "10.0x"]))


def _columns_that_fit(one: matrix.Matrix, width: int) -> int:
    """How many backends there is room for, the fastest first; at least one."""
    left = width - len("65,536") - len("fastest") - 8 - max((len(row.ids) for row in one.rows), default=0)
    sums = itertools.accumulate(_width(name) + 2 for name in one.names)
    return max(1, sum(total <= left for total in sums))


def _heat(ratio: float | None) -> str:
    if ratio is None:
        return "dim"
    return HEAT[sum(ratio > step for step in matrix.STEPS)]


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
