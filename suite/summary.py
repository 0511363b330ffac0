"""The report's words and tables, as text: backends side by side on each case, and who won."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from suite import costs, outcomes, stats
from suite.case import Case
from suite.outcomes import Outcome, Results
from suite.ranking import noise_floor, rank
from suite.text import count, cut, digits, plain, shown

PEERS = ("torch_index_select", "torch_embedding", "numpy_take")
"""What speed is compared with, unless asked otherwise: the first of these that completed a case."""
SAME = 0.02
"""Medians closer than this are called equal in a sentence."""
DETAIL = ("", "backend", "µs", "±", "GB/s", "of copy", "extra MB", "")
REASON_LENGTH = 120
LEGEND = (
    "* fastest, or not told from it: the interval of their ratio reaches the machine's noise floor · "
    "± half the 95 % interval of the median · "
    "GB = 1e9 bytes of payload · of copy: against a contiguous copy of the same rows in the same rounds"
)

Place = tuple[str, str]
"""(run, device): never averaged with another."""


@dataclass(frozen=True, slots=True)
class Section:
    """One case of the report: a title and a row of cells for each backend."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and sections whose rows have a cell for each."""

    headings: tuple[str, ...]
    sections: tuple[Section, ...]


def places(results: Results) -> dict[Place, tuple[Outcome, ...]]:
    """The devices of each run, in the order met, with their outcomes."""
    found: dict[Place, list[Outcome]] = defaultdict(list)
    for outcome in results.outcomes:
        found[outcome.run, outcome.record.device].append(outcome)
    return {place: tuple(here) for place, here in found.items()}


def table(results: Results) -> Table:
    """One run in detail; several of them side by side, a column a run and device."""
    return _side_by_side(results) if len(results.environments) > 1 else _detail(results)


def _detail(results: Results) -> Table:
    several = len(places(results)) > 1
    groups: dict[tuple[Case, str], list[Outcome]] = defaultdict(list)
    for outcome in results.outcomes:
        groups[outcome.record.case, outcome.record.device].append(outcome)
    floors = {run: noise_floor(where) for run, where in results.environments.items()}
    return Table(DETAIL, tuple(_section(group, several, floors[group[0].run]) for group in groups.values()))


def _section(group: Sequence[Outcome], several_devices: bool, floor: float) -> Section:
    ranked, best = rank(group, floor)
    mixed = len({o.record.clock for o in group if o.record.clock}) > 1
    # What is not installed is so in every case; the sentences below the table say it once.
    rows = [
        (("*" if o.key in best else ""), o.record.backend, *_numbers(o), _remark(o, mixed))
        for o in ranked
        if o.record.status != "unavailable"
    ]
    title = str(group[0].record.case) + (f" on {group[0].record.device}" if several_devices else "")
    traffic = next((o.record.traffic for o in group if o.record.traffic), None)
    if traffic:
        title += f" · {traffic.distinct / group[0].record.case.batch:.0%} of the ids distinct"
        title += " · the table fits the cache" if traffic.cache_resident else ""
    return Section(plain(title), tuple(tuple(map(plain, row)) for row in rows))


def _side_by_side(results: Results) -> Table:
    columns = places(results)
    groups: dict[Case, dict[Place, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in results.outcomes:
        groups[outcome.record.case][outcome.run, outcome.record.device].append(outcome)
    sections = []
    for case, by_place in groups.items():
        cells: dict[str, dict[Place, str]] = defaultdict(dict)
        for place, group in by_place.items():
            ranked, best = rank(group, noise_floor(results.environments[place[0]]))
            for outcome in ranked:
                mark = "* " if outcome.key in best else ""
                cells[outcome.record.backend][place] = mark + _one_cell(outcome)
        rows = [(plain(name), *(plain(of.get(place, "")) for place in columns)) for name, of in cells.items()]
        sections.append(Section(plain(str(case)), tuple(rows)))
    return Table(("backend", *(plain(f"{run} · {device}") for run, device in columns)), tuple(sections))


def _numbers(outcome: Outcome) -> tuple[str, ...]:
    if outcome.record.samples is None:
        return ("",) * 5
    time, extra = outcomes.median(outcome), outcome.record.memory.extra_bytes
    fraction = outcomes.fraction_of_ceiling(outcome)
    return (
        digits(time.value * 1e6),
        interval(time),
        digits(outcome.record.case.payload_bytes / time.value / 1e9),
        f"{fraction.value:.1%}" if fraction else "",
        "" if extra is None else digits(extra / 1e6) if extra else "0",
    )


def _one_cell(outcome: Outcome) -> str:
    if outcome.record.samples is None:
        return outcome.record.status
    time, spread, speed, share, _ = _numbers(outcome)
    remark = _remark(outcome, False)
    return f"{time} µs {spread}, {speed} GB/s" + (f", {share}" if share else "") + (remark and f" ({remark})")


def _remark(outcome: Outcome, mixed: bool) -> str:
    record = outcome.record
    if record.samples is None:
        return f"{record.status}: {cut(record.reason or '', REASON_LENGTH)}"
    said = {
        "not converged": record.converged is False,
        "queue ran dry": record.samples.held is False,
        "allocates": record.memory.allocates is True,
        f"{record.clock} time": mixed,
    }
    return ", ".join(text for text, true in said.items() if true)


def interval(time: stats.Estimate) -> str:
    """Half the interval's width in per cent of the value; ±? while rounds are too few for one."""
    return f"±{time.precision:.1%}" if math.isfinite(time.high) else "±?"


def sentences(results: Results, baseline: str | None) -> list[str]:
    """Who won and by how much, what failed and what did not converge: for each run and device."""
    lines: list[str] = []
    known = {o.record.backend for o in results.outcomes}
    if baseline is not None and baseline not in known:
        lines += [f"baseline {plain(baseline)}: no such backend here; give one of {', '.join(sorted(known))}"]
        baseline = None
    all_places = places(results)
    for place, here in all_places.items():
        found = [*_compared(here, baseline), *costs.sentences(here), *_failures(here), *_unconverged(here)]
        if len(all_places) > 1:
            found = [f"{place[0]} on {place[1]}:", *(f"  {line}" for line in found)]
        lines += found
    return [shown(line) for line in lines]


def _compared(here: Sequence[Outcome], baseline: str | None) -> list[str]:
    done: dict[str, dict[Case, Outcome]] = defaultdict(dict)
    for outcome in here:
        if outcome.record.samples:
            done[outcome.record.backend][outcome.record.case] = outcome
    if not done:
        return ["no backend completed a case"]
    if baseline is not None and baseline not in done:
        return [f"{baseline} completed no case; there is nothing to compare with"]
    base = baseline or next((peer for peer in PEERS if peer in done), min(done))
    if len(done) == 1:
        return [f"{base} completed {count(len(done[base]), 'case')}; no other backend did"]
    slower: dict[str, list[float]] = {}
    for name in done.keys() - {base}:
        common = [case for case in done[base] if case in done[name]]
        slower[name] = [outcomes.slowdown(done[name][case], done[base][case]).value for case in common]
    # One that completed only a few cases may be listed as faster, but it has not won.
    enough = [name for name, ratios in slower.items() if 2 * len(ratios) >= len(done[base])]
    order = sorted(
        (n for n in slower if slower[n]), key=lambda n: (n not in enough, statistics.median(slower[n]), n)
    )
    lines = [_sentence(name, base, slower[name]) for name in order]
    if lines and statistics.median(slower[order[0]]) > 1 + SAME:
        many = len(order) > 1
        others = f"none of the {len(order)} others beats it" if many else "the other does not beat it"
        lines.insert(0, f"{base} is the fastest at the median; {others}")
    return lines + [
        f"{name} shares no completed case with {base}" for name in sorted(slower) if not slower[name]
    ]


def _sentence(name: str, base: str, ratios: Sequence[float]) -> str:
    over = f"at the median over {count(len(ratios), 'case')}"
    if len(ratios) > 1:
        fastest, slowest = 1 / min(ratios), 1 / max(ratios)
        over += f" ({digits(slowest)}x to {digits(fastest)}x its speed)"
    return f"{name} is {times(statistics.median(ratios))} {base} {over}"


def times(ratio: float, same: float = SAME) -> str:
    """A ratio of times in words that a name follows."""
    if 1 / (1 + same) <= ratio <= 1 + same:
        return "as fast as"
    return f"{digits(1 / ratio)}x faster than" if ratio < 1 else f"{digits(ratio)}x slower than"


def _failures(here: Sequence[Outcome]) -> list[str]:
    """A line for each way in which a backend failed; those that were never there share one."""
    failed = Counter(
        (o.record.backend, o.record.status, cut(o.record.reason or "", REASON_LENGTH))
        for o in here
        if o.record.samples is None
    )
    absent = {name for name, _, _ in failed} - {
        o.record.backend for o in here if o.record.status != "unavailable"
    }
    lines = [
        f"{name}: {status} on {count(n, 'case')}: {reason}"
        for (name, status, reason), n in failed.items()
        if name not in absent
    ]
    why = {name: reason for name, _, reason in failed if name in absent}
    said = "; ".join(f"{name} ({reason})" for name, reason in why.items())
    return [*lines, f"not available: {said}"] if why else lines


def _unconverged(here: Sequence[Outcome]) -> list[str]:
    names = Counter(o.record.backend for o in here if o.record.converged is False)
    done = sum(o.record.samples is not None for o in here)
    if not names:
        return []
    who = ", ".join(f"{name} {n}" for name, n in names.items())
    return [f"{sum(names.values())} of {done} results did not converge: {who}; give them more time"]
