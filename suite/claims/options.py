"""Options of the claims: argv to a checked request, before anything heavy is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from suite.claims.target import MODELS
from suite.command import Parser, list_of, named, path_of, refuse, seconds_of, whole_of
from suite.machine.threads import number_of_threads

DEFAULT_MODEL = "llama-3-70b"
FOLDER = "claims"
LEAST_S = 10.0
"""With less time nothing can be judged."""


@dataclass(frozen=True, slots=True)
class Request:
    """The claims asked for, and how to measure them; ``only`` holds names and groups, empty for all."""

    only: tuple[str, ...]
    gpu: int | None
    time_budget_s: float | None
    model: str
    out: str
    seed: int
    threads: int

    def wants(self, name: str, group: str) -> bool:
        """Whether a claim is to be judged."""
        return not self.only or name in self.only or group in self.only


def parse(argv: Sequence[str], known: Sequence[str]) -> Request:
    """The request in argv.

    Args:
        known: what ``--only`` may name: claims and groups.

    Raises:
        SystemExit: after ``--help`` (0), and after a complaint of one line (2).
    """
    given = _parser(known).parse_args(argv)
    try:
        threads = given.threads or number_of_threads()
    except ValueError as error:
        raise SystemExit(refuse(error)) from None
    return Request(
        only=given.only or (),
        gpu=given.gpu,
        time_budget_s=given.time_budget,
        model=given.model,
        out=given.out,
        seed=given.seed,
        threads=threads,
    )


def _parser(known: Sequence[str]) -> Parser:
    parser = Parser(
        prog="python -m suite.claims",
        description="What people say about embedding lookup, measured here: TRUE, FALSE or IT DEPENDS.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--only", type=list_of(named("claim", known)), metavar="NAME,…", help=f"of {', '.join(known)}")
    add("--gpu", type=whole_of("gpu", 0, 1023), metavar="N", help="on this GPU, not on the CPU")
    shape = f"whose table and layers, of {', '.join(MODELS)} (default: {DEFAULT_MODEL})"
    add("--model", type=named("model", MODELS), default=DEFAULT_MODEL, metavar="NAME", help=shape)
    add("--time-budget", type=_budget, metavar="T", help="time to take: 90s, 4m (default: under 6m)")
    folder = f"folder for claims.html and claims.json; those in it are replaced (default: {FOLDER})"
    add("--out", type=path_of, default=FOLDER, metavar="DIR", help=folder)
    add("--threads", type=whole_of("threads", 1, 4096), metavar="N", help="threads a library may use")
    add("--seed", type=whole_of("seed", 0, 2**32 - 1), default=0, metavar="N", help="of ids and orders")
    return parser


def _budget(text: str) -> float:
    seconds = seconds_of(text)
    if seconds < LEAST_S:
        raise argparse.ArgumentTypeError(f"time {text!r} is too short; give {LEAST_S:g}s or more")
    return seconds
