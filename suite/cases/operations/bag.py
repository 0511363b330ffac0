"""Bag: row ``b`` of the result is the sum, the weighted sum or the mean of a bag of table rows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple, cast

from suite.cases import formula
from suite.cases.dtypes import BITS, width_of
from suite.cases.operations.base import Array, Arrays, Batch, Call, Case, Facts, Host, Operation

SIGNIFICANT = {"float32": 24, "float16": 11, "bfloat16": 8}
"""Bits of a number of each type: every whole number up to 2 to that power is one."""
MOST = 1024
"""Ids of a bag, at most."""
LARGEST = 2**12
"""The largest whole number in a table, where sums leave room for more."""
UNIT = 2.0**-4
"""What the whole numbers of a table are multiples of."""
WEIGHTS = (0.5, 1.0, 2.0)
"""Powers of two, so that a product is exact."""
ASIDE = 16
"""Bags, and ids of each, by which the accumulator is found out."""
TRACE = "trace"
"""Of a file whose ids a bag are not counted yet."""
_VARIANT = re.compile(r"(sum|weighted|mean|ragged|trace)-([1-9]\d{0,3})")


class Kind(NamedTuple):
    """What a variant says: its name, and ids of a bag; of ragged bags on average."""

    name: str
    hotness: int

    @property
    def most(self) -> int:
        """Ids of the largest bag."""
        return {"ragged": 2 * self.hotness, "trace": MOST}.get(self.name, self.hotness)

    @property
    def per_unit(self) -> float:
        """One over what its sums are whole multiples of, in units of the table."""
        return 1 / min(WEIGHTS) if self.name == "weighted" else 1.0

    @property
    def spread(self) -> int:
        """By how much a weight makes a whole number larger, at most."""
        return int(max(WEIGHTS) * self.per_unit) if self.name == "weighted" else 1


def kind_of(case: Case) -> Kind:
    """The kind of bags of a case.

    Raises:
        ValueError: its variant is none; the message is one line.
    """
    if case.variant == TRACE:
        return Kind(TRACE, 1)
    found = _VARIANT.fullmatch(case.variant)
    if not found or int(found[2]) > MOST:
        kinds = "sum-N, weighted-N, mean-N, ragged-N or, of --indices with offsets, trace"
        raise ValueError(
            f"variant {case.variant or '(none)'}: unknown; give {kinds}, N ids a bag, 1 to {MOST}"
        )
    return Kind(found[1], int(found[2]))


class Bag(Operation):
    """``prepare(table, indices, offsets, out, mode, weights=None)``.

    table (vocab, dim); indices (ids,), those of all bags one after another; offsets (batch + 1,) of the
    indices' type, where in them each bag begins and the last ends; out (batch, dim), like the table; mode
    ``"sum"`` or ``"mean"``; weights (ids,), like the table, of weighted sums only. An empty bag's row is 0.

    Variants, of N ids a bag: ``sum-N``; ``weighted-N``, each row times a weight first; ``mean-N``, N a power
    of two; ``ragged-N``, sums over bags of 0 to 2N ids, N on average, as many in all in every batch; the
    first is a full one and the last is empty; ``trace-N``, sums over the bags of the user's file, N ids on
    average, with some ids more or less in some so that every batch has as many.

    A table's elements are whole numbers, none of them 0, times a power of two, so small that every sum of a
    bag is exact in the table's own type: whatever adds them up in whatever order comes to the same bits. What
    is then left to tell is ``accumulates_in``: from a small table in which only a wider accumulator is exact.
    """

    variants = ("sum-20",)
    counts = "bag"
    reference = "numpy_bag"
    baselines = ("torch_bag", "numpy_bag")

    def check(self, case: Case) -> None:
        kind = kind_of(case)
        if case.dtype not in SIGNIFICANT:
            raise ValueError(f"dtype {case.dtype}: has no sums of bags; give one of {', '.join(SIGNIFICANT)}")
        if kind.name == "mean" and kind.hotness & (kind.hotness - 1):
            what = "a mean is exact of a power of two"
            raise ValueError(f"variant {case.variant}: {what}; give mean-{1 << kind.hotness.bit_length()}")
        if kind.name == "trace" and kind.most > 1 << SIGNIFICANT[case.dtype]:
            raise ValueError(
                f"variant {case.variant}: sums of {MOST} are not exact in {case.dtype}; give float32"
            )
        if kind.most * kind.spread > 1 << SIGNIFICANT[case.dtype]:
            most = (1 << SIGNIFICANT[case.dtype]) // (kind.spread * kind.most // kind.hotness)
            what = f"sums of so many are not exact in {case.dtype}"
            raise ValueError(f"variant {case.variant}: {what}; give {kind.name}-{most} at most, or float32")

    def ids(self, case: Case) -> int:
        return case.batch * kind_of(case).hotness

    def table_name(self, case: Case) -> str:
        return f"whole numbers to {_largest(case)}"

    def dtypes(self, case: Case) -> dict[str, str]:
        return {**super().dtypes(case), "offsets": case.index_dtype, "weights": case.dtype}

    def settings(self, case: Case) -> dict[str, Any]:
        return {"mode": "mean" if kind_of(case).name == "mean" else "sum"}

    def batch_bytes(self, case: Case) -> int:
        index = width_of(case.index_dtype)
        weight = width_of(case.dtype) if kind_of(case).name == "weighted" else 0
        return self.ids(case) * (index + weight) + (case.batch + 1) * index

    def rows(self, case: Case, numbers: Host) -> Host:
        return _bits(_whole(case, numbers) * UNIT, case.dtype)

    def changed(self, case: Case, bits: Host) -> Host:
        """Negated, as inverted bits would be no whole numbers."""
        return bits ^ bits.dtype.type(-1 << (8 * bits.itemsize - 1))

    def cuts(self, case: Case) -> bool:
        return kind_of(case).name == "trace"

    def of_trace(self, case: Case, ids: Host, lengths: Host, turn: int) -> Batch:
        import numpy as np

        some = np.take(lengths, np.arange(turn * case.batch, (turn + 1) * case.batch), mode="wrap")
        fitted = _fitted(np.minimum(some, MOST), len(ids))
        return {"indices": ids, "offsets": np.concatenate([[0], np.cumsum(fitted)]).astype(case.index_dtype)}

    def draw(self, case: Case, ids: Host, seed: int) -> Batch:
        import numpy as np

        kind, rng = kind_of(case), np.random.default_rng([seed, case.batch])
        lengths = np.full(case.batch, kind.hotness)
        if kind.name in ("ragged", "trace"):
            lengths = _ragged(case.batch, kind.hotness, rng)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(case.index_dtype)
        batch = {"indices": ids, "offsets": offsets}
        if kind.name == "weighted":
            batch["weights"] = _bits(rng.choice(WEIGHTS, len(ids)), case.dtype)
        return batch

    def touched(self, case: Case, batch: Batch, places: Host) -> Host:
        import numpy as np

        return np.searchsorted(batch["offsets"], places, side="right") - 1

    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        import numpy as np

        kind, offsets = kind_of(case), batch["offsets"].astype(np.int64)
        starts, lengths = offsets[picked], np.diff(offsets)[picked]
        firsts = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(starts - firsts, lengths)
        numbers = batch["indices"][places]
        terms = _whole(case, numbers)
        terms[numbers == changed] *= -1
        if kind.name == "weighted":
            weights = _values(batch["weights"][places], case.dtype) * kind.per_unit
            terms = terms * weights.astype(np.int64)[:, None]
        sums = np.zeros((len(lengths), case.dim), np.int64)
        full = np.flatnonzero(lengths)
        if len(full):
            sums[full] = np.add.reduceat(terms, firsts[full], axis=0, dtype=np.int64)
        unit = UNIT / kind.per_unit / (kind.hotness if kind.name == "mean" else 1)
        return _bits(sums * unit, case.dtype)

    def differing(
        self, case: Case, arrays: Arrays, bits: Array, batch: Batch, picked: Host, changed: int | None = None
    ) -> list[int]:
        """As it says, but of many rows by all threads."""
        import numpy as np

        got = arrays.on_host(bits)
        step = max(1, formula.HOST_CHUNK // (case.dim * kind_of(case).most))

        def wrong(part: slice) -> list[int]:
            found = list[int]()
            for start in range(part.start, part.stop, step):
                some = slice(start, min(start + step, part.stop))
                bad = (got[some] != self.right(case, batch, picked[some], changed)).any(1)
                found += [start + int(place) for place in np.flatnonzero(bad)]
            return found

        if len(picked) <= step:
            return wrong(slice(0, len(picked)))
        parts: list[Any] = formula.parallel(wrong, len(picked))
        return [row for part in parts for row in part]

    def facts(self, case: Case, call: Call) -> Facts:
        return {"accumulates_in": _accumulator(case, call)}

    def wrong(self, case: Case, batch: Batch, row: int) -> str:
        offsets = batch["offsets"]
        name = {"mean": "mean", "weighted": "weighted sum"}.get(kind_of(case).name, "sum")
        return f"the {name} of the {int(offsets[row + 1] - offsets[row])} rows of bag {row}"


def _largest(case: Case) -> int:
    """The largest whole number in a table: the weighted sum of as many as a bag has is exact in its type."""
    kind = kind_of(case)
    return min(LARGEST, (1 << SIGNIFICANT[case.dtype]) // (kind.most * kind.spread))


def _whole(case: Case, numbers: Host) -> Host:
    """These rows of the table as whole numbers from -largest to largest, without 0: (n, dim) int32."""
    import numpy as np

    largest = _largest(case)
    whole = np.empty((len(numbers), case.dim), np.int32)
    for where, bits in formula.expected(
        numbers, case.dim, "float32", lambda shape: np.empty(shape, np.int32)
    ):
        part = (((bits >> 14) & 0x1FFFF) * (2 * largest) >> 17) - largest
        whole[where] = part + (part >= 0)
    return whole


def _bits(values: Host, dtype: str) -> Host:
    """Numbers that a type has, as its bits."""
    import numpy as np

    if dtype == "bfloat16":
        return (values.astype(np.float32).view(np.int32) >> 16).astype(np.int16)
    return values.astype(dtype).view(BITS[width_of(dtype)])


def _values(bits: Host, dtype: str) -> Host:
    """The numbers that bits of a type are, as float64."""
    import numpy as np

    if dtype == "bfloat16":
        return (bits.astype(np.int32) << 16).view(np.float32).astype(np.float64)
    return bits.view(dtype).astype(np.float64)


def _ragged(batch: int, mean: int, rng: Any) -> Host:
    """Lengths of bags, in pairs that together have twice the mean; the first is full, the last is empty."""
    import numpy as np

    pairs = batch // 2
    some = rng.integers(0, 2 * mean + 1, pairs)
    some[:2] = 2 * mean
    lengths = np.concatenate([some, 2 * mean - some, [mean] * (batch % 2)])
    if pairs:
        inner = rng.permutation(np.delete(lengths, [0, pairs]))
        lengths = np.concatenate([[2 * mean], inner, [0]])
    return lengths


def traced(lengths: Host) -> str:
    """The variant of a file with bags of these lengths."""
    return f"{TRACE}-{min(MOST, max(1, round(float(lengths.mean()))))}"


def _fitted(lengths: Host, total: int) -> Host:
    """Lengths of bags, some of them one longer or shorter, and again, until they come to so many."""
    import numpy as np

    lengths = lengths.astype(np.int64)
    while missing := total - int(lengths.sum()):
        step = 1 if missing > 0 else -1
        free = np.flatnonzero(lengths < MOST if step > 0 else lengths > 0)
        some = min(abs(missing), len(free))
        lengths[free[np.arange(some) * len(free) // some]] += step
    return lengths


def _accumulator(case: Case, call: Call) -> str | None:
    """The type that a backend adds up in: float32 (float64) if it is right where the table's own is not.

    A bag holds a number so large that its type has none between it and that plus 2, and ones, an even number:
    added to it one by one they are lost, unless there are more bits. Where it stands differs from bag to bag,
    so no order of adding up gets all of them right.
    """
    import numpy as np

    small = cast(Case, replace(cast(Any, case), vocab=3, batch=2 * ASIDE))
    bags, places = np.arange(2 * ASIDE)[:, None], np.arange(ASIDE)
    nothing = (bags + 1 + bags // ASIDE) % ASIDE
    ids = np.where(places == bags % ASIDE, 0, np.where(places == nothing, 2, 1))
    large = 2.0 ** SIGNIFICANT[case.dtype]
    given = {
        "table": _bits(np.repeat([[large], [1.0], [0.0]], case.dim, axis=1), case.dtype),
        "indices": ids.reshape(-1).astype(case.index_dtype),
        "offsets": (np.arange(2 * ASIDE + 1) * ASIDE).astype(case.index_dtype),
    }
    if kind_of(case).name == "weighted":
        given["weights"] = _bits(np.ones(ids.size), case.dtype)
    got = call(small, given)
    if got is None:
        return None
    right = (large + ASIDE - 2) / (ASIDE if kind_of(case).name == "mean" else 1)
    if (got != _bits(np.array(right), case.dtype)).any():
        return case.dtype
    return "float64" if case.dtype == "float32" else "float32"
