"""What a claim came to on this machine: the verdict, the number, and what shows it. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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
