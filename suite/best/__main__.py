"""Which backend for my table, what to expect, how sure: python -m suite.best --model M --batch N"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from suite.analysis import outcomes
from suite.best import question, words
from suite.best.answer import Answer, answer, asked
from suite.cases.case import AXES, CACHES, DISTRIBUTIONS, MAX_OFFSET, PLACES
from suite.cases.dtypes import DTYPE_BYTES, INDEX_BYTES
from suite.cases.presets import MODELS
from suite.command import DONE, USAGE, BadRequest, Parser, execute, named, path_of, refuse, whole_of
from suite.records.store import StoreError
from suite.text import plain


def _parser() -> Parser:
    parser = Parser("python -m suite.best", description="Rank the backends for one table and batch.")
    add = parser.add_argument
    add("run", nargs="*", type=path_of, help="runs to ask (default: the published one of the default cases)")
    add("--model", type=named("model", MODELS), metavar="NAME", help="a published token table")
    add("--operation", metavar="O", help="what is computed (default: lookup), as suite.run has it")
    add("--variant", metavar="V", help="which kind of it (default: the first)")
    for axis in ("vocab", "dim", "batch"):
        add(f"--{axis}", type=whole_of(axis, 1, 2**40), metavar="N")
    for axis, known in (("dtype", DTYPE_BYTES), ("index-dtype", INDEX_BYTES), ("cache", CACHES)):
        add(f"--{axis}", type=named(axis.replace("-", " "), known), help=", ".join(known))
    add("--placement", type=named("placement", PLACES), help=f"of the table: {', '.join(PLACES)}")
    add("--distribution", metavar="D", help=f"of the ids: {', '.join(DISTRIBUTIONS)}, zipf-EXPONENT")
    add(
        "--offset", type=whole_of("offset", 0, MAX_OFFSET), metavar="B", help="of the table off its alignment"
    )
    add("--device", metavar="D", help="cpu or cuda:N (default: the GPU of the runs, if they have one)")
    return parser


def _answers(given: argparse.Namespace) -> tuple[list[Answer], tuple[str, ...]]:
    """What each machine's runs say, and the notes on what is wrong with them."""
    case = question.case_of(given.model, **{axis: getattr(given, axis, None) for axis in AXES})
    results = outcomes.read(question.folders(tuple(given.run)))
    found = asked(results, case.operation, given.device)
    return [answer(place, case) for place in found], results.notes


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        answers, notes = _answers(given)
    except (BadRequest, StoreError) as error:
        return refuse(error)
    told = [one for one in answers if one.basis != "refused"]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for number, one in enumerate(told):
        print("\n" * bool(number) + "\n".join(words.lines(one, width)))
    for one in answers:
        if one not in told:
            print(words.refusal(one), file=sys.stderr)
    for note in notes:
        print(plain(note), file=sys.stderr)
    return DONE if told else USAGE


if __name__ == "__main__":
    execute(main)
