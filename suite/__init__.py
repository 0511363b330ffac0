"""Measures embedding lookup: how fast, in which framework, and how far from the limit.

``suite.load("results/*")`` is a DataFrame with a row a record; ``suite.samples(...)``, with a row a sample;
``suite.plot(...)`` draws either the folders or such a DataFrame, in matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.analysis.frame import load, samples
    from suite.report.plots import plot

__all__ = ["load", "plot", "samples"]


def __dir__() -> list[str]:  # what a notebook completes, before any of it is imported
    return list(__all__)


def __getattr__(name: str) -> Any:
    if name in ("load", "samples"):  # pandas is imported by those who ask for a table
        from suite.analysis import frame

        return getattr(frame, name)
    if name == "plot":  # and matplotlib, by those who ask for a figure
        from suite.report import plots

        return plots.plot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
