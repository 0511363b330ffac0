"""Plots of the claims as SVG for their page: drawn by matplotlib, coloured by the page's own variables."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from suite.claims.finding import Mark, Plot, Series
from suite.report.panels import COLOURS, MARKERS
from suite.text import plain

WIDE, NARROW = (720, 330), (350, 330)
"""Width and height in pixels; names stand beside the wide plot and above the narrow one."""
PIXELS_PER_INCH = 72
INK, SOFT, LINE = "#010203", "#010204", "#010205"
"""Drawn with where the page has a colour that matplotlib can't know."""
_PAGE_COLOURS = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)"} | {
    colour: f"var(--c{k})" for k, colour in enumerate(COLOURS) if colour
}
"""By the colour it is drawn in, the page's variable, which has a value for each colour scheme."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "claims",
    "savefig.transparent": True,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "grid.color": LINE,
    "legend.frameon": False,
    **dict.fromkeys(("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize"), 11),
    **dict.fromkeys(("xtick.major.size", "xtick.minor.size", "ytick.major.size", "ytick.minor.size"), 0),
}
_DROPPED = ("metadata", "style")
_GEOMETRY = ("d", "x", "y", "transform")


def svg(plot: Plot, size: tuple[int, int], name: str) -> str:
    """A plot as an ``<svg>`` element without scripts or styles of its own, to stand in the page.

    Args:
        size: ``WIDE`` or ``NARROW``.
        name: begins the ids in it; another for each picture of a page.
    """
    file = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        _drawn(plot, size).savefig(file, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    for element in list(root.iter()):
        _for_the_page(element, name)
    title, description = ElementTree.Element("title"), ElementTree.Element("desc")
    title.text = plain(plot.title)
    description.text = f"{plain(plot.y_label)} over {plain(plot.x_label)}; the figures are in the tables."
    root[:0] = [title, description]
    width, height = map(str, size)
    root.attrib = {"role": "img", "width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(plot: Plot, size: tuple[int, int]) -> Figure:
    width, height = (pixels / PIXELS_PER_INCH for pixels in size)
    figure = Figure((width, height), dpi=PIXELS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=plain(plot.x_label), ylabel=plain(plot.y_label))
    axes.set(xscale="log" if plot.log_x else "linear", yscale="log" if plot.log_y else "linear")
    for mark in plot.marks:
        _mark(axes, mark)
    for number, series in enumerate(plot.series):
        if series.points:
            _line(axes, series, number)
    for axis in (axes.xaxis, axes.yaxis):
        _ticks(axis)
    _legend(figure, axes, wide=size == WIDE)
    return figure


def _mark(axes: Axes, mark: Mark) -> None:
    """A dashed line across, with its name where it begins."""
    if mark.axis == "y":
        axes.axhline(mark.at, color=SOFT, lw=1.2, ls="--", zorder=1)
        place, across = (0.0, mark.at), axes.get_yaxis_transform()
    else:
        axes.axvline(mark.at, color=SOFT, lw=1.2, ls="--", zorder=1)
        place, across = (mark.at, 1.0), axes.get_xaxis_transform()
    axes.annotate(plain(mark.name), place, (4, 4), xycoords=across, textcoords="offset points")


def _line(axes: Axes, series: Series, number: int) -> None:
    """Marks with whiskers, joined by a thin line; shapes differ as colours do, for the colour-blind."""
    colour, marker = COLOURS[number % 8] or INK, MARKERS[(number + number // 8) % 8]
    points = [(p.x, p.y, p.low, p.high) for p in series.points]
    x, y, low, high = np.array(points, np.float64).T  # nan where there is no interval
    axes.plot(x, y, color=colour, lw=1, alpha=0.5, zorder=2)
    look: Any = {"color": colour, "elinewidth": 1.3, "capsize": 2.5, "markersize": 6, "zorder": 3}
    axes.errorbar(x, y, [y - low, high - y], fmt=marker, label=plain(series.name), **look)


def _ticks(axis: Axis) -> None:
    """Numbers at decades, or at 1, 2 and 5 of each where there are few."""
    low, high = sorted(axis.get_view_interval())
    if axis.get_scale() == "log" and high / low < 50:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.7g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, axes: Axes, wide: bool) -> None:
    """The names of the lines, those that end highest first."""
    drawn: Sequence[Any] = axes.containers
    bars = sorted(drawn, key=lambda bar: bar.lines[0].get_ydata()[-1], reverse=True)
    place: Any = "outside right upper" if wide else "outside upper left"
    figure.legend(handles=bars, loc=place, ncols=1 if wide else 2, handletextpad=0.3, columnspacing=1.0)


def _for_the_page(element: ElementTree.Element, name: str) -> None:
    """Make an element one of the page: no namespaces, no styles but attributes, ids of its own, no gaps."""
    for child in [child for child in element if child.tag.rpartition("}")[2] in _DROPPED]:
        element.remove(child)
    element.tag, element.tail = element.tag.rpartition("}")[2], None
    element.text = (element.text or "").strip() or None
    given = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    for declaration in given.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        if key.strip() and not key.strip().startswith("font"):
            given[key.strip()] = _PAGE_COLOURS.get(value.strip(), value.strip())
    if element.tag == "g":
        given.pop("id", None)
    elif "id" in given:
        given["id"] = f"{name}-{given['id']}"
    for key, value in given.items():
        if key in _GEOMETRY:
            given[key] = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.4g}", value)
        elif key in ("href", "clip-path"):
            given[key] = value.replace("#", f"#{name}-")
    element.attrib = given
