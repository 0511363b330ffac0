"""Strip of a run: how fast the machine was from its beginning to its end, drawn without a script."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from suite.analysis.speed import FULL_SPEED, Moment, full_speed_share
from suite.units import digits, share

Floats = NDArray[np.float64]

MOST_COLUMNS = 600
PARTS = 10
"""Of the table beside the drawing."""
LONGEST_PAUSE_S = 10.0
"""A longer time without a turn, as before a run is resumed, is drawn as this."""
WIDTH, HEIGHT = 1000, 100
LEAST, MOST = 0.5, 1.05
"""Ends of the scale, unless the machine was slower than the least."""
OUTLIERS = 0.01
"""Share of the turns that may be slower than the scale shows."""


class Column(NamedTuple):
    """Some turns that follow each other: from where to where they are drawn, and their speeds in order."""

    left: float
    right: float
    speeds: Floats

    @property
    def median(self) -> float:
        return float(self.speeds[len(self.speeds) // 2])


@dataclass(frozen=True, slots=True)
class Strip:
    """The drawing of a run, WIDTH by HEIGHT.

    Attributes:
        run: its name. share: of its turns at full speed, in words. about: how many turns in what time.
        fast, slow: areas below the medians of the columns at full speed, and of the others.
        span: from the slowest to the fastest turn of each column. line: the medians.
        full, limit: where full speed is, and where it begins.
        low, end: the ends of the scale and of the time, in words.
        parts: for each tenth of the time its end, turns, share at full speed, median and slowest speed.
    """

    run: str
    share: str
    about: str
    fast: str
    slow: str
    span: str
    line: str
    full: float
    limit: float
    low: str
    end: str
    parts: tuple[tuple[str, ...], ...]


def strip(run: str, moments: Sequence[Moment]) -> Strip | None:
    """The machine's speed over a run, in at most MOST_COLUMNS columns of equal time; null without turns."""
    if not moments:
        return None
    flat = np.fromiter(itertools.chain.from_iterable(moments), float, 2 * len(moments))
    began, speeds = flat.reshape(-1, 2).T
    pauses = np.diff(began, prepend=began[0])
    elapsed = np.minimum(pauses, LONGEST_PAUSE_S).cumsum()
    low = min(LEAST, math.floor(10 * float(np.quantile(speeds, OUTLIERS))) / 10)
    columns = list(_columns(elapsed, speeds, min(MOST_COLUMNS, len(moments))))
    seconds = f"{digits(float(elapsed[-1]))} s"
    cut = f", with pauses cut to {LONGEST_PAUSE_S:.0f} s" if pauses.max() > LONGEST_PAUSE_S else ""
    return Strip(
        run=run,
        share=share(full_speed_share(moments)),
        about=f"{len(moments):,} turns in {seconds}{cut}",
        fast="".join(_area(one, one.median, low, low) for one in columns if one.median >= FULL_SPEED),
        slow="".join(_area(one, one.median, low, low) for one in columns if one.median < FULL_SPEED),
        span="".join(_area(one, float(one.speeds[-1]), float(one.speeds[0]), low) for one in columns),
        line=_line(columns, low),
        full=_height(1.0, low),
        limit=_height(FULL_SPEED, low),
        low=f"{low:.0%}",
        end=seconds,
        parts=tuple(map(_part, _columns(elapsed, speeds, PARTS, float(elapsed[-1])))),
    )


def _columns(elapsed: Floats, speeds: Floats, count: int, width: float = WIDTH) -> Iterator[Column]:
    """Columns of equal time; one reaches to the next that has a turn, but for a pause."""
    places = np.minimum(count * elapsed / (elapsed[-1] or 1.0), count - 1).astype(int)
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    paused = np.diff(elapsed)[starts[1:] - 1] > LONGEST_PAUSE_S - 1e-3
    ends = np.append(np.where(paused, places[starts[:-1]] + 1, places[starts[1:]]), count)
    for left, right, some in zip(places[starts], ends, np.split(speeds, starts[1:]), strict=True):
        yield Column(width * left / count, width * right / count, np.sort(some))


def _height(speed: float, low: float) -> float:
    return round(HEIGHT * (MOST - min(MOST, max(low, speed))) / (MOST - low), 1)


def _area(column: Column, most: float, least: float, low: float) -> str:
    """A column between two speeds."""
    top, bottom = _height(most, low), _height(least, low)
    return f"M{column.left:.1f} {top}H{column.right:.1f}V{bottom}H{column.left:.1f}z" if bottom > top else ""


def _line(columns: Sequence[Column], low: float) -> str:
    """The medians as steps, broken where there was no turn."""
    path, end = "", -1.0
    for column in columns:
        at = _height(column.median, low)
        path += f"V{at}" if column.left == end else f"M{column.left:.1f} {at}"
        path += f"H{column.right:.1f}"
        end = column.right
    return path


def _part(column: Column) -> tuple[str, ...]:
    full = float(np.mean(column.speeds >= FULL_SPEED))
    turns, slowest = f"{len(column.speeds):,}", float(column.speeds[0])
    return f"{digits(column.right)} s", turns, share(full), share(column.median), share(slowest)
