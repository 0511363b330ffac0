"""Holds runs against targets, a line a target: what the scripts that measure a grid and judge it share.

Ratios come from within the rounds of a case. A target is met by a value, and missed where the whole interval
lies below it; between the two a case is undecided. Cases in which the median of either side is not known to
5 % are counted apart, by their whole interval. Those below a target by value are listed.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.stats import Estimate

ROOT = Path(__file__).resolve().parents[2]

KNOWN = 0.05
Group = dict[str, Outcome]
"""Those that took turns in one case, by backend."""


class Judged(NamedTuple):
    """Whose ratio it is, and against whom: null for the copy, or what is no backend."""

    mine: Outcome
    ratio: Estimate
    other: Outcome | None = None


class Target(NamedTuple):
    """A ratio that is wanted of the cases that it concerns; the larger, the better."""

    wanted: float
    what: str
    concerns: Callable[[Group], bool]
    judge: Callable[[Group], Judged | None]


def case_of(group: Group) -> Case:
    """The case they took turns in."""
    return next(iter(group.values())).case


def groups_of(results: Results, device: str) -> list[Group]:
    """Every case of every run that was measured on such a device, ``cpu`` or ``cuda``."""
    groups: dict[tuple[str, str, Case], Group] = defaultdict(dict)
    for outcome in results.outcomes:
        if outcome.completed and outcome.device.startswith(device):
            groups[outcome.run, outcome.device, outcome.case][outcome.backend] = outcome
    return list(groups.values())


def failures(results: Results) -> Iterable[str]:
    """A line for each backend that has no number somewhere, with one of the reasons."""
    failed = {o.backend: o for o in results.outcomes if not o.completed}
    yield from (f"{name}: {one.status}, {one.reason}" for name, one in sorted(failed.items()))


def against(group: Group, mine: str, other: str) -> Judged | None:
    """How many times as fast as that other one."""
    if mine not in group or other not in group:
        return None
    return Judged(group[mine], comparison.slowdown(group[other], group[mine]), group[other])


def against_copy(mine: Outcome) -> Judged | None:
    """The fraction of the ceiling."""
    share = comparison.fraction_of_ceiling(mine)
    return Judged(mine, share) if share else None


def fastest(group: Group, names: Iterable[str]) -> Outcome | None:
    """Of these, the one with the least median."""
    there = [group[name] for name in names if name in group]
    return min(there, key=lambda o: comparison.median(o).value, default=None)


def judged(target: Target, groups: Iterable[Group]) -> Iterable[str]:
    """The target's line, and one for each case below it by value."""
    wanted, groups = target.wanted, [group for group in groups if target.concerns(group)]
    found = [one for group in groups if (one := target.judge(group))]
    sure = [one for one in found if _known(one.mine) and (one.other is None or _known(one.other))]
    unsure = [one.ratio for one in found if one not in sure]
    below = sorted((one for one in found if one.ratio.value < wanted), key=lambda one: one.ratio.value)
    short = [one for one in below if one in sure]
    missed = sum(one.ratio.high < wanted for one in short)
    apart = [sum(ratio.low >= wanted for ratio in unsure), sum(ratio.high < wanted for ratio in unsure)]
    blank = f"{len(groups) - len(found)} without a figure, " if len(found) < len(groups) else ""
    yield ""
    yield (
        f"{wanted:g} x {target.what}: {len(groups)} cases, {blank}"
        f"{len(found) - len(below)} at or above it by value; "
        f"{len(sure)} known to {KNOWN:.0%}, {len(sure) - len(short)} meet it, "
        f"{missed} miss it, {len(short) - missed} undecided; of {len(unsure)} others {apart[0]} meet it, "
        f"{apart[1]} miss it"
    )
    for mine, ratio, other in below:
        sign = "missed" if ratio.high < wanted else "undecided"
        who = f"  against {other.backend}" if other else ""
        spread = f"{ratio.value:.2f} [{ratio.low:.2f} {ratio.high:.2f}]"
        yield f"  {spread}  {sign}  {mine.case}  {mine.backend}{who}"


def _known(outcome: Outcome) -> bool:
    return comparison.median(outcome).precision <= KNOWN


def script(
    argv: Sequence[str],
    usage: str,
    seconds: float,
    commands: Callable[[str, float], list[list[str]]],
    read: Callable[[Sequence[str]], Iterable[str]],
) -> int:
    """The command of such a script: measure, commands or read; returns its exit code.

    Args:
        seconds: for all runs, where none are given. commands: the runs into a folder in so many seconds, each
            ending in its own. read: the lines to print of runs.
    """
    if len(argv) < 2 or argv[0] not in ("measure", "commands", "read"):
        print(usage, file=sys.stderr)
        return 2
    folders = list(argv[1:])
    if argv[0] != "read":
        planned = commands(argv[1], float(argv[2]) if len(argv) > 2 else seconds)
        folders = [command[-1] for command in planned]
        for command in planned:
            print(" ".join(["python", *command[1:]]), flush=True)
            if argv[0] == "measure":
                code = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode
                if code:  # what it has on disk is judged all the same
                    print(f"it ended with exit code {code}", flush=True)
    if argv[0] != "commands":
        print(*read(folders), sep="\n")
    return 0
