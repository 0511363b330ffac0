"""Panels of the figures: axes side by side, marks with whiskers, the legend, failures."""

from __future__ import annotations

import io
import textwrap
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from suite.cases.case import AXES
from suite.report.looks import look
from suite.text import cut, plain

Floats = NDArray[np.float64]

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", None, "#a39200")
"""The eight of Okabe and Ito, which the colour-blind can distinguish; null: the colour of text."""
MARKERS = "os^DvPH*"
SERIES = [axis for axis in AXES if axis != "batch"]
"""Axes that points joined by a line have in common."""
MOST_COLUMNS = 3
MOST_NAMED = 8
CLOSEST = 1.3
"""Ticks closer than this factor would overlap."""
PALE = 0.35
"""How opaque is drawn what was not measured at full speed."""
BESIDE = 1.035
"""Factor between the marks of one backend and the next, where many share a place."""
LINE_LENGTH, MOST_NAME = 75, 28


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes: its rows of the table, and the columns drawn: x, and y with its interval."""

    title: str
    rows: pd.DataFrame
    x: str
    y: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Style:
    """How axes are labelled and filled.

    Attributes:
        ticks: where x has ticks; null for decades. show_x, show_y: how numbers are written.
        joined: whether lines join the batches of a table. dodged: whether backends stand side by side.
    """

    x: str
    y: str
    show_x: Callable[[float], str]
    show_y: Callable[[float], str] = "{:,g}".format
    ticks: Sequence[float] | None = None
    log: bool = True
    joined: bool = True
    dodged: bool = False


class Shown(Figure):
    """A figure that notebooks show without pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def figure(table: pd.DataFrame, panels: Sequence[Panel], style: Style) -> tuple[Figure, list[Axes]]:
    """Draw panels on one scale, with the failures below; returns the axes in the order of the panels."""
    columns = min(MOST_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    drawn = Shown(figsize=(2.5 + 5 * columns, 1 + 3.5 * lines), layout="constrained")
    grid = list(drawn.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    looks = _looks(table)
    for axes, panel in zip(grid, panels, strict=False):
        _frame(axes, panel.title, style)
        here = [name for name in looks if (panel.rows["backend"] == name).any()]
        for place, name in enumerate(here):
            rows = panel.rows[panel.rows["backend"] == name].dropna(subset=[panel.y[0]])
            aside = BESIDE ** (place - (len(here) - 1) / 2) if style.dodged else 1.0
            for (cache, pale), some in rows.groupby(["cache", "pale"]):
                bars = _marks(axes, panel, some, looks[name], cache == "hot", bool(pale), aside)
                bars.set_label(name)
            if style.joined:
                axes.plot(*_joined(rows, panel), color=looks[name][0], lw=0.8, alpha=0.4)
    for axes in grid[len(panels) :]:
        axes.remove()
    drawn.supxlabel(_failures(table, LINE_LENGTH * columns), fontsize="small", parse_math=False)
    return drawn, grid[: len(panels)]


def _frame(axes: Axes, title: str, style: Style) -> None:
    axes.set_title(title, fontsize="medium", loc="left", parse_math=False)
    axes.set(xscale="log", yscale="log" if style.log else "linear", xlabel=style.x, ylabel=style.y)
    if style.ticks is not None:
        axes.set_xticks(_apart(style.ticks))
        axes.xaxis.set_minor_locator(NullLocator())
    for axis, show in ((axes.xaxis, style.show_x), (axes.yaxis, style.show_y)):
        axis.set_major_formatter(FuncFormatter(lambda value, _, show=show: show(value)))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(True, alpha=0.25, lw=0.7)
    axes.tick_params(labelbottom=True)
    axes.spines[["top", "right"]].set_visible(False)


def _apart(ticks: Sequence[float]) -> list[float]:
    kept: list[float] = []
    for tick in sorted(set(ticks)):
        if not kept or tick >= CLOSEST * kept[-1]:
            kept.append(tick)
    return kept


def _joined(rows: pd.DataFrame, panel: Panel) -> tuple[Floats, Floats]:
    """The points in the order of the lines that join them, nan between lines."""
    rows = rows.sort_values([*SERIES, panel.x])
    breaks = np.flatnonzero(np.diff(rows.groupby(SERIES).ngroup())) + 1
    x, y = (np.insert(rows[name].to_numpy("float64"), breaks, np.nan) for name in (panel.x, panel.y[0]))
    return x, y


def _marks(
    axes: Axes,
    panel: Panel,
    rows: pd.DataFrame,
    look: tuple[str, str],
    hollow: bool,
    pale: bool,
    aside: float,
) -> ErrorbarContainer:
    value, low, high = (rows[column].to_numpy("float64") for column in panel.y)
    colour, marker = look
    whiskers = np.array([value - low, high - value]).clip(min=0)  # below it where rounded
    x = rows[panel.x].to_numpy("float64") * aside
    alpha = PALE if pale else 1.0
    bars = axes.errorbar(
        x, value, whiskers, fmt=marker, color=colour, elinewidth=1.2, markersize=5.5, alpha=alpha
    )
    bars.lines[0].set(zorder=3, markerfacecolor="none" if hollow else colour)
    return bars


def _looks(table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and mark of each backend by its name, as on the page."""
    ink, found = rcParams["text.color"], {}
    for name in sorted(table["backend"].unique()):
        colour, mark = look(name)
        found[name] = COLOURS[colour] or ink, MARKERS[mark]
    return found


def legend(figure: Figure, table: pd.DataFrame, lines: Sequence[Line2D] = ()) -> None:
    """Draw the legend: backends that completed a case, and the lines given, by their labels."""
    done = set(table["backend"][table["status"] == "ok"])
    looks = {name: look for name, look in _looks(table).items() if name in done}
    marks = [Line2D([], [], color=colour, marker=mark, ls="none") for colour, mark in looks.values()]
    names = [
        f" {name}" if name.startswith("_") else name for name in (cut(name, MOST_NAME) for name in looks)
    ]
    handles, labels = [*marks, *lines], [*names, *(str(line.get_label()) for line in lines)]
    box = figure.legend(handles, labels, loc="outside right upper", frameon=False)
    for text in box.get_texts():
        text.set_parse_math(False)


def _failures(table: pd.DataFrame, length: int) -> str:
    failed = table[table["status"] != "ok"]
    names: dict[str, set[str]] = defaultdict(set)
    for status, backend in zip(failed["status"], failed["backend"], strict=True):
        names[status].add(cut(backend, MOST_NAME))
    parts = []
    for status, some in sorted(names.items()):
        more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
        parts.append(f"{plain(status)}: {', '.join(sorted(some)[:MOST_NAMED])}{more}")
    line = f"not drawn, {'; '.join(parts)}" if parts else ""
    return "\n".join(textwrap.wrap(line, length))
