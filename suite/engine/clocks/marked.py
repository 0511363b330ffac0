"""Mark around a launch by which a profiler finds it; nothing is timed."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from backends import Lookup
from suite.engine.arrays import Arrays

RANGE = "lookup"
"""The NVTX range around a launch that is to be profiled."""


def marked(arrays: Arrays, lookups: Sequence[Lookup], seconds: float) -> None:
    """One lookup in an NVTX range on a GPU; lookups on end for so many seconds where that is more than 0."""
    end, number = perf_counter() + seconds, 0
    if arrays.device.is_gpu:
        import torch

        torch.cuda.nvtx.range_push(RANGE)  # type: ignore[no-untyped-call]
        lookups[0]()
        arrays.synchronize()
        torch.cuda.nvtx.range_pop()  # type: ignore[no-untyped-call]
    while perf_counter() < end:
        lookups[number % len(lookups)]()
        number += 1
