"""Compare run with run, or backend with backend: python -m suite.compare RUN_A RUN_B"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from suite import stats
from suite.analysis import comparison
from suite.command import CHECK_FAILED, DONE, BadRequest, Parser, execute, refuse
from suite.compare import pairs
from suite.compare.pairs import Pair, Side
from suite.records.store import StoreError
from suite.report import sentences, tables
from suite.stats import Verdict
from suite.text import cut, plain, shown
from suite.units import count, digits

VERDICTS: tuple[Verdict, ...] = ("SLOWER", "FASTER", "UNCLEAR", "SAME")


def lines(a: Side, b: Side, listed: Sequence[Pair], normalized: bool) -> Iterator[str]:
    """The comparison as text: verdicts, what did not converge, what is left out, the overall line."""
    compared = [p for p in listed if p.ratio]
    yield from _listed([p for p in compared if p.converged])
    for title, apart in (
        ("not converged, read with care:", [p for p in compared if not p.converged]),
        ("left out:", [p for p in listed if not p.ratio]),
    ):
        if apart:
            yield title
            yield from _listed(apart)
    number = Counter(p.verdict for p in compared)
    yield ", ".join(f"{number[verdict]} {verdict}" for verdict in VERDICTS)
    yield _overall(a, b, listed, normalized)


def _listed(some: Sequence[Pair]) -> Iterator[str]:
    for p in some:
        known = p.b or p.a
        assert known is not None
        backend = p.a.backend if p.a else known.backend
        name = f"{known.case} on {known.device}"
        if not (p.a and p.b) or p.a.backend == p.b.backend:
            name += f", {backend}"
        if p.ratio:
            ends = f"{p.ratio.low:.3f} to {p.ratio.high:.3f}" if p.ratio.bounded else "too few rounds"
            times = " to ".join(digits(comparison.median(o).value * 1e6) for o in (p.a, p.b) if o)
            yield f"  {p.verdict:<8} {p.ratio.value:8.3f}x  {ends:<16}  {times + ' µs':<20}  {name}"
        else:
            reason = next((o.reason for o in (p.a, p.b) if o and o.reason), None)
            yield f"  {p.left_out:<12} {name}" + (f": {cut(reason, tables.REASON_LENGTH)}" if reason else "")


def _overall(a: Side, b: Side, listed: Sequence[Pair], normalized: bool) -> str:
    ratios = [p.ratio.value for p in listed if p.ratio]
    relation = sentences.times(stats.geometric_mean(ratios), 0.005) if ratios else "not comparable to"
    basis = "relative to each one's ceiling, " if normalized else ""
    out = Counter(p.left_out for p in listed if p.left_out)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in sorted(out.items()))})" if out else ""
    mean = f"geometric mean over {count(len(ratios), 'case')} that both completed"
    return f"overall: {basis}{b} is {relation} {a}: {mean}; {sum(out.values())} left out{why}"


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
        description="Compare RUN_B with RUN_A, case by case. A ratio above 1 means that RUN_B is slower.",
    )
    for name in ("run_a", "run_b"):
        parser.add_argument(name, metavar=name.upper(), help="folder of a run, or FOLDER:BACKEND")
    parser.add_argument(
        "--fail-on",
        choices=["slower"],
        help="exit with 1 if any case is SLOWER, or fails in RUN_B though RUN_A completed it",
    )
    parser.add_argument(
        "--normalized",
        action="store_true",
        help="compare shares of each machine's own ceiling, so that machines may differ",
    )
    parser.add_argument("--noise-floor", type=_share, metavar="X%", help="differences below it do not count")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = _options().parse_args(arguments)
    try:
        a, b, results = pairs.sides(given.run_a, given.run_b)
        hindrance = pairs.obstacle(a.environment, b.environment, given.normalized)
        if hindrance:
            raise BadRequest(f"{a} and {b}: {hindrance}")
        floor, origin = pairs.noise_floor(a.environment, b.environment)
        if given.noise_floor is not None:
            floor, origin = given.noise_floor, "as asked"
        listed = pairs.pairs(a, b, results, floor, given.normalized)
        if not any(p.ratio for p in listed) and not any(p.broken for p in listed):
            raise BadRequest(f"{a} and {b}: no case that both completed; give runs of the same cases")
    except (BadRequest, StoreError) as error:
        return refuse(error)
    print(plain(f"A {a}, B {b}: a ratio above 1 means that B is slower; noise floor {floor:.1%} ({origin})"))
    for line in lines(a, b, listed, given.normalized):
        print(shown(line))
    for note in results.notes:
        print(plain(note), file=sys.stderr)
    failed = any(p.verdict == "SLOWER" or p.broken for p in listed)
    return CHECK_FAILED if given.fail_on and failed else DONE


if __name__ == "__main__":
    execute(main)
