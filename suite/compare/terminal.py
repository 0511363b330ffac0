"""The comparison on a terminal: its table as wide as the window, folded between words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from suite.compare.listing import HEADINGS, Listing, Row
from suite.report.terminal import Screen

if TYPE_CHECKING:
    from rich.table import Table

SLOW = "not measured at full speed, nothing is decided:"
ROWS_A_HEAD = 20
"""The head comes again after so many rows, so that a screen has one."""
LEAST_CASE = 24
STYLES = {"SLOWER": "red", "FASTER": "green", "SAME": "dim", "UNCLEAR": ""}


def show(listing: Listing, file: TextIO) -> None:
    """Print it, in colour and to the width of a terminal, plainly elsewhere."""
    screen = Screen(file)
    for line in listing.rests_on:
        screen.line(line, "dim")
    for line in listing.broken:
        screen.line(line, "red")
    widths = [max(map(len, cells)) for cells in zip(HEADINGS, *(r.cells for r in _all(listing)), strict=True)]
    for title, rows in (("", listing.rows), (SLOW, listing.slow)):
        if title and rows:
            screen.line(title)
        for first in range(0, len(rows), ROWS_A_HEAD):
            screen.console.print(_grid(rows[first : first + ROWS_A_HEAD], widths, screen.console.width))
    for line in listing.totals:
        screen.line(line)
    for line in listing.overall:
        screen.line(line, "bold")
    screen.close()


def _all(listing: Listing) -> tuple[Row, ...]:
    return listing.rows + listing.slow


def _grid(rows: Sequence[Row], widths: Sequence[int], columns: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    case, *others = widths
    left = columns - sum(width + 2 for width in others) - 2
    grid.add_column(width=max(LEAST_CASE, min(case, left)), overflow="fold")
    for heading, width in zip(HEADINGS[1:], others, strict=True):
        grid.add_column(justify="left" if heading == "verdict" else "right", width=width, no_wrap=True)
    grid.add_row(*HEADINGS, style="dim")
    for row in rows:
        weights = ["bold" if heading == "interval" and row.wide else "" for heading in HEADINGS]
        cells = (Text(cell, weight) for cell, weight in zip(row.cells, weights, strict=True))
        grid.add_row(*cells, style=STYLES[row.verdict])
    return grid
