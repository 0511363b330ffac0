"""Claim ``size``: bytes of the table by formula and as allocated, and whether they fit this device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from suite.claims.cost import rules
from suite.claims.finding import Finding, Table, finding
from suite.claims.target import MODELS, Target, Unmeasured, target_of
from suite.claims.task import Spec, ask
from suite.units import size_of

SECONDS = 5.0
SETTLE_S = 0.05
"""The kernel's account of resident pages follows a little later."""
NVML_LIMIT_S = 10.0
_LIMIT_S = 120.0


def findings(target: Target, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: the table could not be allocated.
    """
    model = target.model
    answer = ask("size", target.spec(), max(_LIMIT_S, seconds), target.threads)
    if not answer.lines:
        raise Unmeasured(f"allocating the table: {answer.death}; free memory, or choose a smaller --model")
    sizes = answer.lines[0]
    whole = model.vocab * target.row_bytes
    ruling = rules.size(whole, target.table_bytes, sizes["allocated_bytes"], sizes["free_bytes"])
    facts = Table(
        f"The table of {model.name}",
        ("what", "bytes", ""),
        (
            ("by formula: vocab × dim × 2", whole, f"{model.vocab:,} × {model.dim:,} × 2"),
            ("of the table allocated here, by formula", target.table_bytes, target.table),
            ("as allocated", sizes["allocated_bytes"], sizes["how"]),
            ("free on this device before", sizes["free_bytes"], ""),
            ("one row", target.row_bytes, f"{size_of(target.row_bytes)}, what a lookup fetches for one id"),
        ),
    )
    others = Table(
        "Tables of other models, by formula",
        ("model", "vocab", "dim", "dtype", "bytes", "in the memory free here"),
        tuple(
            (m.name, m.vocab, m.dim, m.dtype, size, "fits" if size <= sizes["free_bytes"] else "does not fit")
            for m, size in ((m, m.vocab * m.dim * 2) for m in MODELS.values())
        ),
    )
    return [finding("size", ruling, rule=rules.SIZE, tables=(facts, others), notes=target.notes)]


def allocate(spec: Spec) -> Iterator[Any]:
    """Allocate the table as the suite does, write to all of it, and report the memory it takes.

    Yields:
        ``{"allocated_bytes", "free_bytes": before, "how": how it was measured}``.
    """
    from suite.engine.arrays import arrays_on
    from suite.machine.cuda_device import cuda_device
    from suite.machine.environment import available_bytes
    from suite.telemetry.observer import observer_of

    target = target_of(spec)
    observer = observer_of(cuda_device(target.device), NVML_LIMIT_S)
    arrays = arrays_on(target.device)
    arrays.bytes(1)  # so that what the context of a GPU takes is counted before
    free, how = available_bytes(), "resident memory, before and after writing to it"
    if target.device.is_gpu:
        import torch

        free = torch.cuda.mem_get_info(str(target.device))[0]
        how = "device memory in use by NVML, before and after"
    before = _held(observer)
    memory = arrays.bytes(target.table_bytes)
    memory[...] = 1
    arrays.synchronize()
    time.sleep(SETTLE_S)
    yield {"allocated_bytes": _held(observer) - before, "free_bytes": free, "how": how}


def _held(observer: Any) -> int:
    reading = observer.held_bytes()
    if reading.value is None:
        raise RuntimeError(f"memory in use is unknown: {reading.reason}")
    return int(reading.value)
