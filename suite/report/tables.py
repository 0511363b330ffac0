"""Tables of the report, as text: the backends of each case side by side."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suite import stats
from suite.analysis import comparison
from suite.analysis.comparison import checks_only, noise_floor, rank, ranked, whose
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.analysis.reduce import TIMINGS, Timing
from suite.cases.case import Case
from suite.cases.presets import models_of
from suite.records.record import Environment
from suite.text import cut, plain
from suite.units import digits

TIMES_FASTEST = "x"
NUMBERS = ("GB/s", "of copy", "extra MB")
REASON_LENGTH = 120
HOST_TIMED = "timed by the host: not ranked"
WIDE = 0.05
"""Intervals wider than this are shown in weight."""
LEGEND = (
    "* fastest, or tied with it: the interval of their ratio reaches the machine's noise floor, "
    f"or {1 + comparison.LOWER_SPEED_FLOOR:g}x where one was not measured at full speed · "
    "x: times the fastest's time, from rounds at full speed of both, so not the quotient of two times · "
    "± half the 95 % interval over passes, of a single pass over its rounds, in weight above 5 %; "
    "of several times in a row it is the first one's, as the speeds are · "
    "GB = 1e9 bytes of payload · "
    "of copy: share of the speed of a contiguous copy of the same rows in the same rounds"
)

Device = tuple[str, str]
"""(run, device): never averaged with another."""
Place = tuple[str, str, str]
"""(run, device, operation): never compared with another."""


@dataclass(frozen=True, slots=True)
class Section:
    """One case of the report: a title and a row of cells for each backend.

    Attributes:
        table: what it has in common with the sections of the same table.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    table: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and sections whose rows have a cell for each."""

    headings: tuple[str, ...]
    sections: tuple[Section, ...]


def places(results: Results) -> dict[Place, tuple[Outcome, ...]]:
    """The outcomes of each operation on each device of each run, in the order of the results."""
    groups: dict[Place, list[Outcome]] = defaultdict(list)
    for outcome in results.outcomes:
        groups[outcome.run, outcome.device, outcome.case.operation].append(outcome)
    return {place: tuple(group) for place, group in groups.items()}


def devices(results: Results) -> dict[Device, dict[str, tuple[Outcome, ...]]]:
    """The same, by device of a run, then by operation."""
    groups: dict[Device, dict[str, tuple[Outcome, ...]]] = defaultdict(dict)
    for (run, device, operation), here in places(results).items():
        groups[run, device][operation] = here
    return groups


def only_lookups(operations: Iterable[str]) -> bool:
    """Whether there is no other operation, so that none needs to be named."""
    return set(operations) <= {"lookup"}


def table(results: Results) -> Table:
    """One run in detail; several runs side by side, a column for each run and device."""
    return _side_by_side(results) if len(results.environments) > 1 else _detail(results)


def _detail(results: Results) -> Table:
    several = len(devices(results)) > 1
    groups: dict[tuple[Case, str], list[Outcome]] = defaultdict(list)
    for outcome in _by_operation(results.outcomes):
        groups[outcome.case, outcome.device].append(outcome)
    where, timings = results.environments, _timings(results.outcomes)
    of = [_section(group, several, where[group[0].run], timings) for group in groups.values()]
    named = [f"{timing} µs" for timing in timings] if len(timings) > 1 else ["µs"]
    return Table(("", "backend", *named, TIMES_FASTEST, "±", *NUMBERS, ""), tuple(of))


def _by_operation(some: Sequence[Outcome]) -> list[Outcome]:
    """The same, those of one operation together."""
    order = list(dict.fromkeys(o.case.operation for o in some))
    return sorted(some, key=lambda o: order.index(o.case.operation))


def _timings(some: Sequence[Outcome]) -> tuple[Timing, ...]:
    """The times that any of them has: first what is ranked by, where there are several."""
    first: Timing = "kernel" if any(o.clock == "kernel" for o in some) else "call"
    others = [timing for timing in TIMINGS if timing != first]
    return (first, *(timing for timing in others if any(o.times(timing) for o in some)))


def _section(
    group: Sequence[Outcome], several_devices: bool, environment: Environment, timings: Sequence[Timing]
) -> Section:
    floor, ranks = noise_floor(environment), not checks_only(environment)
    order, best = rank(group, floor)
    best, (_, below) = best if ranks else set(), ranked(group)
    ratios = comparison.times_fastest(group) if ranks else {}
    # Unavailable backends are so in every case; the sentences below the tables name them once.
    rows = [
        (
            ("*" if o.key in best else ""),
            o.name,
            *_times(o, timings),
            f"{digits(ratios[o.name])}x" if o.name in ratios else "",
            *_numbers(o),
            _remark(o, o in below, environment),
        )
        for o in order
        if o.status != "unavailable"
    ]
    title = str(group[0].case) + (f" on {group[0].device}" if several_devices else "")
    title += "".join(f" · {model}" for model in models_of(group[0].case))
    traffic = next((o.traffic for o in group if o.traffic), None)
    if traffic:
        title += f" · {traffic.distinct / group[0].case.ids:.0%} distinct"
        title += " · the table fits the cache" if traffic.cache_resident else ""
    return Section(plain(title), tuple(tuple(map(plain, row)) for row in rows), group[0].case.table_text)


def _side_by_side(results: Results) -> Table:
    columns = devices(results)
    groups: dict[Case, dict[Device, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in _by_operation(results.outcomes):
        groups[outcome.case][outcome.run, outcome.device].append(outcome)
    sections = []
    for case, by_place in groups.items():
        cells: dict[str, dict[Device, str]] = defaultdict(dict)
        for place, group in by_place.items():
            where = results.environments[place[0]]
            order, best = rank(group, noise_floor(where))
            _, below = ranked(group)
            for outcome in order:
                mark = "* " if outcome.key in best and not checks_only(where) else ""
                cells[outcome.name][place] = mark + _one_cell(outcome, outcome in below, where)
        rows = [(plain(name), *(plain(of.get(place, "")) for place in columns)) for name, of in cells.items()]
        sections.append(Section(plain(str(case)), tuple(rows)))
    return Table(("backend", *(plain(f"{run} · {device}") for run, device in columns)), tuple(sections))


def _times(outcome: Outcome, timings: Sequence[Timing]) -> list[str]:
    """Its time by each of these, in µs; empty where it has none."""
    if not outcome.completed:
        return [""] * len(timings)
    each = [comparison.time(outcome, timing).value for timing in timings]
    return ["" if math.isnan(one) else digits(one * 1e6) for one in each]


def _numbers(outcome: Outcome) -> tuple[str, ...]:
    """How well its result is known, the speed that it means, and the memory that it takes."""
    if not outcome.completed:
        return ("",) * 4
    time, extra = comparison.median(outcome), outcome.memory.extra_bytes
    fraction = comparison.fraction_of_ceiling(outcome)
    return (
        interval(time),
        digits(outcome.case.payload_bytes / time.value / 1e9),
        f"{fraction.value:.1%}" if fraction else "",
        "" if extra is None else digits(extra / 1e6) if extra else "0",
    )


def _one_cell(outcome: Outcome, below: bool, where: Environment) -> str:
    if not outcome.completed:
        return outcome.status
    spread, speed, share, _ = _numbers(outcome)
    time, remark = digits(comparison.median(outcome).value * 1e6), _remark(outcome, below, where)
    return f"{time} µs {spread}, {speed} GB/s" + (f", {share}" if share else "") + (remark and f" ({remark})")


def _remark(outcome: Outcome, below: bool, where: Environment) -> str:
    """Remarks on a result; ``below``: whether others have kernel times, and it is not ranked with them."""
    if not outcome.completed:
        return f"{outcome.status}: {cut(outcome.reason or '', REASON_LENGTH)}"
    own = whose(outcome.backend, where)
    remarks = {
        HOST_TIMED: below,
        outcome.slow_note or "": True,
        "queue ran dry": outcome.held is False,
        "allocates": outcome.memory.allocates is True,
        own: own not in ("library", "other"),
    }
    return ", ".join(text for text, true in remarks.items() if text and true)


def is_wide(cell: str) -> bool:
    """Whether a cell says of a result that it is known to no better than ``WIDE``."""
    known = re.fullmatch(r"±([0-9.]+)%", cell)
    return cell == "±?" or (known is not None and float(known[1]) > 100 * WIDE)


def interval(time: stats.Estimate) -> str:
    """Half the interval's width in per cent of the value; ±? where rounds are too few for one."""
    return f"±{time.precision:.1%}" if time.bounded else "±?"
