"""The table a worker keeps: one at a time, whether it fits, and what memory it took by the counters."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from suite.cases import ids
from suite.cases.case import Case
from suite.engine import arrays, operands
from suite.machine import environment
from suite.records.record import Fact, Record
from suite.telemetry.host import HostObserver
from suite.telemetry.nvidia import GpuObserver
from suite.telemetry.observer import Observer
from suite.telemetry.reading import Reading, both, facts

NVML_LIMIT_S = 2.0
"""A call that hangs is given up before the step it is in is taken for a backend that hangs."""
_SETUP_BYTES = 2**27
_ROW_NUMBER_BYTES = 8


class Place:
    """A device as this process came to it.

    Attributes:
        before: memory in use before anything of ours was there: on a GPU that of others.
        context: what it took to be there at all: on a GPU the context, with every kernel loaded.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.observer: Observer = HostObserver() if device == "cpu" else _gpu_observer(device)
        self.before = self.observer.held_bytes()
        self.arrays = arrays.arrays_on(device)
        operands.build_table(self.arrays, 1, 1, "int8")
        self.arrays.synchronize()
        self.arrays.trim()
        self.context = both(self.before, self.observer.held_bytes(), lambda a, b: max(0, b - a))

    def facts(self) -> dict[str, Fact]:
        """Memory of others and of the context, where the device is shared and has one."""
        if self.device == "cpu":
            return {}
        return facts({"memory_before_bytes": self.before, "context_bytes": self.context})


@dataclass(frozen=True, slots=True)
class Table:
    """A table on its device: (vocab, dim) of bits, and the memory it took."""

    key: tuple[Any, ...]
    rows: arrays.Array
    allocated: Reading[int]


class Tables:
    """Keeps one table, of one case, on one device."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.kept: Table | None = None

    def place(self, device: str) -> Place:
        """The device, come to when it is first asked for."""
        if device not in self.places:
            self.places[device] = Place(device)
        return self.places[device]

    def of(self, case: Case, device: str) -> Table:
        """The table of a case: the one that is kept, or a new one in its place."""
        key = (device, *case.table)
        if self.kept is None or self.kept.key != key:
            self._drop()  # before the next one is made, so that two never stand in memory
            place = self.place(device)
            before = place.observer.held_bytes()
            rows = operands.build_table(place.arrays, *case.table)
            place.arrays.synchronize()
            place.arrays.trim()
            self.kept = Table(key, rows, place.observer.taken_bytes(place.arrays.span(rows), before))
        return self.kept

    def shortage(self, case: Case, device: str, cache_bytes: int) -> str | None:
        """Why a case does not fit the memory that is free, or None."""
        place = self.place(device)
        if self.kept is not None and self.kept.key != (device, *case.table):
            self._drop()
        need = 4 * (case.rows_bytes + case.ids_bytes + cache_bytes)
        if self.kept is None:
            need += case.table_bytes + _ROW_NUMBER_BYTES * case.vocab
        drawing = ids.drawing_bytes(case)
        there = environment.available_bytes() - _SETUP_BYTES
        if device == "cpu":
            return _short(need + drawing, there, device)
        import torch

        free = torch.cuda.mem_get_info(place.arrays.device)[0]
        return _short(need, free, device) or _short(drawing, there, "the host")

    def _drop(self) -> None:
        self.kept = None
        gc.collect()
        for place in self.places.values():
            place.arrays.trim()


def with_memory(record: Record, table: Reading[int], seen: Mapping[str, Fact]) -> Record:
    """A record with what is known of its table's memory and of its device beside what the backend showed."""
    record = replace(record, telemetry={**seen, **record.telemetry})
    if record.role != "backend":
        return record
    memory, reasons = record.memory, [record.memory.reason]
    if table.reason is not None and table.reason != memory.reason:
        reasons.append(f"table: {table.reason}")
    reason = "; ".join(filter(None, reasons)) or None
    return replace(record, memory=replace(memory, table_bytes=table.value, reason=reason))


def _short(need: int, there: int, where: str) -> str | None:
    if need <= there:
        return None
    return f"needs {need / 1e9:.1f} GB on {where}, {max(0, there) / 1e9:.1f} GB are free"


def _gpu_observer(device: str) -> Observer:
    import torch

    from suite.telemetry.nvml.gpu import Gpu

    # By UUID, since an index can mean another GPU to NVML than to CUDA. Asking for it makes no context.
    return GpuObserver(Gpu.open(str(torch.cuda.get_device_properties(device).uuid), limit_s=NVML_LIMIT_S))
