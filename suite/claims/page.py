"""The page of the claims: one HTML file without scripts that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.claims import plots
from suite.claims.finding import Cell, Finding, Plot
from suite.records.record import Environment
from suite.report.page.html import STYLE, machine, part, policy
from suite.text import plain
from suite.units import digits

_HERE = Path(__file__).parent
TITLES = {"cost": "What a lookup costs", "meaning": "What the vectors mean"}


def html(findings: Sequence[Finding], device: str, environment: Environment) -> str:
    """The findings as one page.

    Args:
        device: the one they were measured on, ``cpu`` or ``cuda:N``.
    """
    import jinja2

    loader = jinja2.FileSystemLoader(_HERE)
    templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    templates.filters.update(cell=cell, plain=plain)
    style = part(STYLE) + _own_style()
    groups = [(title, [f for f in findings if f.group == group]) for group, title in TITLES.items()]
    return templates.get_template("page.html").render(
        policy=policy((), style),
        style=style,
        groups=[(title, some) for title, some in groups if some],
        findings=findings,
        machine=machine(device, environment),
        environment=environment,
        device=device,
        drawings=drawings,
        is_number=_is_number,
        kinds={"TRUE": "true", "FALSE": "false", "IT DEPENDS": "depends", "NOT MEASURED": "missing"},
    )


def drawings(plot: Plot, name: str) -> tuple[str, ...]:
    """A plot as markup for a wide page and for a narrow one; none of a plot without points."""
    if not any(series.points for series in plot.series):
        return ()
    return plots.svg(plot, plots.WIDE, f"{name}-wide"), plots.svg(plot, plots.NARROW, f"{name}-narrow")


def cell(value: Cell) -> str:
    """A cell as text: three digits of a figure, a count with thousands separators, a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return digits(value) if isinstance(value, float) else plain(value)


def _is_number(value: Cell) -> bool:
    return isinstance(value, (int, float))


def _own_style() -> str:
    return (_HERE / "claims.css").read_text(encoding="utf-8")
