"""Rows of a real table through every installed CPU backend, compared bit for bit with the table itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from backends import BackendUnavailable, Unsupported, describe, load, missing_packages, names
from suite.cases.case import Case
from suite.claims.finding import Table
from suite.engine import check
from suite.engine.arrays import Host, HostArrays
from suite.engine.operands import Operands, lay_out

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

FIRST = "numpy_take"
"""The reference backend; its rows are those the claims are judged on."""
CANARY = 0xFF
LAYOUTS = ((0, "int64"), (4, "int32"))
"""Offset of the table from a page in bytes, and the type of the ids; 4 is the worst that float32 may have."""
DATA = "pip install -c .ci/constraints.txt -e '.[data]'"


What = Literal["same", "other", "refused", "failed"]
"""The table's bits, other bits, a refusal, or a failure."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one backend did in one layout, and the words for it."""

    backend: str
    offset_bytes: int
    index_dtype: str
    what: What
    detail: str


def absent(*distributions: str) -> str | None:
    """What to install for these distributions, in one line; None if all are installed."""
    missing = missing_packages(distributions)
    return f"Needs {' and '.join(missing)}; {DATA}" if missing else None


def installed() -> tuple[str, ...]:
    """CPU backends whose packages are installed, the reference first."""

    def usable(name: str) -> bool:
        backend = describe(name)
        here = "cpu" in backend.devices and "float32" in backend.dtypes
        return here and backend.takes("memory") and not missing_packages(backend.packages)

    return tuple(sorted(filter(usable, names()), key=lambda name: (name != FIRST, name)))


def fetch(
    table: Floats,
    ids: Ids,
    backends: Sequence[str] | None = None,
    layouts: Sequence[tuple[int, str]] = LAYOUTS,
) -> tuple[Floats, tuple[Outcome, ...]]:
    """Look up rows of a table through the backends.

    Args:
        table: (vocab, dim), C-contiguous, whatever it holds. ids: (batch,), each in [0, vocab).
        backends: names or files; all installed ones unless given. layouts: as ``LAYOUTS``.

    Returns:
        (batch, dim) rows as the first backend that was right returned them, and every backend's outcome.

    Raises:
        ValueError: no backend returned the right rows.
    """
    rows: Floats | None = None
    outcomes = []
    for offset_bytes, index_dtype in layouts:
        operands = _operands(table, ids, offset_bytes, index_dtype)
        for name in installed() if backends is None else backends:
            what, detail, bits = _looked_up(name, operands, table[ids].view(np.int32))
            outcomes.append(Outcome(name, offset_bytes, index_dtype, what, detail))
            if rows is None and what == "same":
                rows = bits.view(np.float32)
    if rows is None:
        raise ValueError("; ".join(f"{o.backend}: {o.detail}" for o in outcomes) or "no backend for the CPU")
    return rows, tuple(outcomes)


def table_of(title: str, outcomes: Sequence[Outcome]) -> Table:
    """The outcomes as a table, a row for each."""
    rows = tuple((o.backend, o.offset_bytes, o.index_dtype, o.detail) for o in outcomes)
    return Table(title, ("backend", "offset from a page (bytes)", "ids", "rows"), rows)


def note_on(outcomes: Sequence[Outcome]) -> str:
    """The outcomes in one sentence."""
    same = {o.backend for o in outcomes if o.what == "same"}
    other = sorted({o.backend for o in outcomes if o.what == "other"})
    also = f", but not from {', '.join(other)}" if other else ""
    return f"{len(same)} of the suite's backends looked up these rows, with the same bits{also}."


def _operands(table: Floats, ids: Ids, offset_bytes: int, index_dtype: str) -> Operands:
    """The operands of a lookup in this table, copied to the offset of the layout."""
    arrays = HostArrays()
    memory = arrays.bytes(offset_bytes + table.nbytes)
    placed = memory[offset_bytes : offset_bytes + table.nbytes].view(np.int32).reshape(table.shape)
    placed[...] = table.view(np.int32)
    case = Case(len(table), table.shape[1], "float32", len(ids), index_dtype)
    return lay_out(case, arrays, placed, [ids.astype(index_dtype)])


def _looked_up(name: str, operands: Operands, right: npt.NDArray[np.int32]) -> tuple[What, str, Host]:
    """What a backend did, the words for it, and the bits of its rows (none if it returned none)."""
    slot = operands.slots[0]
    operands.arrays.view(slot.out.reshape(-1), "uint8")[...] = CANARY
    bits: Any = None
    try:
        lookup = operands.prepared(load(name)(), slot)
        bits = operands.arrays.snapshot(lookup(), operands.case)
    except Unsupported as error:
        return "refused", f"refuses: {error}", bits
    except BackendUnavailable as error:
        return "refused", f"unavailable: {error}", bits
    except Exception as error:  # whatever a library raises is its answer
        return "failed", f"failed: {' '.join(str(error).split())[:200] or type(error).__name__}", bits
    wrong = np.flatnonzero((bits != right).any(1))
    if len(wrong):
        return "other", f"other bits in {len(wrong)} of {len(right)}, first in row {wrong[0]}", bits
    broken = check.guards_broken(slot)
    return ("other", broken, bits) if broken else ("same", f"the same {bits.nbytes:,} bytes", bits)
