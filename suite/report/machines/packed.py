"""Figures of very many outcomes, packed for a page: each a time, its interval, its ratio and a code."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from suite.analysis import comparison
from suite.analysis.comparison import checks_only, noise_floor
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.records.record import Status
from suite.report import matrix
from suite.report.machines.seat import Seat
from suite.text import cut

STATUSES: tuple[str, ...] = get_args(Status)
COLUMNS = {"digits": "<u2", "below": "<u2", "above": "<u2", "ratio": "<u2", "power": "<u1", "code": "<u1"}
"""Numbers a record and the bytes of each, as the page reads them: the wide ones first, so that they align."""
FIRST, TIED, UNRANKED, SLOW = 16, 32, 64, 128
"""Flags of a code: fastest of its case; tied with it; timed by another clock; not at full speed."""
POWER = 100
"""Added to the exponent of a time."""
RATIO_STEP = 2e-4
RATIO_ZERO = 5000
"""A ratio is so many steps of its logarithm, and this: the median of ratios may be a little under 1."""
SPREAD_STEP = 1e-4
UNBOUNDED = 65535
MOST_TEXT = 200
MOST_CELLS = 4_000_000
"""Of a seat, cases by backends: 100,000 cases of 40 backends."""
_TIMES = re.compile(r"(?<=\d)x(?=\d)")

Numbers = NDArray[np.float64]


def packed(seats: Sequence[Seat]) -> dict[str, str]:
    """What the page reads: ``tree``, JSON, and ``numbers``, each deflated, in base64.

    The tree has ``tables``, ``operations``, ``ids``: texts. ``common``: what all ids are. ``cases``: by axis
    a list, in reading order, where a text is its place. ``backends``: names. ``statuses``, ``flags``,
    ``scale``, ``unbounded``: how to read the numbers. ``steps``: of shades. ``columns``: the numbers' names
    and bytes. ``seats``: of each its cases and backends; its outcomes are the numbers of its first case, a
    backend each, then of the next, after those of the seats before it.
    """
    cases = sorted({o.case for seat in seats for o in seat.outcomes}, key=matrix.reading_order)
    backends = list(dict.fromkeys(o.name for seat in seats for o in seat.outcomes))
    places = {case: k for k, case in enumerate(cases)}, {name: k for k, name in enumerate(backends)}
    of_seats = [_seat(seat, *places) for seat in seats]
    numbers = {name: np.concatenate([of[name] for _, of in of_seats]) for name in COLUMNS}
    tree = {
        **_texts(cases),
        "backends": [cut(name, MOST_TEXT) for name in backends],
        "statuses": STATUSES,
        "flags": {"first": FIRST, "tied": TIED, "unranked": UNRANKED, "slow": SLOW},
        "scale": {"power": POWER, "step": RATIO_STEP, "zero": RATIO_ZERO, "spread": SPREAD_STEP},
        "unbounded": UNBOUNDED,
        "steps": matrix.STEPS,
        "columns": [[name, np.dtype(kind).itemsize] for name, kind in COLUMNS.items()],
        "seats": [about for about, _ in of_seats],
    }
    text = json.dumps(tree, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    whole = b"".join(numbers[name].astype(kind).tobytes() for name, kind in COLUMNS.items())
    return {"tree": _deflated(text.encode()), "numbers": _deflated(whole)}


def kept(seat: Seat) -> tuple[list[str], int]:
    """The backends of a seat that are packed, and how many are not: those with the fewest cases, of too many.

    What is not available there at all has no place in either.
    """
    sizes = Counter(outcome.name for outcome in seat.outcomes)
    there = {outcome.name for outcome in seat.outcomes if outcome.status != "unavailable"}
    names = [name for name, _ in sizes.most_common() if name in there]
    most = MOST_CELLS // len({outcome.case for outcome in seat.outcomes})
    return names[:most], len(names[most:])


def _deflated(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _texts(cases: Sequence[Case]) -> dict[str, object]:
    """The cases as numbers, and the texts that these stand for."""
    differ = [axis for axis in matrix.IDS if len({getattr(case, axis) for case in cases}) > 1]
    same = [a for a in matrix.IDS if a not in differ and getattr(cases[0], a) != matrix.USUAL.get(a)]
    of = {
        "tables": [cut(_TIMES.sub("×", matrix.table_of(case), 1), MOST_TEXT) for case in cases],
        "operations": [cut(f"{case.operation} {case.variant}", MOST_TEXT) for case in cases],
        "ids": [cut(" ".join(matrix.word_of(case, axis) for axis in differ), MOST_TEXT) for case in cases],
    }
    known = {name: {text: k for k, text in enumerate(dict.fromkeys(texts))} for name, texts in of.items()}
    placed = {name: [known[name][text] for text in texts] for name, texts in of.items()}
    return {
        **{name: list(texts) for name, texts in known.items()},
        "common": cut(" ".join(matrix.word_of(cases[0], axis) for axis in same), MOST_TEXT),
        "cases": {**placed, "batch": [case.batch for case in cases]},
    }


def _seat(
    seat: Seat, cases: dict[Case, int], backends: dict[str, int]
) -> tuple[dict[str, object], dict[str, Numbers]]:
    """What is said of a seat, and its numbers by column."""
    there = set(kept(seat)[0])
    groups: dict[Case, list[Outcome]] = defaultdict(list)
    for outcome in seat.outcomes:
        if outcome.name in there:
            groups[outcome.case].append(outcome)
    own_cases = sorted(groups, key=lambda case: cases[case])
    own = sorted(backends[name] for name in there)
    width = {place: k for k, place in enumerate(own)}
    numbers = {name: np.zeros(len(own_cases) * len(own)) for name in COLUMNS}
    floor = noise_floor(seat.environment)
    for line, case in enumerate(own_cases):
        for outcome, values in _outcomes(groups[case], floor):
            at = line * len(own) + width[backends[outcome.name]]
            for name, value in values.items():
                numbers[name][at] = value
    clocks = {outcome.clock for outcome in seat.outcomes}
    return {
        "name": cut(seat.name, MOST_TEXT),
        "run": cut(seat.run, MOST_TEXT),
        "device": cut(seat.device, MOST_TEXT),
        "method": seat.environment.method,
        "clock": "kernel" if "kernel" in clocks else "call",
        "floor": floor,
        "ranks": not checks_only(seat.environment),
        "newest": seat.newest,
        "usual": seat.usual,
        "cases": [cases[case] for case in own_cases],
        "backends": own,
    }, numbers


def _outcomes(group: Sequence[Outcome], floor: float) -> list[tuple[Outcome, dict[str, float]]]:
    """The numbers of one case's outcomes."""
    first, below = comparison.ranked(group)
    rows = [(o, {"code": 1.0 + STATUSES.index(o.status)}) for o in group if not o.completed]
    rows += [(o, {**_time(o), "code": 1.0 + STATUSES.index("ok") + UNRANKED}) for o in below]
    for place, outcome in enumerate(first):
        code, ratio = STATUSES.index("ok") + 1 + (0 if outcome.decides else SLOW), 1.0
        if place:
            against = comparison.slowdown(outcome, first[0])
            tied = comparison.judgement(outcome, first[0], floor, against) not in comparison.BEHIND
            code, ratio = code + (TIED if tied else 0), against.value
        else:
            code += FIRST
        steps = round(math.log(ratio) / RATIO_STEP) + RATIO_ZERO
        rows.append((outcome, {**_time(outcome), "code": code, "ratio": min(max(steps, 0), UNBOUNDED)}))
    return rows


def _time(outcome: Outcome) -> dict[str, float]:
    """Its time in µs as four digits and a power of ten, and its interval relative to it, rounded up."""
    time = comparison.median(outcome)
    digits, power = f"{1e6 * time.value:.3e}".split("e")
    below = above = float(UNBOUNDED)
    if time.bounded:
        below, above = 1 - time.low / time.value, time.high / time.value - 1
        below, above = (min(math.ceil(end / SPREAD_STEP - 1e-6), UNBOUNDED - 1) for end in (below, above))
    return {
        "digits": float(digits.replace(".", "")),
        "power": int(power) + POWER,
        "below": below,
        "above": above,
    }
