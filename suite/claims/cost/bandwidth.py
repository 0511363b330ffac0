"""Claims ``index`` and ``bandwidth``, from lookups by batch and the copies measured beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.claims.cost import half_length, lookups, rules
from suite.claims.cost.lookups import Lookups
from suite.claims.finding import Cell, Finding, Mark, Plot, Point, Series, Table, finding, plotted, point
from suite.claims.target import Target, Unmeasured
from suite.stats import Estimate
from suite.units import digits, share, spread, time_of

SECONDS = 65.0
UNSURE = 0.1
BATCH = "batch (ids in one lookup)"
Figure = Callable[[Outcome], Estimate | None]


def findings(target: Target, seconds: float) -> list[Finding]:
    """Both findings, from the same lookups.

    Raises:
        Unmeasured: no lookup of uniform ids could be measured.
    """
    measured = lookups.measure(target, seconds)
    if not measured.batches("uniform"):
        why = next(iter(measured.missing.values()), "no backend runs here")
        raise Unmeasured(f"no lookup could be measured: {why}; give a larger --time-budget")
    if not any(outcome.ceiling for _, outcome in _fastest(measured)):
        raise Unmeasured("no copy could be measured beside the lookups; see suite.doctor")
    return [_index(target, measured), _bandwidth(target, measured)]


def _index(target: Target, measured: Lookups) -> Finding:
    ratios: dict[str, dict[int, Estimate]] = defaultdict(dict)
    for (distribution, batch, name), outcome in sorted(measured.outcomes.items()):
        ratio = lookups.slower(outcome)
        if distribution == "uniform" and ratio is not None:
            ratios[name][batch] = ratio
    rows = []
    for batch, outcome in _fastest(measured):
        ratio = lookups.slower(outcome)
        if ratio is None:
            continue
        time, copy = comparison.median(outcome), comparison.median(outcome).value / ratio.value
        rows.append((batch, outcome.backend, time.value * 1e6, copy * 1e6, ratio.value, spread(ratio)))
    headings = ("batch", "fastest lookup", "lookup (µs)", "copy of its rows (µs)", "lookup / copy", "±")
    plot = Plot(
        title="Time of the lookup over the time of a copy of the same rows",
        x_label=BATCH,
        y_label="times as long as the copy",
        series=tuple(_lines(measured, lookups.slower)),
        marks=(Mark(f"the rule: {rules.NEAR_COPY:g}", "y", rules.NEAR_COPY),),
        log_x=True,
        log_y=True,
    )
    notes = (
        f"Table {target.table}, uniform ids, cold: rows, ids and output were in no cache.",
        "The copy is contiguous, and the fastest of several plain ones. Scattered rows cost more than "
        "adjacent ones: each needs an address translation of its own, and the processor can't prefetch it.",
        "A library that allocates its result pays for new pages; the copy writes to memory already in use.",
    )
    table = Table("Lookup and copy, by batch", headings, tuple(rows))
    return finding(
        "index",
        rules.index(ratios),
        rule=rules.INDEX,
        tables=(table, plotted(plot), *_called(measured), *_missing(measured)),
        plots=(plot,),
        notes=(*target.notes, *notes, *_unsure(measured)),
    )


def _bandwidth(target: Target, measured: Lookups) -> Finding:
    best = dict(_fastest(measured))
    speeds = {batch: _speed(outcome) for batch, outcome in best.items()}
    copies = {batch: c for batch, o in best.items() if (c := lookups.copy_per_s(o)) is not None}
    largest = copies[max(copies)]
    plot = _speed_plot(measured, speeds, copies)
    text = tuple(_text_plot(measured))
    return finding(
        "bandwidth",
        rules.bandwidth(speeds, largest, sorted({outcome.backend for outcome in best.values()})),
        rule=rules.BANDWIDTH,
        tables=(
            _speed_table(best, speeds, copies),
            plotted(plot),
            *_text(measured),
            *map(plotted, text),
            *_missing(measured),
        ),
        plots=(plot, *text),
        notes=(*target.notes, *_fitted(target, best), *_text_note(measured), *_unsure(measured)),
    )


def _speed_table(
    best: Mapping[int, Outcome], speeds: Mapping[int, Estimate], copies: Mapping[int, float]
) -> Table:
    rows = tuple(
        (
            batch,
            best[batch].backend,
            best[batch].case.payload_bytes,
            speeds[batch].value / 1e9,
            copies[batch] / 1e9 if batch in copies else None,
            share(speeds[batch].value / copies[max(copies)]),
        )
        for batch in sorted(best)
    )
    headings = ("batch", "fastest lookup", "bytes moved", "GB/s", "copy (GB/s)", "of the largest copy")
    return Table("Speed of the fastest lookup, by batch", headings, rows)


def _speed_plot(measured: Lookups, speeds: Mapping[int, Estimate], copies: Mapping[int, float]) -> Plot:
    half = rules.HALF * copies[max(copies)]
    marks = [Mark("half of the largest copy", "y", half / 1e9)]
    begins = half_length.crossing(speeds, half)
    if begins is not None and begins > min(speeds):
        marks.append(Mark("bound by bandwidth from here", "x", begins))
    copy = Series("copy of the same rows", tuple(Point(n, c / 1e9) for n, c in sorted(copies.items())))
    return Plot(
        title="Bytes moved a second, by batch",
        x_label=BATCH,
        y_label="GB/s, read and written",
        series=(*_lines(measured, _speed, 1e-9), copy),
        marks=tuple(marks),
        log_x=True,
        log_y=True,
    )


def _fitted(target: Target, best: Mapping[int, Outcome]) -> Iterator[str]:
    """A straight line fitted to time over bytes, and its largest error."""
    points = [(float(o.case.payload_bytes), comparison.median(o).value) for o in best.values()]
    if len(points) < 3:
        return
    a, b = half_length.fit(points)
    if b <= 0 or a <= 0:
        yield "No straight line fits time over bytes: its fixed cost would be negative."
        return
    off = max(abs((a + b * x) / t - 1) for x, t in points)
    half = a / b / (2 * target.row_bytes + 8)
    yield (
        f"Fitted: time = {time_of(a)} + bytes / ({digits(1 / b / 1e9)} GB/s), with an error of up to "
        f"{share(off)}; by this line the fixed cost is half of the time at batch {digits(half)}. The line "
        "has one speed, the machine several: threads start only above some size, and caches help below "
        "another. So the rule uses the measured speeds, not the line."
    )


def _text(measured: Lookups) -> Iterator[Table]:
    rows: list[tuple[Cell, ...]] = []
    for batch, ratio in _text_ratios(measured):
        of = [f"{measured.distinct[distribution, batch]:.0%}" for distribution in ("uniform", "text")]
        rows.append((batch, *of, ratio.value, spread(ratio)))
    if rows:
        headings = ("batch", "distinct, uniform", "distinct, text", "time of text / time of uniform", "±")
        yield Table("Ids of real text against uniform ids", headings, tuple(rows))


def _text_ratios(measured: Lookups) -> Iterator[tuple[int, Estimate]]:
    for batch in measured.batches("text"):
        text, uniform = measured.fastest("text", batch), measured.fastest("uniform", batch)
        if text and uniform:
            yield batch, stats.quotient(comparison.median(text), comparison.median(uniform))


def _text_note(measured: Lookups) -> Iterator[str]:
    ratios = list(_text_ratios(measured))
    if ratios:
        batch, ratio = ratios[-1]
        yield (
            f"Repeated ids: at batch {batch:,} {measured.distinct['text', batch]:.0%} of the ids of text are "
            f"distinct, of uniform ids {measured.distinct['uniform', batch]:.0%}, and text takes "
            f"{digits(ratio.value)} times as long. A repeated row comes from a cache, so fewer bytes are "
            "read from memory than are counted."
        )


def _text_plot(measured: Lookups) -> Iterator[Plot]:
    batches = measured.batches("text")
    if not batches:
        return
    lines = []
    for distribution in ("uniform", "text"):
        best = [(n, o) for n in batches if (o := measured.fastest(distribution, n)) is not None]
        lines.append(Series(f"{distribution} ids", tuple(point(n, _speed(o), 1e-9) for n, o in best)))
    yield Plot(
        title="Ids of real text against uniform ids",
        x_label=BATCH,
        y_label="GB/s, repeated rows counted",
        series=tuple(lines),
        log_x=True,
    )


def _called(measured: Lookups) -> Iterator[Table]:
    """On a GPU, the time of a lookup on the device, and of one call that waits for its rows."""
    rows: list[tuple[Cell, ...]] = []
    for batch, outcome in _fastest(measured):
        if outcome.clock == "kernel":
            call = stats.order_statistics(outcome.times("call"))
            kernel = comparison.median(outcome)
            rows.append((batch, kernel.value * 1e6, call.value * 1e6, spread(call)))
    if rows:
        headings = ("batch", "kernel: on the device (µs)", "call: with launch and wait (µs)", "±")
        yield Table("With and without the launch", headings, tuple(rows))


def _unsure(measured: Lookups) -> Iterator[str]:
    few = [o for o in measured.outcomes.values() if comparison.median(o).precision > UNSURE]
    if few:
        yield (
            f"{len(few)} of {len(measured.outcomes)} times have intervals wider than ±{UNSURE:.0%}: give a "
            "larger --time-budget, and see suite.doctor for what else runs on this machine."
        )


def _missing(measured: Lookups) -> Iterator[Table]:
    names: dict[tuple[str, int, str], list[str]] = {}
    for (distribution, batch, name), why in sorted(measured.missing.items()):
        names.setdefault((distribution, batch, why), []).append(name)
    if names:
        rows = tuple(
            (distribution, batch, ", ".join(of), why) for (distribution, batch, why), of in names.items()
        )
        yield Table("Not measured", ("ids", "batch", "backend", "why"), rows)


def _fastest(measured: Lookups) -> list[tuple[int, Outcome]]:
    """By batch, the fastest lookup of uniform ids."""
    best = ((n, measured.fastest("uniform", n)) for n in measured.batches("uniform"))
    return [(n, outcome) for n, outcome in best if outcome is not None]


def _lines(measured: Lookups, figure: Figure, factor: float = 1.0) -> list[Series]:
    """A line for each backend over the batches of uniform ids."""
    lines = []
    for name in sorted({name for distribution, _, name in measured.outcomes if distribution == "uniform"}):
        here = ((n, measured.outcomes.get(("uniform", n, name))) for n in measured.batches("uniform"))
        values = ((n, figure(outcome)) for n, outcome in here if outcome is not None)
        lines.append(Series(name, tuple(point(n, value, factor) for n, value in values if value)))
    return [line for line in lines if line.points]


def _speed(outcome: Outcome) -> Estimate:
    """Payload bytes a second."""
    return stats.inverse(outcome.case.payload_bytes, comparison.median(outcome))
