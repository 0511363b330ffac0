"""Compare two runs, environments or backends: python -m suite.compare RUN_A RUN_B"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from suite.command import CHECK_FAILED, DONE, BadRequest, Parser, execute, path_of, refuse
from suite.compare import pairs, sides
from suite.compare.listing import ONLY, listing
from suite.compare.markdown import markdown
from suite.compare.pairs import Basis
from suite.compare.sides import Side
from suite.compare.terminal import show
from suite.compare.unchanged import NAME as UNCHANGED
from suite.records.store import StoreError
from suite.report import files
from suite.text import plain


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text}: is no share; give one such as 2%% or 0.02")
    return share


def _options() -> Parser:
    parser = Parser(
        "python -m suite.compare",
        description="Compare RUN_B with RUN_A, case by case. B/A above 1 means that RUN_B takes longer.",
    )
    of_run = "folder of a run, or FOLDER:BACKEND, FOLDER@ENVIRONMENT, FOLDER@ENVIRONMENT:BACKEND; FOLDER@2 "
    of_run += "where a run went on in another environment"
    for name in ("run_a", "run_b"):
        parser.add_argument(name, metavar=name.upper(), help=of_run)
    parser.add_argument(
        "--fail-on",
        choices=["slower"],
        help="exit with 1 if any case is SLOWER, or fails in RUN_B though RUN_A completed it",
    )
    parser.add_argument(
        "--only", choices=ONLY, help="show the rows of these verdicts alone; totals are of all"
    )
    parser.add_argument(
        "--markdown",
        metavar="F",
        type=path_of,
        help="also write it as Markdown, for a comment; - is standard output, without the table",
    )
    against = parser.add_mutually_exclusive_group()
    against.add_argument(
        "--normalized",
        action="store_true",
        help="compare shares of each machine's own ceiling, so that machines may differ",
    )
    against.add_argument(
        "--relative-to",
        metavar="BACKEND",
        help="read each backend against this one in its run, which is assumed not to have changed; "
        "unchanged: against all that have the same file and packages in both runs, and the copy",
    )
    parser.add_argument("--noise-floor", type=_share, metavar="X%", help="differences below it do not count")
    return parser


def _basis(a: Side, b: Side, given: argparse.Namespace) -> Basis:
    floor, origin = pairs.noise_floor(a.where, b.where)
    asked = given.noise_floor is not None
    if asked:
        floor, origin = given.noise_floor, "as asked"
    return Basis(floor, origin, asked, given.normalized, given.relative_to)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = _options().parse_args(arguments)
    try:
        a, b, results = sides.sides(given.run_a, given.run_b)
        hindrance = sides.obstacle(a.where, b.where, given.normalized)
        if hindrance:
            raise BadRequest(f"{a} and {b}: {hindrance}")
        if given.relative_to == UNCHANGED and a.run == b.run:
            raise BadRequest(
                "--relative-to unchanged: both sides are of one run, in turns as they are; leave it out"
            )
        basis = _basis(a, b, given)
        listed = pairs.pairs(a, b, results, basis)
        if not any(p.ratio for p in listed) and not any(p.broken for p in listed):
            beside = f" beside {given.relative_to}" if given.relative_to else ""
            advice = "give runs of the same cases"
            raise BadRequest(f"{a} and {b}: no case that both completed{beside}; {advice}")
        found = listing(a, b, results, listed, basis, given.only)
        if given.markdown:
            files.write(given.markdown, markdown(found))
        if given.markdown != files.STDOUT:
            show(found, sys.stdout)
    except (BadRequest, StoreError) as error:
        return refuse(error)
    for note in results.notes:
        print(plain(note), file=sys.stderr)
    failed = any(p.verdict == "SLOWER" or p.broken for p in listed)
    return CHECK_FAILED if given.fail_on and failed else DONE


if __name__ == "__main__":
    execute(main)
