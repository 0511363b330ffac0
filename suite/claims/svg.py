"""A plot laid out as shapes and words in pixels, for a wide page or a narrow one; markup is the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.claims.finding import Plot, Series
from suite.units import digits

WIDE, NARROW = 720, 350
_TEXT = 6.3
"""Width of a character, about; 11.5 px high."""
_LINE = 14.0


@dataclass(frozen=True, slots=True)
class Words:
    """Text at a place; ``anchor`` as in SVG, ``kind`` its class, ``turned`` upright along the y axis."""

    text: str
    x: float
    y: float
    anchor: str = "start"
    kind: str = ""
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A path and its class."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, in order, in a box of pixels."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    words: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values to pixels, straight or by logarithm, and where ticks stand."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        """The pixel of a value, kept inside."""
        low, high, x = (self._scale(v) for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * min(1.0, max(0.0, (x - low) / (high - low)))

    def _scale(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    @property
    def ticks(self) -> list[float]:
        """Some four to seven round values."""
        if not self.log:
            raw = (self.high - self.low) / 5
            power = 10.0 ** math.floor(math.log10(raw))
            step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
            first = math.ceil(self.low / step - 1e-9)
            return [step * k for k in range(first, int(self.high / step + 1e-9) + 1)]
        low, high = math.log10(self.low), math.log10(self.high)
        if high - low < 1.5:
            whole = range(math.floor(low), math.ceil(high) + 1)
            fine = [m * 10.0**k for k in whole for m in (1, 2, 5)]
            return [value for value in fine if self.low * 0.999 <= value <= self.high * 1.001]
        every = max(1, math.ceil((high - low) / 6))
        return [10.0**k for k in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, every)]


def draw(plot: Plot, width: int) -> Drawing:
    """The plot in that width: names at the ends of the lines where there is room, none on a narrow page."""
    named = width >= WIDE
    longest = max(len(s.name) for s in plot.series)
    right = width - (min(230.0, _TEXT * longest + 22) if named else 10)
    plot = replace(plot, series=tuple(s for s in plot.series if s.points))
    x_axis, y_axis = _axes(plot, (0.0, right), (300.0 if named else 250.0, 22.0))
    x_axis = replace(x_axis, start=32 + _TEXT * max(len(_tick(tick)) for tick in y_axis.ticks))
    height = (300 if named else 250) + 44
    shapes, words = _frame(plot, x_axis, y_axis, width, height)
    for number, series in enumerate(plot.series):
        shapes += _line(series, number, x_axis, y_axis)
    if named:
        words += _names(plot.series, x_axis, y_axis)
    return Drawing(width, height, tuple(shapes), tuple(words))


def _axes(plot: Plot, across: tuple[float, float], up: tuple[float, float]) -> tuple[Axis, Axis]:
    points = [p for s in plot.series for p in s.points]
    xs = [p.x for p in points] + [m.at for m in plot.marks if m.axis == "x"]
    ys = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    ys += [m.at for m in plot.marks if m.axis == "y"]
    return (
        Axis(*_ends(xs, plot.log_x, tight=True), *across, plot.log_x),
        Axis(*_ends(ys, plot.log_y), *up, plot.log_y),
    )


def _ends(values: Sequence[float], log: bool, tight: bool = False) -> tuple[float, float]:
    """Where an axis begins and ends, with some room beyond the outermost values."""
    if log:
        kept = [v for v in values if v > 0] or [1.0]
        room = 1.15 if tight else 1.3
        low, high = min(kept) / room, max(kept) * room
        return (low, high) if high / low > 2 else (low / 1.5, high * 1.5)
    low, high = min(values), max(values)
    if 0 <= low < 0.5 * high:
        low = 0.0
    room = 0.04 * (high - low) or abs(high) or 1.0
    return (low if low == 0 else low - room), high + room


def _frame(plot: Plot, x: Axis, y: Axis, width: int, height: int) -> tuple[list[Shape], list[Words]]:
    """Grid, ticks, labels and marks."""
    shapes, words = [], []
    for tick in x.ticks:
        at = x.at(tick)
        shapes.append(Shape(f"M{at:.1f} {y.start:.1f}V{y.end:.1f}", "grid"))
        words.append(Words(_tick(tick), at, y.start + 16, "middle"))
    for tick in y.ticks:
        at = y.at(tick)
        shapes.append(Shape(f"M{x.start:.1f} {at:.1f}H{x.end:.1f}", "grid"))
        words.append(Words(_tick(tick), x.start - 6, at + 4, "end"))
    shapes.append(Shape(f"M{x.start:.1f} {y.end:.1f}V{y.start:.1f}H{x.end:.1f}", "axis"))
    words.append(Words(plot.x_label, (x.start + x.end) / 2, height - 8, "middle", "name"))
    words.append(
        Words(_folded(plot.y_label, y.start - y.end), 12, (y.start + y.end) / 2, "middle", "name", True)
    )
    for mark in plot.marks:
        if mark.axis == "y":
            at = y.at(mark.at)
            shapes.append(Shape(f"M{x.start:.1f} {at:.1f}H{x.end:.1f}", "guide"))
            words.append(Words(mark.name, x.start + 6, at - 4))
        else:
            at = x.at(mark.at)
            left = at > (x.start + x.end) / 2
            shapes.append(Shape(f"M{at:.1f} {y.start:.1f}V{y.end:.1f}", "guide"))
            words.append(Words(mark.name, at - 5 if left else at + 5, y.end - 6, "end" if left else "start"))
    return shapes, words


def _line(series: Series, number: int, x: Axis, y: Axis) -> list[Shape]:
    """The thin line between the points, their whiskers, and their marks."""
    kind = f"b{number % 8}"
    where = [(x.at(p.x), y.at(p.y)) for p in series.points]
    shapes = []
    if len(where) > 1:
        shapes.append(Shape("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in where), f"join {kind}"))
    for point, (a, _) in zip(series.points, where, strict=True):
        if point.low is not None and point.high is not None:
            low, high = y.at(point.low), y.at(point.high)
            shapes.append(
                Shape(f"M{a:.1f} {low:.1f}V{high:.1f}m-3 0h6M{a - 3:.1f} {low:.1f}h6", f"whisker {kind}")
            )
    return shapes + [Shape(marker(number, a, b), f"dot {kind}") for a, b in where]


def marker(number: int, x: float, y: float, r: float = 4.2) -> str:
    """The path of a series' mark: its shape goes with its colour, for those who see no colours."""

    def polygon(*points: tuple[float, float]) -> str:
        return "M" + "L".join(f"{x + a * r:.1f} {y + b * r:.1f}" for a, b in points) + "Z"

    shapes = (
        f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z",
        polygon((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        polygon((0, -1.15), (1.05, 0.8), (-1.05, 0.8)),
        polygon((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        polygon((0, 1.15), (1.05, -0.8), (-1.05, -0.8)),
        polygon(
            (-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4),
            (0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4),
        ),
        polygon((-0.6, -1.05), (0.6, -1.05), (1.2, 0), (0.6, 1.05), (-0.6, 1.05), (-1.2, 0)),
        polygon((-1.2, -0.5), (1.2, -0.5), (1.2, 0.5), (-1.2, 0.5)),
    )  # fmt: skip
    return shapes[number % len(shapes)]


def _names(series: Sequence[Series], x: Axis, y: Axis) -> list[Words]:
    """Each line's name at its last point, moved apart where they would cover each other."""
    last = [(x.at(s.points[-1].x), y.at(s.points[-1].y), n, s.name) for n, s in enumerate(series)]
    right = max((at for at, *_ in last), default=0.0)
    words: list[Words] = []
    for end in sorted({at for at, *_ in last}):
        here = sorted((up, n, name) for at, up, n, name in last if at == end)
        words += _apart(here, x.end + 8 if end == right else end + 9, y)
    return words


def _apart(ends: Sequence[tuple[float, int, str]], left: float, y: Axis) -> list[Words]:
    places = [at for at, _, _ in ends]
    for _ in range(200):
        for k in range(len(places) - 1):
            overlap = _LINE - (places[k + 1] - places[k])
            if overlap > 0:
                places[k] -= overlap / 2
                places[k + 1] += overlap / 2
        lift = max(0.0, places[-1] - y.start) if places else 0.0
        places = [at - lift for at in places]
    return [
        Words(name, left, place + 4, "start", f"name b{number % 8}")
        for place, (_, number, name) in zip(places, ends, strict=True)
    ]


def _tick(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e6:
        exponent = math.floor(math.log10(abs(value)) + 1e-9)
        factor = value / 10.0**exponent
        return f"1e{exponent}" if abs(factor - 1) < 1e-6 else f"{factor:.0f}e{exponent}"
    text = digits(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _folded(label: str, room: float) -> str:
    return label if len(label) * _TEXT <= room + 30 else label[: int((room + 30) / _TEXT) - 1] + "…"
