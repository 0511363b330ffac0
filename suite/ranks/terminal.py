"""Results of a run over ranks as tables, one a case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from suite import units
from suite.cases.case import Case
from suite.ranks.result import Result
from suite.text import cut, plain

LEGEND = (
    "µs until the slowest rank has its rows, from a common start · lookup, exchange: of a call whose phases\n"
    "are waited for · MB sent: by a rank, by the way's model · * the fastest that keeps every bit, and ties"
)
HEADINGS = ("", "way", "µs", "±", "lookup", "exchange", "MB sent", "remark")


def lines(results: Sequence[Result], noise_floor: float) -> Iterator[str]:
    """The tables, each with its head."""
    groups: dict[tuple[Case, str], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.case, result.way.sharding].append(result)
    for (case, sharding), group in groups.items():
        yield ""
        yield f"{case.table_text} batch {case.batch} {case.distribution} · by {sharding} · {_ranks(group[0])}"
        rows = [HEADINGS, *(_row(result, group, noise_floor) for result in _ranked(group))]
        widths = [max(len(row[k]) for row in rows) for k in range(len(HEADINGS) - 1)]
        for row in rows:
            cells = [
                c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=False))
            ]
            yield "  ".join([*cells, row[-1]]).rstrip()
    yield ""
    yield LEGEND


def _ranks(result: Result) -> str:
    way, imbalance = result.way, result.imbalance
    said = f"{units.count(way.ranks, 'rank')} on {units.count(way.nodes, 'host')}, {way.backend}"
    return said + (f", busiest rank {imbalance:.2f}x the average" if imbalance and imbalance > 1 else "")


def _ranked(group: Sequence[Result]) -> list[Result]:
    return sorted(group, key=lambda r: (not r.completed, r.time.value if r.completed else 0.0, r.way.name))


def _row(result: Result, group: Sequence[Result], noise_floor: float) -> tuple[str, ...]:
    name = result.way.name
    if not result.completed:
        return ("", name, *[""] * 5, plain(f"{result.status}: {cut(result.reason or '', 160)}"))
    best = next((r for r in _ranked(group) if r.status == "ok" and r.completed), None)
    tied = (
        best is not None
        and result.status == "ok"
        and (result is best or result.times(best).low <= 1 + noise_floor)
    )
    return (
        "*" if tied else "",
        name,
        units.digits(result.time.value * 1e6),
        units.spread(result.time),
        units.digits(result.lookup_s * 1e6),
        units.digits(result.exchange_s * 1e6),
        units.digits((result.wire_bytes or 0) / 1e6),
        result.reason or "",
    )
