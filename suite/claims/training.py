"""The claim that training a table touches only the rows looked up: backward and update against forward."""

from __future__ import annotations

from suite import stats
from suite.claims import rules
from suite.claims.finding import Finding, Plot, Series, Table
from suite.claims.judged import finding, point
from suite.claims.place import Place, Unmeasured
from suite.claims.process import ask
from suite.claims.words import factor, size_of, spread, time_of
from suite.stats import Estimate

SECONDS = 35.0
SPARE_S = 60.0
PAIRS = {
    "dense": ("dense backward", "dense SGD update"),
    "sparse": ("sparse backward", "sparse SGD update"),
}


def findings(place: Place, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: no batch was timed in full.
    """
    answer = ask("training", place.spec(seconds=seconds), 2 * seconds + SPARE_S, place.threads)
    times: dict[int, dict[str, Estimate]] = {}
    for line in answer.lines[1:]:
        times.setdefault(line["batch"], {})[line["step"]] = stats.median([[t] for t in line["rounds"]])
    steps = list(next(iter(times.values()), {}))
    times = {batch: of for batch, of in times.items() if list(of) == steps}
    if not times:
        raise Unmeasured(f"no step was timed: {answer.death}; free memory, or ask for a smaller --model")
    vocab = answer.lines[0]["vocab"]
    ratios = {
        kind: {batch: _sum(of, pair) / of["forward lookup"].value for batch, of in times.items()}
        for kind, pair in PAIRS.items()
    }
    judged = rules.training(ratios["dense"], ratios["sparse"])
    notes = _notes(place, vocab)
    if answer.death:
        notes += (f"cut short: {answer.death}",)
    tables = (_ratios(ratios), _times(times, steps))
    return [finding("training", judged, rules.TRAINING, tables, (_plot(times, steps),), notes)]


def _sum(of: dict[str, Estimate], names: tuple[str, ...]) -> float:
    return sum(of[name].value for name in names)


def _ratios(ratios: dict[str, dict[int, float]]) -> Table:
    rows = tuple(
        (batch, factor(ratios["dense"][batch]), factor(ratios["sparse"][batch])) for batch in ratios["dense"]
    )
    headings = ("batch", "dense: × the forward", "sparse: × the forward")
    return Table("Backward and SGD update together, over the forward lookup", headings, rows)


def _times(times: dict[int, dict[str, Estimate]], steps: list[str]) -> Table:
    rows = tuple(
        (step, *(f"{time_of(of[step].value)} {spread(of[step])}" for of in times.values())) for step in steps
    )
    return Table("Time of one call", ("step", *(f"batch {batch:,}" for batch in times)), rows)


def _plot(times: dict[int, dict[str, Estimate]], steps: list[str]) -> Plot:
    lines = []
    for step in steps:
        lines.append(Series(step, tuple(point(batch, of[step], 1e6) for batch, of in times.items())))
    title = "What training adds to the lookup, by batch"
    return Plot(title, "batch (ids in one lookup)", "time of one call (µs)", tuple(lines), (), True, True)


def _notes(place: Place, vocab: int) -> tuple[str, ...]:
    used = size_of(vocab * place.row_bytes)
    notes = [
        f"Table of {vocab:,} × {place.model.dim:,} {place.model.dtype}, {used}: the gradient that the dense "
        "backward pass fills with zeros is as large, whatever the batch.",
        "Backward is the operator that autograd calls, alone; ids are uniform and the same in every call, so "
        "rows of a small batch are in a cache, for all steps alike.",
    ]
    if vocab != place.model.vocab:
        notes.insert(
            0,
            f"{place.model.name} has {place.model.vocab:,} rows; the steps were timed on {vocab:,}, so that "
            "they fit memory and time. On all of them the dense steps would move as many times more bytes.",
        )
    return tuple(notes)
