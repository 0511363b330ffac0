"""An operation that comes from outside: measured as any other, and what is wrong with it found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends import Backend, Lookup, Own
from suite.cases import formula
from suite.cases.case import Case
from suite.cases.operations.base import Batch, Host, Operation
from suite.engine import measure
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table
from suite.records.record import Record, from_json, to_json
from suite.telemetry.host import HostObserver
from suite.telemetry.reading import Reading
from tests.support import operations


class Masked(Operation):
    """Rows as they are, or zeros where a mask of the batch says so."""

    reference, baselines = "numpy_masked", ("numpy_masked",)

    def dtypes(self, case: Case) -> dict[str, str]:
        return {**super().dtypes(case), "mask": "int8"}

    def rows(self, case: Case, numbers: Host) -> Host:
        chunks = formula.expected(numbers, case.dim, case.dtype, lambda shape: np.empty(shape, np.int32))
        return np.concatenate([bits.astype(np.int16) for _, bits in chunks])

    def draw(self, case: Case, ids: Host, seed: int) -> Batch:
        return {"indices": ids, "mask": np.random.default_rng(seed).integers(0, 2, len(ids)).astype(np.int8)}

    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        numbers = batch["indices"][picked]
        bits = self.rows(case, numbers)
        bits[numbers == changed] ^= -1
        return bits * batch["mask"][picked][:, None].astype(np.int16)


class Right(Backend):
    """The operation as it is said."""

    devices = ("cpu",)
    operation = "masked"

    def prepare(self, table: Any, indices: Any, mask: Any, out: Any) -> Lookup:
        def lookup() -> Any:
            np.multiply(table[indices], mask[:, None], out=out)
            return out

        return lookup


class Remembers(Right):
    """The mask as it was in ``prepare``."""

    def prepare(self, table: Any, indices: Any, mask: Any, out: Any) -> Lookup:
        return super().prepare(table, indices, mask.copy(), out)


class Unmasked(Right):
    """No mask at all."""

    def prepare(self, table: Any, indices: Any, mask: Any, out: Any) -> Lookup:
        return super().prepare(table, indices, np.ones_like(mask), out)


class Elsewhere(Right):
    """Of another operation."""

    operation = "lookup"


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package were installed that has the operation."""
    operations.install(monkeypatch, "masked", Masked)


def measured(*backends: type[Backend]) -> dict[str, Record]:
    case, arrays = Case(3001, 24, "float16", 64, operation="masked"), HostArrays()
    setup = measure.Setup(
        case,
        arrays,
        build_table(arrays, case),
        Reading(0),
        HostObserver(),
        measure.Settings(limit_s=0.2, cache_bytes=2**16),
    )
    choices = [Own(one.__name__, one.__name__, backend=one) for one in backends]
    records = measure.measure(setup, choices, "m", lambda *_: None)
    return {record.backend: record for record in records}


def test_it_is_measured_and_checked() -> None:
    records = measured(Right, Remembers, Unmasked, Elsewhere)
    right, ceiling = records["Right"], next(r for r in records.values() if r.role == "ceiling")
    assert right.status == "ok" and right.samples and right.samples.call_s
    assert {records[name].status for name in ("Remembers", "Unmasked")} == {"wrong"}
    assert records["Elsewhere"].reason == "does lookup, not masked" and ceiling.status == "ok"


def test_its_bytes_and_its_words_are_its_own() -> None:
    case = Case(3001, 24, "float16", 64, operation="masked")
    assert case.payload_bytes == 64 * (8 + 2 * 48) and case.compulsory_bytes(10) == 64 * (8 + 48) + 10 * 48
    assert str(case).startswith("masked 3001x24 float16")
    assert case.table == Case(3001, 24, "float16").table, "it has the same table"


def test_a_record_keeps_it() -> None:
    record = measured(Right)["Right"]
    assert from_json(Record, to_json(record).encode()) == record and '"operation":"masked"' in to_json(
        record
    ).replace(" ", "")


@pytest.mark.parametrize(
    ("axes", "words"),
    [({"operation": "sum"}, "operation sum: unknown; give one of lookup"), ({"variant": "x"}, "has none")],
)
def test_what_there_is_not_is_refused(axes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Case(10, 10, **axes)  # type: ignore[arg-type]
