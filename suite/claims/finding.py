"""Findings: of each claim the verdict on this machine, the number that decides, and the figures behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from suite.stats import Estimate

Verdict = Literal["TRUE", "FALSE", "IT DEPENDS", "NOT MEASURED"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
Group = Literal["cost", "meaning"]
Cell = str | int | float | None
"""A cell of a table: text, a count, a figure, or null for none."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures behind a verdict; units are in the headings, and every row has a cell for each heading."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point of a plot, with the ends of its interval (null where it has none)."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot: its points, in the order of x."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across a plot: a threshold, or a boundary between two ranges."""

    name: str
    axis: Literal["x", "y"]
    at: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot to be drawn; units are in the labels."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one claim, and all that shows it.

    Attributes:
        name: what ``--only`` calls it. claim: what people say, as a sentence.
        number: the figure that decides, with its unit, in a few words.
        why: one sentence; of NOT MEASURED, what is missing and what to do.
        rule: the thresholds by which the verdict was reached, in words.
        notes: limits of the measurement: smaller shapes, multiplied figures, arithmetic that disagrees.
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
class Ruling:
    """What a rule says: a verdict, the figure that decides it, and why, in words that make a sentence."""

    verdict: Verdict
    number: str
    why: str


def finding(
    name: str,
    ruling: Ruling,
    *,
    rule: str,
    tables: Iterable[Table],
    plots: Iterable[Plot] = (),
    notes: Iterable[str] = (),
) -> Finding:
    """The finding of the claim of that name."""
    return Finding(
        name=name,
        group=group_of(name),
        claim=CLAIMS[name],
        verdict=ruling.verdict,
        number=ruling.number,
        why=ruling.why[:1].upper() + ruling.why[1:].rstrip(".") + ".",
        rule=rule,
        tables=tuple(tables),
        plots=tuple(plots),
        notes=tuple(notes),
    )


def unmeasured(name: str, why: str) -> Finding:
    """The finding of a claim that could not be measured.

    Args:
        why: what is missing, and what to do.
    """
    return Finding(name, group_of(name), CLAIMS[name], verdict="NOT MEASURED", number="", why=why)


def group_of(name: str) -> Group:
    """The group of a claim."""
    return "cost" if name in COST else "meaning"


def point(x: float, value: Estimate, factor: float = 1.0) -> Point:
    """An estimate as a point, in units of 1/factor; without an interval where it has none."""
    if not value.bounded:
        return Point(x, value.value * factor)
    return Point(x, value.value * factor, value.low * factor, value.high * factor)


def plotted(plot: Plot) -> Table:
    """The points of a plot as a table: a row for each x, a column for each series."""
    columns = [{p.x: p.y for p in series.points} for series in plot.series]
    rows = (
        (int(x) if x.is_integer() else x, *(ys.get(x) for ys in columns))
        for x in sorted(float(x) for x in set().union(*columns))
    )
    headings = (plot.x_label, *(series.name for series in plot.series))
    return Table(f"{plot.title} ({plot.y_label})", headings, tuple(rows))


GROUPS: tuple[Group, ...] = get_args(Group)

COST = {
    "size": "The table is one matrix in memory, vocab × dim numbers, and it fits.",
    "index": "A lookup is just an array index, with zero math.",
    "bandwidth": "A lookup is bound by memory bandwidth.",
    "instant": "A lookup is nearly instantaneous.",
    "cheapest": "The lookup is never a bottleneck: it is the cheapest step of the pipeline.",
    "training": "Training touches only the rows looked up, so it costs no more than the lookup does.",
    "int8-rows": "Rows stored as int8 halve the time of a lookup.",
    "out-of-range": "An id that is not in the table is refused.",
}
MEANING = {
    "near-means-similar": "Words whose vectors are near each other mean similar things.",
    "king-queen": "king − man + woman is near queen.",
    "same-rows": "A lookup returns the same rows whichever library does it.",
    "learned-from-noise": "The vectors are learned; they are random noise at first.",
    "static-not-contextual": "The static vector is not the contextual one.",
}
CLAIMS = {**COST, **MEANING}
"""What people say, by the name that ``--only`` takes."""
