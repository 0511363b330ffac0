"""The strip of a run: the machine's speed over its time, thinned, with pauses cut."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from suite.analysis.speed import Moment
from suite.report.page.strip import HEIGHT, MOST_COLUMNS, WIDTH, strip


def moments(count: int, slow: range = range(0), every_s: float = 0.02) -> list[Moment]:
    """Turns at full speed, but for some at 0.7 of it."""
    return [Moment(1.7e9 + every_s * k, 0.7 if k in slow else 1.0) for k in range(count)]


def columns(path: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each column of an outline."""
    found = re.findall(r"M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)H[\d.]+z", path)
    assert len(found) == path.count("z")
    return [tuple(map(float, one)) for one in found]


def test_without_a_meter_there_is_no_strip() -> None:
    assert strip("r", []) is None


@pytest.mark.parametrize("count", [1, 2, 599, 600, 601, 50_000])
def test_it_has_a_column_a_turn_until_there_are_too_many(count: int) -> None:
    drawn = strip("r", moments(count))
    found = columns(drawn.fast)
    assert 0.9 * min(count, MOST_COLUMNS) <= len(found) <= MOST_COLUMNS and drawn.slow == ""
    assert all(a[2] == b[0] for a, b in itertools.pairwise(found)), "no turn is a gap"
    assert (found[0][0], found[-1][2]) == (0, WIDTH)
    assert {(top, bottom) for _, top, _, bottom in found} == {(drawn.full, HEIGHT)}


def test_a_slow_stretch_is_apart_and_lower_at_its_place() -> None:
    """The second quarter of 400 turns."""
    drawn = strip("r", moments(400, range(100, 200)))
    fast, slow = columns(drawn.fast), columns(drawn.slow)
    assert (len(fast), len(slow)) == (300, 100)
    assert slow[0][0] == pytest.approx(WIDTH / 4, abs=3) and slow[-1][2] == pytest.approx(WIDTH / 2, abs=3)
    assert drawn.full < drawn.limit < slow[0][1] < HEIGHT
    assert (drawn.share, drawn.about) == ("75 %", "400 turns in 7.98 s")
    assert [part[2] for part in drawn.parts] == ["100 %"] * 2 + ["50 %"] + ["0 %"] * 2 + ["100 %"] * 5


def test_a_column_of_many_turns_shows_their_median_and_their_span() -> None:
    """Every tenth of 6,000 turns was slow."""
    drawn = strip("r", moments(6000, range(0, 6000, 10)))
    assert drawn.slow == "" and len(columns(drawn.fast)) == MOST_COLUMNS
    spans = columns(drawn.span)
    assert len(spans) == MOST_COLUMNS and {top for _, top, _, _ in spans} == {drawn.full}
    assert len({bottom for *_, bottom in spans}) == 1 and spans[0][3] > drawn.limit


def test_a_pause_is_cut_and_it_is_said() -> None:
    """An hour between two halves of 10 s."""
    early, late = moments(500), [Moment(at + 3600, speed) for at, speed in moments(500)]
    drawn = strip("r", [*early, *late])
    assert drawn.about == "1,000 turns in 30.0 s, with pauses cut to 10 s"
    found = columns(drawn.fast)
    (gap,) = [b[0] - a[2] for a, b in itertools.pairwise(found) if b[0] > a[2]]
    assert gap == pytest.approx(WIDTH / 3, abs=6)
    assert drawn.line.count("M") == 2
    assert sum(int(part[1]) for part in drawn.parts) == 1000 and len(drawn.parts) < 10


def test_the_scale_reaches_down_to_all_but_a_few_turns() -> None:
    draw = random.Random(0)
    slower = [Moment(one.began_s, draw.uniform(0.3, 1.0)) for one in moments(1000)]
    assert strip("r", slower).low == "30%"
    assert strip("r", [*moments(999), Moment(1.7e9 + 99, 0.01)]).low == "50%"
    assert max(bottom for *_, bottom in columns(strip("r", slower).span)) <= HEIGHT
