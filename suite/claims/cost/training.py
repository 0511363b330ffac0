"""Claim ``training``: gradient and update of a table, as torch makes them, against the forward lookup."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from suite import stats
from suite.analysis import comparison
from suite.cases.case import Case
from suite.claims.cost import measured, rules
from suite.claims.cost.lookups import case_of
from suite.claims.cost.measured import Measured
from suite.claims.finding import Finding, Plot, Series, Table, finding, plotted, point
from suite.claims.target import Target, Unmeasured
from suite.stats import Estimate
from suite.units import factor, size_of, spread, time_of

SECONDS = 50.0
BATCHES = (16, 512, 8192)
MOST_BYTES = 2**27
"""Of the table that is trained: a dense step goes over all of it, and is checked, in each batch."""
STEPS = {
    "forward lookup": ("lookup", "", "torch_embedding"),
    "sparse gradient and SGD": ("update", "sgd", "torch_update_sparse"),
    "dense gradient and SGD": ("update", "sgd", "torch_update_dense"),
    "sparse gradient": ("gradient", "sparse", "torch_gradient_sparse"),
    "dense gradient": ("gradient", "dense", "torch_gradient_dense"),
}
"""What a step is as the suite measures it: operation, variant, backend; first those that decide."""
_SHARE = 1 / 12
"""Largest part of the time that the rounds of one case may take."""

Times = dict[str, dict[int, Estimate]]


def findings(target: Target, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: no batch was timed in full.
    """
    trained = target.of_at_most(MOST_BYTES)
    found = measured.measure(trained, plan(trained), seconds, _SHARE)
    times = _times(found)
    ratios = {
        kind: {
            batch: stats.quotient(time, times["forward lookup"][batch])
            for batch, time in times[f"{kind} gradient and SGD"].items()
            if batch in times["forward lookup"]
        }
        for kind in ("dense", "sparse")
    }
    if not all(ratios.values()):
        why = next(iter(found.missing.values()), "no step was timed")
        raise Unmeasured(f"training was not timed: {why}; give a larger --time-budget or a smaller --model")
    plot = _plot(times)
    return [
        finding(
            "training",
            rules.training(*({n: ratio.value for n, ratio in of.items()} for of in ratios.values())),
            rule=rules.TRAINING,
            tables=(_ratios(ratios), _table(times), plotted(plot), *_missing(found)),
            plots=(plot,),
            notes=_notes(target, trained),
        )
    ]


def plan(target: Target) -> list[tuple[Case, tuple[str, ...]]]:
    """Each case once, with all backends that it is measured with; those of a table one after another."""
    found: dict[Case, list[str]] = defaultdict(list)
    for operation, variant, backend in STEPS.values():
        for batch in BATCHES:
            found[_case(target, batch, operation, variant)].append(backend)
    return [(case, tuple(names)) for case, names in found.items()]


def _case(target: Target, batch: int, operation: str, variant: str) -> Case:
    return replace(case_of(target, batch), operation=operation, variant=variant)


def _times(found: Measured) -> Times:
    times: Times = {step: {} for step in STEPS}
    for (case, name), outcome in found.outcomes.items():
        step = next(s for s, told in STEPS.items() if told == (case.operation, case.variant, name))
        times[step][case.batch] = comparison.median(outcome)
    return times


def _ratios(ratios: Mapping[str, Mapping[int, Estimate]]) -> Table:
    batches = sorted({batch for of in ratios.values() for batch in of})
    rows = tuple((batch, *(_said(of.get(batch)) for of in ratios.values())) for batch in batches)
    headings = ("batch", "dense: × the forward", "sparse: × the forward")
    return Table("Gradient and SGD update together, over the forward lookup", headings, rows)


def _said(ratio: Estimate | None) -> str | None:
    return f"{factor(ratio.value)} {spread(ratio)}" if ratio else None


def _table(times: Times) -> Table:
    rows = tuple(
        (step, *(f"{time_of(of[n].value)} {spread(of[n])}" if n in of else None for n in BATCHES))
        for step, of in times.items()
    )
    return Table("Time of one call", ("step", *(f"batch {batch:,}" for batch in BATCHES)), rows)


def _plot(times: Times) -> Plot:
    lines = [
        Series(step, tuple(point(batch, time, 1e6) for batch, time in sorted(of.items())))
        for step, of in times.items()
    ]
    return Plot(
        title="What training adds to the lookup, by batch",
        x_label="batch (ids in one lookup)",
        y_label="time of one call (µs)",
        series=tuple(line for line in lines if line.points),
        log_x=True,
        log_y=True,
    )


def _missing(found: Measured) -> Iterator[Table]:
    rows = tuple((case.operation, case.batch, name, why) for (case, name), why in found.missing.items())
    if rows:
        yield Table("Not measured", ("operation", "batch", "backend", "why"), rows)


def _notes(target: Target, trained: Target) -> tuple[str, ...]:
    used = size_of(trained.table_bytes)
    notes = (
        f"Table {trained.table}, {used}: the dense gradient is as large, whatever the batch. Ids are "
        "uniform; they, their rows and gradients are cold.",
        "The gradient is the operator that autograd calls; the update is it and a step of torch.optim.SGD. "
        "After it every row is checked bit for bit, those that no id names as well.",
    )
    if trained.vocab == target.model.vocab:
        return notes
    rows = f"{target.model.name} has {target.model.vocab:,} rows; the steps were timed on {trained.vocab:,}, "
    return (f"{rows}to fit memory and time. On all, dense steps move more bytes in proportion.", *notes)
