"""How often a change of 5 % or 2 % is found, and equal things are called different: in three ways.

    python -m tests.tools.changes --out FOLDER [--runs 2] [--minutes 30] [--budget 150s]
    python -m tests.tools.changes read FOLDER

A backend takes turns with itself, and with itself slowed by 5 % and 2 %: within a run (by two names), side by
side in two environments of this interpreter, and between runs (--runs of each, by turns), there also relative
to what is unchanged: a second of the base's kind, and the copy. A slowed one is busy for a share of the time
that its lookup took, by the clock, so that it is slowed at any speed of the machine; the base reads the clock
as often and is not busy. The middle ratio says by how much they came to be slowed. The last figures are the
verdicts called different with other noise floors.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from suite import stats
from suite.analysis import comparison, outcomes
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from tests.tools import trials
from tests.tools.trials import DIFFERENT, Seen

CASES = (
    *("--vocab", "200000", "--dim", "64,768", "--batch", "512,2048,8192", "--cache", "cold,hot"),
    *("--sustain", "0"),
)
BUSY = '''"""numpy_take, then busy for {percent} % of the time that it took."""

from time import perf_counter_ns

import numpy as np

from backends.base import Backend


class Busy(Backend):
    devices = ("cpu",)
    packages = ("numpy",)

    def prepare(self, table, indices, out):
        def lookup():
            began = perf_counter_ns()
            np.take(table, indices, axis=0, out=out, mode="clip")
            ended = perf_counter_ns()
            until = ended + (ended - began) * {percent} // 100
            while perf_counter_ns() < until:
                pass
            return out

        return lookup
'''
PERCENT = {"base": 0, "slower_5": 5, "slower_2": 2}
FLOORS = (0.0, 0.005, 0.01, 0.02, 0.03)
Name = tuple[str, str | None]
"""Of a contender in a run: backend, environment."""


def commands(out: Path, runs: int) -> Iterator[tuple[str, list[str]]]:
    """Name of each run, and the words of suite.run for it; writes the files of the backends."""
    files = {version: (out / f"{version}.py").absolute() for version in PERCENT}
    out.mkdir(parents=True, exist_ok=True)
    for version, file in files.items():
        file.write_text(BUSY.format(percent=PERCENT[version]), encoding="utf-8")
    each = [f"{version}={file}" for version, file in files.items()]
    yield "within", ["--backend", f"same={files['base']}", *each]
    environments = [
        word for name in ("base", "head") for word in ("--environment", f"{name}={sys.executable}")
    ]
    yield "beside", [*environments, "--backend", *each]
    for number, version in itertools.product(range(1, runs + 1), PERCENT):
        contenders = [f"lookup={files[version]}", f"steady={files['base']}"]
        yield f"between-{number}-{version}", ["--backend", *contenders]


def measure(out: Path, runs: int, minutes: float, budget: str) -> None:
    end = time.monotonic() + 60 * minutes
    for name, words in commands(out, runs):
        if time.monotonic() > end:
            print(f"time is up before {name}", flush=True)
            return
        new = not (out / name / trials.FINISHED).exists()
        if trials.run(out / name, [*CASES, *words, "--time-budget", budget]) and new:
            print(*(f"  {line}" for line in read(out) if line.startswith(name.partition("-")[0])), sep="\n")
            sys.stdout.flush()


def read(out: Path) -> Iterator[str]:
    """The lines to print of the runs in a folder."""
    folders = {folder.name: folder for folder in trials.finished(out)}
    for how, (of_a, of_b) in {"within": (None, None), "beside": ("base", "head")}.items():
        for version in PERCENT if how in folders else ():
            other = "same" if how == "within" and version == "base" else version
            yield from _said(how, version, _of_one_run(folders[how], ("base", of_a), (other, of_b)))
    between = [(name.rpartition("-")[2], folder) for name, folder in folders.items() if "between" in name]
    for version in PERCENT:
        pairs = [
            (a, b)
            for (of_a, a), (of_b, b) in itertools.product(between, between)
            if (of_a, of_b) == ("base", version) and (version != "base" or a.name < b.name)
        ]
        for words, basis in (("", None), (" relative to unchanged", "unchanged")):
            seen = [one for a, b in pairs for one in trials.seen(a, b, basis) if one.b.name == "lookup"]
            yield from _said("between", f"{version}{words}", seen)


def _said(how: str, what: str, found: Sequence[Seen]) -> Iterator[str]:
    if found:
        ratios = sorted(one.ratio.value for one in found)
        slow = sum(not one.full_speed for one in found)
        floors = [f"{floor:.1%} {_different(found, floor)}" for floor in FLOORS]
        middle = f"{ratios[len(ratios) // 2]:.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f}"
        yield (
            f"{trials.verdicts(f'{how}, {what}', found)}; {slow} not at full speed; "
            f"middle ratio {middle}; by floor: {', '.join(floors)}"
        )


def _different(found: Iterable[Seen], floor: float) -> int:
    return sum(one.full_speed and stats.verdict(one.ratio, floor) in DIFFERENT for one in found)


def _of_one_run(folder: Path, a: Name, b: Name) -> list[Seen]:
    """Of each case of a run, the second of two that took turns against the first."""
    results = outcomes.read([folder])
    (where,) = results.environments.values()
    floor = comparison.noise_floor(where)
    found: dict[Case, dict[Name, Outcome]] = defaultdict(dict)
    for outcome in results.outcomes:
        if outcome.completed:
            found[outcome.case][outcome.backend, outcome.environment] = outcome
    pairs = [(one[a], one[b]) for one in found.values() if a in one and b in one]
    return [Seen(x, y, comparison.slowdown(y, x), comparison.verdict(y, x, floor)) for x, y in pairs]


def main(argv: Sequence[str]) -> None:
    folder = trials.folder_to_read(argv)
    if folder is None:
        given = trials.parser(str(__doc__), runs=2, minutes=30, budget="150s").parse_args(argv)
        measure(given.out, given.runs, given.minutes, given.budget)
        folder = given.out
    print("", *read(folder), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
