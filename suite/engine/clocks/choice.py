"""Choice of a clock: by the device, and by where a library puts its work."""

from __future__ import annotations

from collections.abc import Callable

from backends import Lookup
from suite.engine import binding
from suite.engine.clocks.cuda import NO_FLUSHES, CudaClock, Flushes
from suite.engine.clocks.graph import Check, Graphs
from suite.engine.clocks.host import HostClock
from suite.engine.meter import meter_of
from suite.engine.turns import Clock
from suite.records.device import Device


def clock_of(
    device: Device,
    declared: str,
    flushes: Flushes = NO_FLUSHES,
    kept: int = 1,
    graphs: Graphs | None = None,
) -> Clock:
    """A lookup's clock: the host's on the CPU and for a library with its own streams, else CUDA's.

    Args:
        declared: what the backend declares, ``device`` or ``host``.
        flushes: what empties the caches by a GPU's clock; on the host the turn begins with it.
        kept: how many results are held on to, so that an allocated one is as cold as the others.
        graphs: captures the lookups in CUDA graphs; null where that is not asked for.
    """
    if not device.is_gpu:
        return HostClock(kept=kept, binding=binding.of_this_process(), meters=meter_of)
    import torch

    if declared == "host":
        return HostClock(torch.cuda.synchronize, kept, lasting=False)
    return CudaClock(torch.cuda, flushes, kept, graphs)


def graphs_on(
    device: Device, prepare: Callable[[int], Lookup], slots: int, check: Check | None
) -> Graphs | None:
    """What captures lookups in CUDA graphs, on a GPU.

    Args:
        prepare: makes the lookup of a slot. slots: how many there are. check: as ``Graphs`` has it.
    """
    if not device.is_gpu:
        return None
    import torch

    return Graphs(torch.cuda, prepare, slots, check)
