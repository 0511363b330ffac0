"""Runs as tables: on the terminal, as CSV, Markdown, HTML and more.  python -m suite.report RUN…"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from suite.analysis import outcomes
from suite.command import Parser, execute, refuse
from suite.records.store import StoreError
from suite.report import export, files
from suite.report.markdown import markdown
from suite.report.terminal import show

DESCRIPTION = (
    "Show runs as tables; never average them. A file named - is standard output, without the tables."
)


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
            from suite.report.page import html

            files.write(given.html, html.html(results, given.baseline))
        if given.parquet:
            files.parquet(results, given.parquet)
        for format_name, path in given.export:
            files.exported(results, format_name, path)
        if files.STDOUT not in paths:
            show(results, sys.stdout, given.baseline)
    except StoreError as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    execute(main)
