"""Runs as tables: on the terminal, as CSV, Markdown, HTML and more.  python -m suite.report RUN…"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from suite import export, files, outcomes, summary
from suite.command import Parser, execute, refuse
from suite.files import Location
from suite.outcomes import Results
from suite.store import StoreError
from suite.text import markdown_cell, plain

if TYPE_CHECKING:
    from rich.console import Console

Paths = Iterable[Location]

DESCRIPTION = (
    "Show runs as tables; never average them. A file named - is standard output, without the tables."
)
MAX_TERMINAL_ROWS = 2000
PLAIN_WIDTH = 200
"""Columns assumed where the output is no terminal and nobody says how wide it is."""
DISPENSABLE = ("extra MB", "±", "of copy")
"""Left out in this order where the terminal is too narrow; CSV and Markdown have them."""
NUMERIC = ("µs", "±", "GB/s", "of copy", "extra MB")
NOTE_WIDTH = 24
MIN_CELL = 12
MIN_NOTE = 10
"""Remarks are left out where they would be narrower."""


def write_csv(run_dirs: Paths, path: Location) -> None:
    """Write the runs as CSV, one row a record; the same runs give the same bytes.

    Raises:
        StoreError: nothing to write, or it can't be written.
    """
    files.csv(outcomes.read(run_dirs), path)


def markdown(results: Results, baseline: str | None = None) -> str:
    """The report as GitHub-flavoured Markdown."""
    table = summary.table(results)
    lines: list[str] = []
    for section in table.sections:
        lines += [f"#### {markdown_cell(section.title)}", "", _markdown_row(table.headings)]
        lines += ["|" + " --- |" * len(table.headings), *map(_markdown_row, section.rows), ""]
    lines += [f"- {markdown_cell(line)}" for line in summary.sentences(results, baseline)]
    lines += [f"- {markdown_cell(note)}" for note in results.notes]
    return "\n".join([*lines, "", markdown_cell(summary.LEGEND), ""])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown_cell(cell) for cell in cells) + " |"


def print_summary(run_dirs: Paths, file: TextIO | None = None, baseline: str | None = None) -> None:
    """Print the report of the runs, in colour and to the width of a terminal, plainly elsewhere.

    Args:
        file: standard output by default. baseline: the backend that others are compared with.

    Raises:
        StoreError: nothing can be shown.
    """
    _print(outcomes.read(run_dirs), file or sys.stdout, baseline)


def _print(results: Results, file: TextIO, baseline: str | None) -> None:
    from rich.console import Console
    from rich.text import Text

    text = io.StringIO()  # rendered first: rich would end the process by itself where the pipe is closed
    width = None if file.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    console = Console(file=text, width=width, highlight=False, force_terminal=file.isatty())
    if len(results.outcomes) > MAX_TERMINAL_ROWS:
        lines = [f"{len(results.outcomes):,} rows are too many to print; --csv and --markdown have them"]
    else:
        _print_table(summary.table(results), console)
        lines = [summary.LEGEND]
    for line in lines:
        console.print(Text(line, style="dim"), soft_wrap=True)
    console.print()
    for number, line in enumerate(summary.sentences(results, baseline)):
        console.print(Text(line, style="" if number else "bold"), soft_wrap=True)
    for note in results.notes:
        console.print(Text(plain(note), style="yellow"), soft_wrap=True)
    file.writelines(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def _print_table(table: summary.Table, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = [row for section in table.sections for row in section.rows]
    widths = [max(map(len, cells)) for cells in zip(table.headings, *rows, strict=True)]
    shown = _fitting(table.headings, widths, console.width)
    detail = table.headings == summary.DETAIL
    share = (console.width - widths[0]) // max(1, len(widths) - 1) - 2
    for section in (summary.Section("", (table.headings,)), *table.sections):
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
            grid.add_row(*(Text(row[k]) for k in shown), style=style)
        console.print(grid)


def _fitting(headings: Sequence[str], widths: Sequence[int], width: int) -> list[int]:
    """Which columns fit side by side; the last, of remarks, can fold."""
    shown = list(range(len(headings)))
    for heading in DISPENSABLE:
        needed = sum(widths[k] + 2 for k in shown[:-1]) + min(widths[-1], NOTE_WIDTH)
        if needed > width and heading in headings:
            shown.remove(headings.index(heading))
    if headings == summary.DETAIL and width - sum(widths[k] + 2 for k in shown[:-1]) < MIN_NOTE:
        shown.pop()
    return shown


def _export(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if name not in export.FORMATS or not path:
        raise argparse.ArgumentTypeError(f"{text!r}: give one of {'=PATH, '.join(export.FORMATS)}=PATH")
    return name, path


def _file(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("no name of a file; give one, or - for standard output")
    return text


def _check_files(given: argparse.Namespace) -> list[str]:
    """The files asked for; none of them twice, or one would be written over the other."""
    asked = [given.csv, given.markdown, given.html, given.parquet, *(path for _, path in given.export)]
    paths = [path for path in asked if path]
    for path in paths:
        if paths.count(path) > 1:
            raise StoreError(f"{path}: asked for as more than one file; give each a name of its own")
    return paths


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser("python -m suite.report", description=DESCRIPTION)
    parser.add_argument("run", nargs="+", help="folder of a run or of runs, or a pattern such as 'results/*'")
    parser.add_argument("--baseline", metavar="B", help="the backend that others are compared with")
    parser.add_argument("--csv", metavar="F", type=_file, help="also write every record, one row each")
    parser.add_argument("--markdown", metavar="F", type=_file, help="also write the tables as Markdown")
    parser.add_argument(
        "--html", metavar="F", type=_file, help="also write one page with plots, which needs no network"
    )
    parser.add_argument(
        "--parquet", metavar="F", type=_file, help="also write the CSV's columns as Parquet (pyarrow)"
    )
    parser.add_argument(
        "--export",
        metavar="FORMAT=PATH",
        type=_export,
        action="append",
        default=[],
        help="also write " + "; ".join(f"{name}: {what}" for name, what in export.FORMATS.items()),
    )
    given = parser.parse_args(arguments)
    try:
        paths = _check_files(given)
        if given.parquet:
            files.check_parquet()
        results = outcomes.read(given.run)
        if given.csv:
            files.csv(results, given.csv)
        if given.markdown:
            files.write(given.markdown, markdown(results, given.baseline))
        if given.html:
            from suite import page

            files.write(given.html, page.html(results, given.baseline))
        if given.parquet:
            files.parquet(results, given.parquet)
        for format_name, path in given.export:
            files.exported(results, format_name, path)
        if files.STDOUT not in paths:
            _print(results, sys.stdout, given.baseline)
    except StoreError as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    execute(main)
