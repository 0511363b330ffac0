"""Measures embedding lookup: how fast, in which framework, and how far from the limit.

``suite.load("results/*")`` is a DataFrame, one row a record; ``suite.samples(...)``, one row a sample;
``suite.plot(...)`` draws runs, or such a DataFrame of records, with matplotlib. ``suite.best(...)`` ranks the
backends for one table and batch; ``suite.measure(fn, ...)`` measures functions of a table and ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite import best
    from suite.analysis.frame import load, samples
    from suite.inline.functions import measure
    from suite.report.plots import plot

__all__ = ["best", "load", "measure", "plot", "samples"]


def __dir__() -> list[str]:  # for completion in notebooks, before anything is imported
    return list(__all__)


def __getattr__(name: str) -> Any:
    if name in ("load", "samples"):  # imports pandas, for tables only
        from suite.analysis import frame

        return getattr(frame, name)
    if name == "plot":  # imports matplotlib, for figures only
        from suite.report import plots

        return plots.plot
    if name == "measure":
        from suite.inline import functions

        return functions.measure
    if name == "best":  # a package that can be called
        import suite.best as callable_package

        return callable_package
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
