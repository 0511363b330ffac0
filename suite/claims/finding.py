"""What a claim came to on this machine: the verdict, the number, and what shows it. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from suite.stats import Estimate
from suite.units import bounds

Verdict = Literal["TRUE", "FALSE", "IT DEPENDS", "NOT MEASURED"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
Group = Literal["cost", "meaning"]
Cell = str | int | float | None
"""A cell of a table: text, a count, a figure, or null for none."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures behind a verdict; units are in the headings, and each row is as long as the headings."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One measured place of a plot, with its interval (null where it has none)."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one thing, in the order of x."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across a plot: a threshold, or where something begins."""

    name: str
    axis: Literal["x", "y"]
    at: float


@dataclass(frozen=True, slots=True)
class Plot:
    """What a person should see; units are in the labels."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim, judged.

    Attributes:
        name: what ``--only`` calls it. claim: what people say, as a sentence.
        number: the figure that decides, with its unit, in a few words.
        why: one sentence; of NOT MEASURED, what is missing and what to do.
        rule: the thresholds by which the verdict was reached, in words.
        notes: what a careful reader should know: smaller shapes, multiplied figures, arithmetic that
            disagrees.
    """

    name: str
    group: Group
    claim: str
    verdict: Verdict
    number: str
    why: str
    rule: str = ""
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for table in self.tables:
            if any(len(row) != len(table.headings) for row in table.rows):
                raise ValueError(f"{self.name}: a row of {table.title!r} is not as long as its headings")


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


GROUPS = ("cost", "meaning")

COST = {
    "size": "The table is one matrix in memory, vocab × dim numbers, and it fits.",
    "index": "A lookup is just an array index, with zero math.",
    "bandwidth": "A lookup is bound by memory bandwidth.",
    "instant": "A lookup is nearly instantaneous.",
    "cheapest": "The lookup is never a bottleneck: it is the cheapest step of the pipeline.",
    "training": "Training touches only the rows looked up, so it costs no more than the lookup does.",
    "out-of-range": "An id that is not in the table is refused.",
}
"""What people say, by name."""

MEANING = {
    "geometry": {
        "near-means-similar": "Words whose vectors are near each other mean similar things.",
        "king-queen": "king − man + woman is near queen.",
        "same-rows": "A lookup returns the same rows whichever library does it.",
    },
    "learned": {"learned-from-noise": "The vectors are learned; they are random noise at first."},
    "contextual": {"static-not-contextual": "The static vector is not the contextual one."},
}
"""The same, by the module that judges them."""

CLAIMS = {**COST, **{name: said for module in MEANING.values() for name, said in module.items()}}
