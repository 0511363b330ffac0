"""Claim ``int8-rows``: rows stored as int8 against rows stored as they come out, by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.claims.cost import lookups, measured, rules
from suite.claims.cost.measured import Measured
from suite.claims.finding import Finding, Mark, Plot, Series, Table, finding, plotted, point
from suite.claims.target import Target, Unmeasured
from suite.stats import Estimate
from suite.units import share, spread

SECONDS = 30.0
BATCHES = (16, 256, 1024, 8192)
VARIANT = "int8-end"
MOST_BYTES = 2**28
"""Of the plain table: it and that of int8 rows are built within the claim's time."""
BACKENDS = {
    "cpu": ("numba_dequantised", "torch_index_dequantised"),
    "cuda": ("cupy_dequantised", "torch_index_dequantised"),
}
"""By kind of device: the suite's own kernel, and the rows looked up and dequantised by torch's operators."""
_SHARE = 1 / 8
"""Largest part of the time that the rounds of one case may take."""

Fastest = Mapping[int, Outcome]


def findings(target: Target, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: there is no batch at which both could be measured.
    """
    looked_up = target.of_at_most(MOST_BYTES)
    found = measured.measure(looked_up, plan(looked_up), seconds, _SHARE)
    plain, int8 = _fastest(found, "lookup"), _fastest(found, "dequantised")
    ratios = {
        n: stats.quotient(comparison.median(int8[n]), comparison.median(plain[n])) for n in plain if n in int8
    }
    if not ratios:
        why = next(iter(found.missing.values()), "no backend runs here")
        raise Unmeasured(f"int8 rows were not timed: {why}; give a larger --time-budget or a smaller --model")
    plot = _plot(ratios)
    return [
        finding(
            "int8-rows",
            rules.int8_rows({batch: ratio.value for batch, ratio in ratios.items()}),
            rule=rules.INT8_ROWS,
            tables=(_ratios(ratios, plain, int8), _all(found), plotted(plot), *_missing(found)),
            plots=(plot,),
            notes=_notes(target, looked_up),
        )
    ]


def plan(target: Target) -> list[tuple[Case, tuple[str, ...]]]:
    """Lookups of plain, then of int8 rows: of every other batch, the largest among them, then of the rest.

    So few tables are built, and what there is no time for decides least.
    """
    kind, found = target.device.kind, list[tuple[Case, tuple[str, ...]]]()
    for batches in (BATCHES[1::2], BATCHES[::2]):
        plain = [lookups.case_of(target, batch) for batch in batches]
        int8 = [replace(case, operation="dequantised", variant=VARIANT) for case in plain]
        found += [(case, lookups.BACKENDS[kind]) for case in plain]
        found += [(case, BACKENDS[kind]) for case in int8]
    return found


def _fastest(found: Measured, operation: str) -> dict[int, Outcome]:
    """Of each batch the outcome of an operation with the least median, of those timed by one clock."""
    fastest = {}
    for batch in BATCHES:
        here = [
            o for (case, _), o in found.outcomes.items() if (case.operation, case.batch) == (operation, batch)
        ]
        if here:
            fastest[batch] = comparison.ranked(here)[0][0]
    return fastest


def _ratios(ratios: Mapping[int, Estimate], plain: Fastest, int8: Fastest) -> Table:
    rows = tuple(
        (
            *(batch, plain[batch].backend, comparison.median(plain[batch]).value * 1e6),
            *(
                int8[batch].backend,
                comparison.median(int8[batch]).value * 1e6,
                share(ratio.value),
                spread(ratio),
            ),
        )
        for batch, ratio in sorted(ratios.items())
    )
    headings = ("batch", "plain", "plain (µs)", "int8", "int8 (µs)", "int8 / plain", "±")
    return Table("The fastest lookup of each kind of rows", headings, rows)


def _all(found: Measured) -> Table:
    rows = tuple(
        (case.batch, name, comparison.median(o).value * 1e6, spread(comparison.median(o)))
        for (case, name), o in found.outcomes.items()
    )
    return Table("All that were timed", ("batch", "backend", "time (µs)", "±"), rows)


def _plot(ratios: Mapping[int, Estimate]) -> Plot:
    line = Series("int8 / plain", tuple(point(batch, ratio) for batch, ratio in sorted(ratios.items())))
    return Plot(
        title="Time of a lookup of int8 rows over that of plain ones",
        x_label="batch (ids in one lookup)",
        y_label="times as long as the plain lookup",
        series=(line,),
        marks=(Mark(f"the rule: {rules.HALVED:g}", "y", rules.HALVED),),
        log_x=True,
    )


def _missing(found: Measured) -> Iterator[Table]:
    rows = tuple((case.batch, name, why) for (case, name), why in found.missing.items())
    if rows:
        yield Table("Not measured", ("batch", "backend", "why"), rows)


def _notes(target: Target, looked_up: Target) -> tuple[str, ...]:
    model = target.model
    plain, int8 = (
        replace(lookups.case_of(target, 1), operation=operation, variant=variant).payload_bytes
        for operation, variant in (("lookup", ""), ("dequantised", VARIANT))
    )
    what = f"Table {looked_up.table}"
    if looked_up.vocab != model.vocab:
        what += f", of {model.name}'s {model.vocab:,} rows, to fit memory and time"
    return (
        f"{what}. Uniform ids, cold.",
        f"Both give rows of {model.dim:,} {model.dtype}, bit for bit; int8 rows are stored with a scale and "
        "a bias each. The result is as large as ever, so by bytes read and written int8 rows take "
        f"{share(int8 / plain)} of the plain lookup's time; the table takes half the memory.",
    )
