"""Prediction: times of a case that was not measured, from cases that were; refused outside of them.

Between cases the logarithm of a backend's time is a plane in the logarithms of batch and row size, and a
deviation from it whose variogram grows linearly with distance: universal kriging (Cressie, Statistics for
Spatial Data, 1993, 3.4). What would have been predicted of each measured case without it follows in closed
form (Dubrule, Cross validation of kriging in a unique neighborhood, Mathematical Geology 15, 1983). An
interval reaches as far as the worst of these errors in the nearest cases, each relative to its own deviation:
by exchangeability it misses one in eleven (Lei et al., Distribution-free predictive inference for regression,
JASA 113, 2018). How often it does is printed by python -m tests.tools.coverage_of_best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.cases.case import AXES, Case
from suite.stats import Estimate
from suite.units import count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NEAREST = 10
"""So many cases are the nearest, whose errors make the interval; with fewer nothing is predicted."""
CONFIDENCE = NEAREST / (NEAREST + 1)
"""Of the interval: the next error is the largest of eleven as often as any other."""
MOST = 150
"""No more cases than these, the nearest, have a part in a prediction."""
NUGGET = 0.01
"""Variance of a measured time about the surface, in units of the deviation one doubling away."""
TABLE_WEIGHT = 0.25
"""Sixteen times the table is as far as twice the batch: beyond the caches its size hardly counts."""
TABLE_REACH = 2
"""A table may be larger, or smaller, than all that were measured by this factor."""
APART = ("dtype", "index_dtype", "offset", "distribution")
"""Axes of which cases of other values take part, at a distance; the value asked for must be among them."""
SAME = tuple(axis for axis in AXES if axis not in ("vocab", "dim", "batch", *APART))
"""Axes in which all cases that take part are as the one asked for, such as ``cache``."""


def alike(a: Case, b: Case) -> bool:
    """Whether a time of one may say something of a time of the other."""
    return all(getattr(a, axis) == getattr(b, axis) for axis in SAME)


def obstacle(case: Case, cases: Sequence[Case], cache_bytes: int) -> str | None:
    """Why a case can't be predicted from these, in words that name the bound; null where it lies inside.

    Args:
        cache_bytes: the last-level cache: tables that fit it and tables that don't are of two kinds.
    """
    for axis in (*SAME, *APART):
        known = sorted({getattr(one, axis) for one in cases}, key=str)
        if getattr(case, axis) not in known:
            return f"{axis.replace('_', ' ')} {getattr(case, axis)} was not measured, only {_all(known)}"
        if axis in (*SAME, "distribution"):
            cases = [one for one in cases if getattr(one, axis) == getattr(case, axis)]
    fits = case.table_bytes <= cache_bytes
    cases = [one for one in cases if (one.table_bytes <= cache_bytes) == fits]
    ids = f"ids {case.distribution}, {case.cache}"
    if not cases:
        return f"no table {'that fits' if fits else 'larger than'} the cache was measured with {ids}"
    return _beyond(case, cases) or _off(case, cases)


def _all(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "nothing"


def _beyond(case: Case, cases: Sequence[Case]) -> str | None:
    """Which of its sizes is less or more than any that was measured."""
    ids = f"ids {case.distribution}, {case.cache}"
    for what, noun, size, reach in (
        ("batch", case.kind.counts, "batch", 1),
        ("row", "byte", "row_bytes", 1),
        ("table", "byte", "table_bytes", TABLE_REACH),
    ):
        own, known = getattr(case, size), [getattr(one, size) for one in cases]
        if own > max(known) * reach:
            bound = f"above the largest measured with {ids}, {max(known):,}"
        elif own * reach < min(known):
            bound = f"below the least measured with {ids}, {min(known):,}"
        else:
            continue
        return f"a {what} of {count(own, noun)} is {bound}"
    return None


def _off(case: Case, cases: Sequence[Case]) -> str | None:
    """That its batch is outside the convex hull of those measured, at its row size."""
    low, high = _between(math.log2(case.row_bytes), _corners(cases))
    if low - 1e-9 <= math.log2(case.batch) <= high + 1e-9:
        return None
    span = f"{2**low:,.0f} to {2**high:,.0f}" if high - low > 1e-9 else f"{2**high:,.0f}"
    asked = f"at rows of {case.row_bytes:,} bytes a batch of {count(case.batch, case.kind.counts)}"
    return (
        f"{asked} is outside what was measured "
        f"with ids {case.distribution}, {case.cache}: between the measured cases lie {span}"
    )


def _corners(cases: Sequence[Case]) -> list[tuple[float, float]]:
    """(row size, batch) as logarithms, of each row size the least and the largest batch."""
    batches: dict[int, list[int]] = {}
    for one in cases:
        batches.setdefault(one.row_bytes, []).append(one.batch)
    return [(math.log2(row), math.log2(batch)) for row, of in batches.items() for batch in {min(of), max(of)}]


def _between(row: float, points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The least and largest batch in the points' convex hull at a row size, all as logarithms."""
    found = [batch for at, batch in points if at == row]
    for r, b in points:
        found += [b + (row - r) / (s - r) * (c - b) for s, c in points if r < row < s]
    return min(found), max(found)


class Interpolation:
    """A case among measured ones: what any figure of theirs would be in it.

    Attributes:
        cases: those that take part, the nearest first.
    """

    def __init__(self, case: Case, cases: Sequence[Case], cache_bytes: int) -> None:
        """For ``cases`` without the case itself, NEAREST or more, all of them ``alike`` to it."""
        import numpy as np

        coordinates, kinds = _points([case, *cases], cache_bytes)
        away = _distances(coordinates[:1], kinds[:1], coordinates[1:], kinds[1:])[0]
        near = np.argsort(away, kind="stable")[:MOST]
        self.cases = tuple(cases[k] for k in near)
        self.places = near
        coordinates, kinds = coordinates[1:][near], kinds[1:][near]
        plane = np.column_stack([np.ones(len(near)), coordinates[:, :2]])
        asked = np.array([1.0, math.log2(case.batch), math.log2(case.row_bytes)])
        # Where one size was not varied, or only with the other, the plane does not know its slope.
        known: list[int] = []
        for k in range(3):
            if np.linalg.matrix_rank(plane[:, [*known, k]]) > len(known):
                known.append(k)
        plane, asked = plane[:, known], asked[known]
        n, p = plane.shape
        system = np.zeros((n + p, n + p))
        system[:n, :n] = NUGGET * np.eye(n) - _distances(coordinates, kinds, coordinates, kinds)
        system[:n, n:], system[n:, :n] = plane, plane.T
        self.inverse = np.linalg.inv(system)
        side = np.concatenate([-away[near], asked])
        self.weights = side @ self.inverse
        self.deviation = math.sqrt(max(NUGGET - float(self.weights @ side), NUGGET))

    def of(self, values: Sequence[float]) -> Estimate:
        """A figure in the case, with its interval at ``CONFIDENCE``.

        Args:
            values: its positive values in the cases given, in their order.
        """
        import numpy as np

        logs = np.log(np.asarray(values, float)[self.places])
        n = len(logs)
        own = np.abs(np.diag(self.inverse)[:n])
        errors = np.abs(self.inverse[:n, :n] @ logs) / own
        relative = errors[:NEAREST] * np.sqrt(own[:NEAREST])
        half, value = float(relative.max()) * self.deviation, float(self.weights[:n] @ logs)
        return Estimate(math.exp(value), math.exp(value - half), math.exp(value + half))


def _points(cases: Sequence[Case], cache_bytes: int) -> tuple[Floats, NDArray[np.int64]]:
    """Where cases lie: three sizes as logarithms, and numbers that stand for their kinds."""
    import numpy as np

    sizes = [
        (math.log2(one.batch), math.log2(one.row_bytes), TABLE_WEIGHT * math.log2(one.table_bytes))
        for one in cases
    ]
    kinds = [
        (*(str(getattr(one, axis)) for axis in APART), str(one.table_bytes <= cache_bytes)) for one in cases
    ]
    numbers = [np.unique(of, return_inverse=True)[1].reshape(-1) for of in zip(*kinds, strict=True)]
    return np.array(sizes), np.stack(numbers, axis=1)


def _distances(a: Floats, a_kinds: NDArray[np.int64], b: Floats, b_kinds: NDArray[np.int64]) -> Floats:
    """How far cases are apart, in doublings; another distribution or type is as far as twice the batch."""
    import numpy as np

    squares = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    squares += (a_kinds[:, None, :] != b_kinds[None, :, :]).sum(axis=2)
    distances: Floats = np.sqrt(squares)
    return distances
