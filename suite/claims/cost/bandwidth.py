"""The claims that a lookup is an array index and bound by bandwidth, from the suite's records by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from suite import stats
from suite.analysis import comparison, outcomes
from suite.claims.cost import half_length, lookups, rules
from suite.claims.cost.lookups import Sweep
from suite.claims.finding import Cell, Finding, Mark, Plot, Point, Series, Table, finding, plotted, point
from suite.claims.target import Place, Unmeasured
from suite.stats import Estimate
from suite.units import digits, share, spread, time_of

SECONDS = 85.0
UNSURE = 0.1
Figure = Callable[[outcomes.Outcome], Estimate | None]


def findings(place: Place, seconds: float) -> list[Finding]:
    """Both findings, from one sweep over batches.

    Raises:
        Unmeasured: no lookup of uniform ids came out.
    """
    sweep = lookups.measure(place, seconds)
    if not sweep.batches("uniform"):
        why = next(iter(sweep.missing.values()), "no backend runs here")
        raise Unmeasured(f"no lookup came out: {why}; give it more --time-budget")
    return [_index(place, sweep), _bandwidth(place, sweep)]


def _index(place: Place, sweep: Sweep) -> Finding:
    ratios: dict[int, Estimate] = {}
    rows = []
    for batch, outcome in _fastest(sweep):
        ratio = lookups.slower(outcome)
        if ratio is None:
            continue
        ratios[batch] = ratio
        time, copy = comparison.median(outcome), comparison.median(outcome).value / ratio.value
        rows.append((batch, outcome.record.backend, time.value * 1e6, copy * 1e6, ratio.value, spread(ratio)))
    if not ratios:
        raise Unmeasured("no copy came out beside the lookups; see suite.doctor")
    judged = rules.index(ratios)
    headings = ("batch", "fastest lookup", "lookup (µs)", "copy of its rows (µs)", "lookup / copy", "±")
    plot = Plot(
        "Time of the lookup over the time of a copy of the same rows",
        "batch (ids in one lookup)",
        "times as long as the copy",
        tuple(_lines(sweep, lookups.slower)),
        (Mark(f"the rule: {rules.NEAR_COPY:g}", "y", rules.NEAR_COPY),),
        log_x=True,
        log_y=True,
    )
    notes = (
        f"Table {place.table}, uniform ids, cold: rows, ids and output were not in any cache.",
        "The copy is contiguous and the best of several plain ones. Rows far apart cost more than rows side "
        "by side: a page's address has to be found for each, and the processor can't foresee the next.",
        "A library that allocates its result pays for fresh pages; the copy writes to memory that is there.",
    )
    table = Table("Lookup and copy, by batch", headings, tuple(rows))
    tables = (table, plotted(plot), *_called(sweep), *_missing(sweep))
    return finding("index", judged, rules.INDEX, tables, (plot,), (*place.notes, *notes, *_unsure(sweep)))


def _bandwidth(place: Place, sweep: Sweep) -> Finding:
    best = dict(_fastest(sweep))
    speeds = {batch: _speed(outcome) for batch, outcome in best.items()}
    copies = {batch: c for batch, o in best.items() if (c := lookups.copy_per_s(o)) is not None}
    if not copies:
        raise Unmeasured("no copy came out beside the lookups; see suite.doctor")
    from_memory = copies[max(copies)]
    judged = rules.bandwidth(speeds, from_memory)
    begins = half_length.crossing(speeds, rules.HALF * from_memory)
    rows = tuple(
        (
            batch,
            best[batch].record.backend,
            best[batch].record.case.payload_bytes,
            speeds[batch].value / 1e9,
            copies[batch] / 1e9 if batch in copies else None,
            share(speeds[batch].value / from_memory),
        )
        for batch in sorted(best)
    )
    headings = (
        "batch",
        "fastest lookup",
        "bytes moved",
        "GB/s",
        "copy beside it (GB/s)",
        "of the largest copy",
    )
    marks = [Mark("half of the largest copy", "y", rules.HALF * from_memory / 1e9)]
    if begins is not None and begins > min(speeds):
        marks.append(Mark("bound by bandwidth from here", "x", begins))
    copy_line = Series("copy of the same rows", tuple(Point(n, c / 1e9) for n, c in sorted(copies.items())))
    plot = Plot(
        "Bytes moved a second, by batch",
        "batch (ids in one lookup)",
        "GB/s, read and written",
        (*_lines(sweep, _speed, 1e-9), copy_line),
        tuple(marks),
        log_x=True,
        log_y=True,
    )
    table = Table("Speed of the fastest lookup, by batch", headings, rows)
    tables = (table, plotted(plot), *_text(sweep), *map(plotted, _text_plot(sweep)), *_missing(sweep))
    notes = (*place.notes, *_fitted(place, best), *_text_note(sweep), *_unsure(sweep))
    return finding("bandwidth", judged, rules.BANDWIDTH, tables, (plot, *_text_plot(sweep)), notes)


def _fitted(place: Place, best: Mapping[int, outcomes.Outcome]) -> Iterator[str]:
    """What a straight line through time over bytes says, and how far off it is."""
    points = [(float(o.record.case.payload_bytes), comparison.median(o).value) for o in best.values()]
    if len(points) < 3:
        return
    a, b = half_length.fit(points)
    if b <= 0 or a <= 0:
        yield "A straight line does not fit time over bytes: its fixed cost would be negative."
        return
    off = max(abs((a + b * x) / t - 1) for x, t in points)
    half = a / b / (2 * place.row_bytes + 8)
    yield (
        f"Fitted, time = {time_of(a)} + bytes / ({digits(1 / b / 1e9)} GB/s), off by {share(off)} at worst: "
        f"by this line the fixed cost is half of the time at batch {digits(half)}. The line knows one speed; "
        "threads that start only above some size and caches give the machine several, so the rule goes by "
        "what was measured."
    )


def _text(sweep: Sweep) -> Iterator[Table]:
    rows: list[tuple[Cell, ...]] = []
    for batch, ratio in _text_ratios(sweep):
        of = [f"{sweep.distinct[law, batch]:.0%}" for law in ("uniform", "text")]
        rows.append((batch, *of, ratio.value, spread(ratio)))
    if rows:
        headings = ("batch", "distinct, uniform", "distinct, text", "time of text / time of uniform", "±")
        yield Table("Ids of real text against uniform ones", headings, tuple(rows))


def _text_ratios(sweep: Sweep) -> Iterator[tuple[int, Estimate]]:
    for batch in sweep.batches("text"):
        text, uniform = sweep.fastest("text", batch), sweep.fastest("uniform", batch)
        if text and uniform:
            yield batch, stats.quotient(comparison.median(text), comparison.median(uniform))


def _text_note(sweep: Sweep) -> Iterator[str]:
    found = list(_text_ratios(sweep))
    if found:
        batch, ratio = found[-1]
        yield (
            f"Repeated ids: at batch {batch:,} text touches {sweep.distinct['text', batch]:.0%} distinct "
            f"rows, uniform ids {sweep.distinct['uniform', batch]:.0%}, and takes {digits(ratio.value)} "
            "times as long. A repeated row comes from a cache, so what is moved from memory is less than the "
            "bytes counted."
        )


def _text_plot(sweep: Sweep) -> Iterator[Plot]:
    batches = sweep.batches("text")
    if not batches:
        return
    lines = []
    for law in ("uniform", "text"):
        found = [(n, o) for n in batches if (o := sweep.fastest(law, n)) is not None]
        lines.append(Series(f"{law} ids", tuple(point(n, _speed(o), 1e-9) for n, o in found)))
    yield Plot(
        "Ids of real text against uniform ones",
        "batch (ids in one lookup)",
        "GB/s, every row counted",
        tuple(lines),
        log_x=True,
    )


def _called(sweep: Sweep) -> Iterator[Table]:
    """On a GPU the host's time beside the device's: what one lookup costs whoever waits for it."""
    rows: list[tuple[Cell, ...]] = []
    for batch, outcome in _fastest(sweep):
        if outcome.record.clock == "kernel":
            call = stats.median(comparison.rounds(outcome.record, "call"))
            kernel = comparison.median(outcome)
            rows.append((batch, kernel.value * 1e6, call.value * 1e6, spread(call)))
    if rows:
        headings = ("batch", "kernel: on the device (µs)", "call: launch and waiting too (µs)", "±")
        yield Table("With and without the launch", headings, tuple(rows))


def _unsure(sweep: Sweep) -> Iterator[str]:
    few = [o for o in sweep.outcomes.values() if comparison.median(o).precision > UNSURE]
    if few:
        yield (
            f"{len(few)} of {len(sweep.outcomes)} times are known to no better than {UNSURE:.0%}: give a "
            "larger --time-budget, and see suite.doctor for what else this machine is doing."
        )


def _missing(sweep: Sweep) -> Iterator[Table]:
    names: dict[tuple[str, int, str], list[str]] = {}
    for (law, batch, name), why in sorted(sweep.missing.items()):
        names.setdefault((law, batch, why), []).append(name)
    if names:
        rows = tuple((law, batch, ", ".join(who), why) for (law, batch, why), who in names.items())
        yield Table("Not measured", ("ids", "batch", "backend", "why"), rows)


def _fastest(sweep: Sweep) -> list[tuple[int, outcomes.Outcome]]:
    found = [(n, sweep.fastest("uniform", n)) for n in sweep.batches("uniform")]
    return [(n, o) for n, o in found if o is not None]


def _lines(sweep: Sweep, figure: Figure, factor: float = 1.0) -> list[Series]:
    """A line for each backend over the batches of uniform ids."""
    lines = []
    for name in sorted({name for law, _, name in sweep.outcomes if law == "uniform"}):
        found = ((n, sweep.outcomes.get(("uniform", n, name))) for n in sweep.batches("uniform"))
        values = ((n, figure(outcome)) for n, outcome in found if outcome is not None)
        lines.append(Series(name, tuple(point(n, value, factor) for n, value in values if value)))
    return [line for line in lines if line.points]


def _speed(outcome: outcomes.Outcome) -> Estimate:
    """Payload bytes a second."""
    time, payload = comparison.median(outcome), outcome.record.case.payload_bytes
    high = payload / time.low if time.low > 0 else math.inf
    return Estimate(payload / time.value, payload / time.high, high)
