"""Figures for notebooks, in matplotlib: bandwidth, time by batch, share of the ceiling."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator

import pandas as pd
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.cases.case import AXES, Case
from suite.cases.operations import registry
from suite.report.panels import SERIES, Panel, Style, figure, legend
from suite.report.tables import only_lookups
from suite.text import cut
from suite.units import bytes_of, count

Source = pd.DataFrame | str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

CLOCKS = {
    timing: (f"{timing}_us", f"{timing}_low_us", f"{timing}_high_us")
    for timing in ("kernel", "graph", "enqueue", "call")
}
MOST_TITLE = 48
COLUMNS = {
    *(*AXES, "run", "device", "backend", "environment", "status", "clock", "at_full_speed"),
    *("row_bytes", "payload_bytes", "gb_per_s", "ceiling_gb_per_s"),
    *("file_over_read",),
    *("fraction_of_ceiling", "fraction_of_ceiling_low", "fraction_of_ceiling_high", "fraction_of_peak"),
    *(name for names in CLOCKS.values() for name in names),
}
"""Columns a table must have to be drawn."""


def plot(source: Source, kind: str = "bandwidth") -> Figure:
    """Draw results; runs, devices and operations stand side by side and are never averaged.

    Args:
        source: a table of ``suite.load`` or some of its rows; or folders of runs, or patterns.
        kind: ``bandwidth``: GB/s of payload over the bytes of a lookup, with the ceiling of each case;
            ``batch``: time over batch by each clock, for the table with the most batches in the source;
            ``fraction``: share of the ceiling over the bytes of a row;
            ``placement``: time over batch by where the table lies, for the fastest backend of most of them;
            ``over_read``: bytes read from the device over those of the rows, by the bytes of a row.

    Returns:
        A figure outside pyplot: ``figure.savefig("a.svg")`` saves it, ``figure.axes`` change it. Whiskers
        are 95 % intervals, hollow marks hot, pale ones not measured at full speed; failures are named below
        and not drawn, and in the legend what ``bandwidth`` and ``fraction`` leave out beside kernel times, as
        only the host timed it.

    Raises:
        ValueError: no such kind, no table of results, or no record in it that completed.
        StoreError: as ``suite.load``.
    """
    kinds = {**KINDS, **OF_PLACEMENTS}
    if kind not in kinds:
        raise ValueError(f"kind {kind!r}: no such plot; give one of {', '.join(kinds)}")
    table = _table(source)
    done = table[table["status"] == "ok"]
    if done.empty:
        raise ValueError("plot: no record completed; give a run in which one did")
    return kinds[kind](table, done)


def _table(source: Source) -> pd.DataFrame:
    if not isinstance(source, pd.DataFrame):
        from suite.analysis import frame, outcomes

        results = outcomes.read([source])
        for note in results.notes:
            warnings.warn(note, stacklevel=3)  # where ``plot`` was called
        source = frame.frame(results)
    lacking = sorted(COLUMNS - set(source.columns))
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ValueError(f"plot: the table has no column {lacking[0]}{more}; give one of suite.load")
    kilobytes = source["payload_bytes"].astype("float64") / 1e3
    where = (" @" + source["environment"]).fillna("")
    return source.assign(
        backend=source["backend"] + where,
        pale=~source["at_full_speed"].fillna(True).astype(bool),
        gb_low=kilobytes / source["ci_high_us"],
        gb_high=kilobytes / source["ci_low_us"],
    )


def _bandwidth(table: pd.DataFrame, done: pd.DataFrame) -> Figure:
    table, done, apart = _by_one_clock(table, done)
    y = ("gb_per_s", "gb_low", "gb_high")
    panels = [Panel(title, rows, "payload_bytes", y) for title, rows in _places(done)]
    picture, drawn = figure(
        table, panels, Style(f"payload of one {_call(done)}", "GB/s of payload", bytes_of)
    )
    ink, lines = rcParams["text.color"], {}
    for axes, panel in zip(drawn, panels, strict=True):
        limits = panel.rows.dropna(subset=["ceiling_gb_per_s"]).drop_duplicates([*AXES, "ceiling_gb_per_s"])
        x, copy = limits["payload_bytes"].astype("float64"), limits["ceiling_gb_per_s"]
        (line,) = axes.plot(x, copy, "_", ms=13, mew=2, color=ink, label="a copy of the same rows", zorder=4)
        lines["ceiling"] = line
        peaks = (panel.rows["gb_per_s"] / panel.rows["fraction_of_peak"]).dropna()
        if len(peaks):
            lines["peak"] = axes.axhline(peaks.median(), color=ink, lw=1, ls="--", label="theoretical peak")
    legend(picture, table, [*lines.values(), *apart])
    return picture


def _fraction(table: pd.DataFrame, done: pd.DataFrame) -> Figure:
    table, done, apart = _by_one_clock(table, done)
    y = ("fraction_of_ceiling", "fraction_of_ceiling_low", "fraction_of_ceiling_high")
    panels = [Panel(title, rows, "row_bytes", y) for title, rows in _places(done)]
    ticks = [float(size) for size in done["row_bytes"].unique()]
    style = Style(
        *("bytes of one row", "of the speed of a copy", bytes_of, "{:.0%}".format, ticks),
        log=False,
        joined=False,
        dodged=True,
    )
    picture, drawn = figure(table, panels, style)
    for axes in drawn:
        axes.set_ylim(bottom=0)
        line = axes.axhline(1, color=rcParams["text.color"], lw=1, ls="--", label="a copy of the same rows")
    legend(picture, table, [line, *apart])
    return picture


def _by_one_clock(table: pd.DataFrame, done: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[Line2D]]:
    """Both without what only the host timed where a device has kernel times; and that, for the legend."""
    of_kernels = (done["clock"] == "kernel").groupby([done["run"], done["device"]]).transform("any")
    by_host = of_kernels & (done["clock"] != "kernel")
    names = sorted(cut(name, MOST_TITLE) for name in done["backend"][by_host].unique())
    label = "\n  ".join(["not drawn, timed by the host:", *names])
    apart = [Line2D([], [], ls="none", label=label)] if names else []
    return table.drop(done.index[by_host]), done[~by_host], apart


def _batch(table: pd.DataFrame, done: pd.DataFrame) -> Figure:
    series = done.groupby(SERIES, sort=False)
    chosen = done.iloc[int(series["batch"].transform("nunique").to_numpy().argmax())]
    left = series.ngroups - 1
    table, done = (rows[(rows[SERIES] == chosen[SERIES]).all(axis=1)] for rows in (table, done))
    panels = [
        Panel(f"{title} · {clock} time", place, "batch", columns)
        for title, place in _places(done)
        for clock, columns in CLOCKS.items()
        if place[columns[0]].notna().any()
    ]
    ticks = [float(batch) for batch in done["batch"].unique()]
    style = Style(_counted(done), "µs", "{:,.0f}".format, ticks=ticks)
    picture, _ = figure(table, panels, style)
    others = f"\n({count(left, 'other')} not drawn: choose rows)" if left else ""
    title = cut(_named(chosen), 2 * MOST_TITLE) + others  # on the left, out of the way of the legend
    picture.suptitle(title, x=0.01, ha="left", fontsize="medium", parse_math=False)
    legend(picture, table)
    return picture


def _placement(table: pd.DataFrame, done: pd.DataFrame) -> Figure:
    lies = done["placement"] + (" " + done["cache"]).where(done["placement"] == "file", "")
    done = done.assign(lies=lies)[(done["cache"] == "cold") | (done["placement"] == "file")]
    if done["placement"].nunique() < 2:
        raise ValueError("plot: tables lie in one placement only; give a run of several, --placement")
    places, times = done.groupby("backend")["lies"].nunique(), done.groupby("backend")["median_us"].median()
    name = times[places[places == places.max()].index].idxmin()
    done = done[done["backend"] == name].assign(backend=lambda rows: rows["lies"])
    panels = [
        Panel(
            f"{name} · {where} · {bytes_of(size)} rows", rows, "batch", ("median_us", *CLOCKS["kernel"][1:])
        )
        for where, here in _places(done)
        for size in sorted(here["row_bytes"].unique())
        if len(rows := here[here["row_bytes"] == size])
    ]
    ticks = [float(batch) for batch in done["batch"].unique()]
    picture, _ = figure(done, panels, Style(_counted(done), "µs", "{:,.0f}".format, ticks=ticks))
    legend(picture, done)
    return picture


def _over_read(table: pd.DataFrame, done: pd.DataFrame) -> Figure:
    done = done[(done["cache"] == "cold") & (done["file_over_read"] > 0)]
    if done.empty:
        raise ValueError("plot: no cold lookup read a file; give a run with --placement file")
    y = ("file_over_read", "file_over_read", "file_over_read")
    panels = [Panel(title, rows, "row_bytes", y) for title, rows in _places(done)]
    ticks = [float(size) for size in done["row_bytes"].unique()]
    style = Style(
        "bytes of one row", "bytes read / bytes of the rows", bytes_of, ticks=ticks, joined=False, dodged=True
    )
    picture, drawn = figure(done, panels, style)
    line = [
        axes.axhline(1, color=rcParams["text.color"], lw=1, ls="--", label="the rows alone") for axes in drawn
    ]
    legend(picture, done, line[:1])
    return picture


def _named(row: pd.Series) -> str:
    case = Case(**{axis: row[axis] for axis in AXES})
    return f"{case.table_text} {case.ids_text}"


KINDS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Figure]] = {
    "bandwidth": _bandwidth,
    "batch": _batch,
    "fraction": _fraction,
}
OF_PLACEMENTS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Figure]] = {
    "placement": _placement,
    "over_read": _over_read,
}
"""Kinds for runs of tables that lie elsewhere than in the device's memory."""


def _places(done: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each operation on each device of each run, in the order of the table."""
    plainly = only_lookups(done["operation"])
    for (run, device, operation), rows in done.groupby(["run", "device", "operation"], sort=False):
        more = "" if plainly else f" · {operation}"
        yield cut(f"{run} · {device}", MOST_TITLE) + more, rows


def _call(rows: pd.DataFrame) -> str:
    return "lookup" if only_lookups(rows["operation"]) else "call"


def _counted(rows: pd.DataFrame) -> str:
    """What their batch is a number of, in words."""
    nouns = dict.fromkeys(f"{registry.named(one).counts}s" for one in rows["operation"].unique())
    return f"batch: {' or '.join(nouns)} in one {_call(rows)}"
