"""Runs as tables: on the terminal, as CSV, Markdown, HTML and more.  python -m suite.report RUN…"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from suite.analysis import outcomes
from suite.analysis.columns import with_mixture
from suite.analysis.outcomes import Results
from suite.command import DONE, BadRequest, Parser, execute, path_of, refuse
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
    return name, path_of(path)


def _parser() -> Parser:
    parser = Parser("python -m suite.report", description=DESCRIPTION)
    add = parser.add_argument
    add("run", nargs="+", help="folder of a run or of runs, or a pattern such as 'results/*'")
    add("--baseline", metavar="B", help="the backend that others are compared with")
    matrix = "show cases by backends, each as a multiple of the fastest, in place of the tables"
    add("--matrix", action="store_true", help=matrix)
    clock_help = "a GPU's times to rank by: on the device (kernel, the default), or until the rows are there"
    add("--clock", choices=["kernel", "call"], help=clock_help)
    add("--csv", metavar="F", type=path_of, help="also write every record, one row each")
    add("--markdown", metavar="F", type=path_of, help="also write the tables as Markdown")
    html_help = (
        "also write one page, which needs no network: of one machine with plots, of several cases by machine"
    )
    add("--html", metavar="F", type=path_of, help=html_help)
    site_help = "also write pages for a static host: one a machine, one of all"
    add("--site", metavar="FOLDER", type=path_of, help=site_help)
    add("--parquet", metavar="F", type=path_of, help="also write the CSV's columns as Parquet (pyarrow)")
    formats = "; ".join(f"{name}: {what}" for name, what in export.FORMATS.items())
    export_help = f"also write {formats}"
    add("--export", metavar="FORMAT=PATH", type=_export, action="append", default=[], help=export_help)
    return parser


def _check_files(given: argparse.Namespace) -> list[str]:
    """The files asked for; none of them twice, or one would overwrite the other."""
    named = [
        given.csv,
        given.markdown,
        given.html,
        given.site,
        given.parquet,
        *(path for _, path in given.export),
    ]
    paths = [path for path in named if path]
    for path in paths:
        if paths.count(path) > 1:
            raise BadRequest(f"{path}: asked for as more than one file; give each a name of its own")
    if given.parquet:
        files.check_parquet()
    return paths


def _by_call(results: Results, given: argparse.Namespace) -> Results | None:
    """The same runs by call times, where results are by kernel times and no clock was asked for."""
    if given.clock or all(one.clock != "kernel" for one in results.outcomes):
        return None
    return with_mixture(outcomes.read(given.run, clock="call"))


def _write_pages(results: Results, given: argparse.Namespace) -> None:
    from suite.report.machines import overview, site
    from suite.report.page import html

    many = overview.wanted(results)
    by_call = _by_call(results, given) if given.site or not many else None
    if given.html and many:
        files.write(given.html, overview.html(results, given.baseline))
    elif given.html:
        files.write(given.html, html.html(results, given.baseline, by_call))
    if given.site:
        site.write(results, given.site, given.baseline, by_call)


def _write(results: Results, given: argparse.Namespace) -> None:
    if given.csv:
        files.csv(results, given.csv)
    if given.markdown:
        files.write(given.markdown, markdown(results, given.baseline))
    if given.html or given.site:
        _write_pages(results, given)
    if given.parquet:
        files.parquet(results, given.parquet)
    for format_name, path in given.export:
        files.exported(results, format_name, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        paths = _check_files(given)
        results = with_mixture(outcomes.read(given.run, clock=given.clock))
        _write(results, given)
        if files.STDOUT not in paths:
            show(results, sys.stdout, given.baseline, given.matrix)
    except (BadRequest, StoreError) as error:
        return refuse(error)
    return DONE


if __name__ == "__main__":
    execute(main)
