"""What is packed for the page of many machines is what the table of results says."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from suite.analysis import comparison, outcomes
from suite.analysis.outcome import Outcome
from suite.records.record import Status
from suite.report import matrix
from suite.report.machines import overview
from suite.report.machines.packed import COLUMNS, kept, packed
from suite.report.machines.seat import Seat, seats
from tests.support import fabricate
from tests.support.pages import CASES


def unpacked(data: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """The tree and the numbers by column."""
    tree, whole = (zlib.decompress(base64.b64decode(data[name])) for name in ("tree", "numbers"))
    count = len(whole) // sum(np.dtype(kind).itemsize for kind in COLUMNS.values())
    numbers, start = {}, 0
    for name, kind in COLUMNS.items():
        numbers[name] = np.frombuffer(whole, kind, count, start).astype(float)
        start += count * np.dtype(kind).itemsize
    return json.loads(tree), numbers


def of_each(folder: Path, *runs: str) -> Iterator[tuple[Any, dict[str, Any], Seat, Outcome]]:
    """Of each outcome what the page knows of it: the tree, its numbers by column, its seat."""
    found = seats(outcomes.read([folder / run for run in runs]))
    tree, numbers = unpacked(packed(found))
    cases = sorted({o.case for seat in found for o in seat.outcomes}, key=matrix.reading_order)
    start = 0
    for seat, about in zip(found, tree["seats"], strict=True):
        width = len(about["backends"])
        for outcome in seat.outcomes:
            line, backend = (
                about["cases"].index(cases.index(outcome.case)),
                tree["backends"].index(outcome.name),
            )
            if outcome.status == "unavailable":
                assert backend not in about["backends"]
                continue
            at = start + line * width + about["backends"].index(backend)
            yield tree, {name: column[at] for name, column in numbers.items()}, seat, outcome
        start += width * len(about["cases"])
    assert start == len(numbers["code"])


def test_each_outcome_is_found_where_the_page_looks_for_it(folder: Path) -> None:
    seen = set()
    for tree, of, _, outcome in of_each(folder, "gpu", "slow"):
        seen.add(status := tree["statuses"][int(of["code"]) % 16 - 1])
        assert status == outcome.status
        if not outcome.completed:
            continue
        time = comparison.median(outcome)
        us = of["digits"] * 10 ** (of["power"] - tree["scale"]["power"] - 3)
        assert us == pytest.approx(1e6 * time.value, rel=5.1e-4)
        low, high = (of[end] * tree["scale"]["spread"] for end in ("below", "above"))
        assert us * (1 - low) == pytest.approx(1e6 * time.low, rel=1e-3)
        assert us * (1 + high) == pytest.approx(1e6 * time.high, rel=1e-3)
    assert len(seen) == len(get_args(Status)) - 1


def test_ratios_and_ties_are_those_of_the_rounds(folder: Path) -> None:
    seen = 0
    for tree, of, seat, outcome in of_each(folder, "gpu", "clocks"):
        order, best = comparison.rank(
            [o for o in seat.outcomes if o.case == outcome.case], comparison.noise_floor(seat.environment)
        )
        flags = {flag for flag, bit in tree["flags"].items() if int(of["code"]) & bit}
        assert ("first" in flags) == (outcome is order[0])
        assert bool(flags & {"first", "tied"}) == (outcome.key in best)
        assert ("unranked" in flags) == (outcome.completed and outcome.clock != order[0].clock)
        if outcome.completed and outcome.clock == order[0].clock:
            ratio = math.exp((of["ratio"] - tree["scale"]["zero"]) * tree["scale"]["step"])
            slower = comparison.slowdown(outcome, order[0]).value if outcome is not order[0] else 1.0
            assert ratio == pytest.approx(slower, rel=2e-4)
            seen += 1
    assert seen > 20


def test_of_too_many_backends_those_with_the_fewest_cases_are_left_out_and_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = outcomes.read([folder / "slow"])
    (seat,) = seats(results)
    monkeypatch.setattr("suite.report.machines.packed.MOST_CELLS", 2 * len(CASES))
    assert kept(seat) == (list(fabricate.SPEED)[:2], 1)
    assert len(unpacked(packed([seat]))[1]["code"]) == 2 * len(CASES)
    assert "slow: 1 backend with the fewest cases left out" in overview.html(results)
