"""The claim about size: bytes by formula, bytes as allocated, and whether they fit this device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from suite.claims.cost import rules
from suite.claims.finding import Finding, Table, finding
from suite.claims.target import MODELS, Place, Unmeasured, place_of
from suite.claims.task import Spec, ask
from suite.units import size_of

SECONDS = 5.0
SETTLE_S = 0.05
"""The kernel's account of resident pages follows a little later."""
_LIMIT_S = 120.0


def findings(place: Place, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: nothing came back.
    """
    model = place.model
    answer = ask("size", place.spec(), max(_LIMIT_S, seconds), place.threads)
    if not answer.lines:
        raise Unmeasured(f"allocating the table: {answer.death}; free memory, or ask for a smaller --model")
    seen = answer.lines[0]
    whole = model.vocab * place.row_bytes
    judged = rules.size(whole, place.table_bytes, seen["allocated_bytes"], seen["free_bytes"])
    facts = Table(
        f"The table of {model.name}",
        ("what", "bytes", ""),
        (
            ("by formula: vocab × dim × 2", whole, f"{model.vocab:,} × {model.dim:,} × 2"),
            ("of the table allocated here, by formula", place.table_bytes, place.table),
            ("as allocated", seen["allocated_bytes"], seen["how"]),
            ("free on this device before", seen["free_bytes"], ""),
            ("one row", place.row_bytes, f"{size_of(place.row_bytes)}, what a lookup fetches for one id"),
        ),
    )
    others = Table(
        "Tables of other models, by formula",
        ("model", "vocab", "dim", "dtype", "bytes", "in the memory free here"),
        tuple(
            (m.name, m.vocab, m.dim, m.dtype, size, "fits" if size <= seen["free_bytes"] else "does not fit")
            for m, size in ((m, m.vocab * m.dim * 2) for m in MODELS.values())
        ),
    )
    return [finding("size", judged, rules.SIZE, (facts, others), (), place.notes)]


def allocate(spec: Spec) -> Iterator[Any]:
    """Allocate the table as the suite does, write it, and see what memory it takes."""
    from suite.engine.arrays import Arrays, HostArrays, arrays_on
    from suite.machine import environment
    from suite.records.device import Device
    from suite.telemetry import host, nvidia
    from suite.telemetry.observer import Observer

    place = place_of(spec)
    if place.device == "cpu":
        arrays: Arrays = HostArrays()
        observer: Observer = host.HostObserver()
        free, how = environment.available_bytes(), "resident memory, before and after writing to it"
    else:
        import torch

        from suite.telemetry.nvml.gpu import Gpu

        arrays = arrays_on(Device.of(place.device))
        arrays.bytes(1)
        uuid = torch.cuda.get_device_properties(place.device).uuid
        observer = nvidia.GpuObserver(Gpu.open(f"GPU-{uuid}"))
        free = torch.cuda.mem_get_info()[0]
        how = "device memory in use as NVML tells it, before and after"
    before = _held(observer)
    memory = arrays.bytes(place.table_bytes)
    memory[...] = 1
    arrays.synchronize()
    time.sleep(SETTLE_S)
    yield {"allocated_bytes": _held(observer) - before, "free_bytes": free, "how": how}


def _held(observer: Any) -> int:
    reading = observer.held_bytes()
    if reading.value is None:
        raise RuntimeError(f"memory in use is not told: {reading.reason}")
    return int(reading.value)
