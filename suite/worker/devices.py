"""The table a worker keeps: one at a time, whether it fits, and what memory it took by the counters."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suite.cases import ids
from suite.cases.case import Case, host_bytes
from suite.engine import arrays, operands, rotation
from suite.engine.placement import table_file
from suite.machine import environment
from suite.machine.cuda_device import cuda_device
from suite.records.device import Device
from suite.records.record import Fact
from suite.telemetry.observer import Observer, observer_of
from suite.telemetry.reading import Reading, both, facts

NVML_LIMIT_S = 2.0
"""A call that hangs is given up before the step it is in is taken for a backend that hangs."""
_SETUP_BYTES = 2**27
_ROW_NUMBER_BYTES = 8


class OpenDevice:
    """A device in this process: its arrays, its observer, its memory before anything of ours was there.

    Attributes:
        before: memory in use before: on a GPU that of others.
        context: what opening it took: on a GPU the context.

    Args:
        protected: whether the processor faults on a write to a table on the host.
    """

    def __init__(self, device: Device, protected: bool = True) -> None:
        self.device = device
        self.observer: Observer = observer_of(cuda_device(device), NVML_LIMIT_S)
        self.before = self.observer.held_bytes()
        self.arrays = arrays.arrays_on(device, protected)
        operands.build_table(self.arrays, Case(1, 1, "int8"))
        self.arrays.synchronize()
        self.arrays.trim()
        self.context = both(self.before, self.observer.held_bytes(), lambda a, b: max(0, b - a))

    def facts(self) -> dict[str, Fact]:
        """Memory of others and of the context, where the device is shared and has one."""
        if not self.device.is_gpu:
            return {}
        return facts({"memory_before_bytes": self.before, "context_bytes": self.context})


@dataclass(frozen=True, slots=True)
class Table:
    """A table on its device: (vocab, dim) of bits, and the bytes it took as allocated."""

    key: tuple[Device, tuple[object, ...]]
    rows: arrays.Array
    memory: Reading[int]


class Tables:
    """Keeps one table, of one case, on one device.

    Args:
        folder: where table files lie.
        protected: whether the processor faults on a write to a table on the host.
    """

    def __init__(self, protected: bool = True, folder: str | None = None) -> None:
        self.protected = protected
        self.folder = folder
        self.devices: dict[Device, OpenDevice] = {}
        self.kept: Table | None = None

    def opened(self, device: Device) -> OpenDevice:
        """The device, opened on first use."""
        if device not in self.devices:
            self.devices[device] = OpenDevice(device, self.protected)
        return self.devices[device]

    def of(self, case: Case, device: Device) -> Table:
        """The table of a case: the one that is kept, or a new one in its place.

        Raises:
            OSError: its file can't be built or opened, or the memory that it is to lie in is refused.
        """
        key = (device, case.table)
        if self.kept is None or self.kept.key != key:
            self._drop()  # before the next one is made, so that two never stand in memory
            opened = self.opened(device)
            before = opened.observer.held_bytes()
            if case.placement == "file":
                rows = table_file.mapped(self._tables(), case, self.protected)
                self.kept = Table(key, rows, Reading(None, "it lies in a file"))
                return self.kept
            rows = operands.build_table(opened.arrays, case)
            opened.arrays.synchronize()
            opened.arrays.trim()
            taken = opened.observer.taken_bytes(opened.arrays.span(rows), before)
            if device.is_gpu and case.placement != "memory":
                taken = Reading(None, "it lies in the host's memory, or goes to and fro")
            self.kept = Table(key, rows, taken)
        return self.kept

    def distrust(self) -> None:
        """Remove the file of the table that is kept, so that nobody looks up what it has become."""
        if self.kept is not None and isinstance(self.kept.rows, np.memmap):
            Path(str(self.kept.rows.filename)).unlink(missing_ok=True)

    def _tables(self) -> str:
        if self.folder is None:
            raise FileNotFoundError("no folder for its table file was given; give one with --tables")
        return self.folder

    def shortage(self, case: Case, device: Device, cache_bytes: int) -> str | None:
        """Why a case does not fit the memory that is free, or None."""
        opened = self.opened(device)  # what that takes is not free any more
        if self.kept is not None and self.kept.key != (device, case.table):
            self._drop()
        need, table = needed_bytes(case, device, cache_bytes, table=False), 0
        if self.kept is None and case.placement != "file":
            need, table = need + _ROW_NUMBER_BYTES * case.vocab, case.table_bytes
        if case.placement == "file" and not case.evicted:
            table = case.table_bytes  # all of its pages are to stay in the page cache
        drawing = ids.drawing_bytes(case)
        there = environment.available_bytes() - _SETUP_BYTES
        if not device.is_gpu:
            return _short(need + table + drawing, there, "cpu")
        import torch

        if case.placement != "memory":  # then a table may be larger than the device
            drawing, table = drawing + table, 0
        opened.arrays.trim()  # what earlier cases left put by is free
        free = torch.cuda.mem_get_info(str(device))[0]
        return _short(need + table, free, str(device)) or _short(drawing, there, "the host")

    def _drop(self) -> None:
        self.kept = None
        gc.collect()
        for opened in self.devices.values():
            opened.arrays.trim()


def needed_bytes(case: Case, device: Device, cache_bytes: int, table: bool = True) -> int:
    """Memory that a case takes on its device, with its table or beside it."""
    need = rotation.needed_bytes(case, cache_bytes) if device.is_gpu else host_bytes(case, cache_bytes)
    return need + (case.table_bytes + _ROW_NUMBER_BYTES * case.vocab if table else 0)


def _short(need: int, there: int, where: str) -> str | None:
    if need <= there:
        return None
    return f"needs {need / 1e9:.1f} GB on {where}, {max(0, there) / 1e9:.1f} GB are free"
