"""From a verdict with its figure and reason to a finding of the cost group. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from suite.claims.finding import Finding, Plot, Point, Table, Verdict
from suite.claims.names import COST
from suite.claims.words import bounds
from suite.stats import Estimate


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule says: a verdict, the figure that decided, and why, in words that make a sentence."""

    verdict: Verdict
    number: str
    why: str


def finding(
    name: str,
    judged: Judged,
    rule: str,
    tables: Iterable[Table],
    plots: Iterable[Plot] = (),
    notes: Iterable[str] = (),
) -> Finding:
    """The finding of a claim of ``COST``."""
    why = judged.why[:1].upper() + judged.why[1:].rstrip(".") + "."
    verdict, number = judged.verdict, judged.number
    return Finding(
        name, "cost", COST[name], verdict, number, why, rule, tuple(tables), tuple(plots), tuple(notes)
    )


def point(x: float, value: Estimate, factor: float = 1.0) -> Point:
    """An estimate as a place of a plot, in units of 1/factor; without an interval where it has none."""
    low, high = bounds(value)
    ends = (None, None) if low is None or high is None else (low * factor, high * factor)
    return Point(x, value.value * factor, *ends)


def plotted(plot: Plot) -> Table:
    """The points of a plot as a table: a row for each x, a column for each series."""
    known = [{p.x: p.y for p in series.points} for series in plot.series]
    rows = (
        (int(x) if x.is_integer() else x, *(ys.get(x) for ys in known))
        for x in sorted(float(x) for x in set().union(*known))
    )
    headings = (plot.x_label, *(series.name for series in plot.series))
    return Table(f"{plot.title} ({plot.y_label})", headings, tuple(rows))
