"""Bench for nvml_facts.py: calls of NVML, copies of a known number of bytes, series of readings."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from suite.engine import arrays
from suite.engine.clocks.cuda import CudaClock
from suite.machine.cuda_device import CudaDevice
from suite.records.device import Device
from suite.telemetry.nvml.calls import Calls
from suite.telemetry.nvml.find import find
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading

LIMIT_S = 5.0
"""A call of NVML that takes longer is given up, and everything that needs NVML with it."""
COPY_BYTES, OF_FREE = 2**30, 16
BURST_S = 0.01
HOLDS, DIFFERS, OPEN, NOT_KNOWN = "holds", "DIFFERS", "open", "not known"

Series = list[tuple[float, float]]
"""(seconds, value) of a series of readings."""


class Missing(Exception):
    """A figure is not available; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the report: a claim, the measurement, the verdict."""

    subject: str
    claimed: str
    seen: str
    verdict: str

    def __str__(self) -> str:
        return f"{self.subject} | claimed: {self.claimed} | seen: {self.seen} | {self.verdict}"


class Bench:
    """One GPU, as NVML and torch see it.

    Args:
        device: the GPU as torch sees it, or why it does not.
        pace: factor of all durations; below 1 only the script is tested, and its figures mean nothing.
    """

    def __init__(self, index: int, device: CudaDevice | str, pace: float = 1.0) -> None:
        self.index, self.device, self.pace = index, device, pace
        self.which = str(index) if isinstance(device, str) else device.uuid
        self.calls = Calls(LIMIT_S)
        ready = self.calls.ask("nvmlInit")
        self.calls.stopped = self.calls.stopped or ready.reason
        self.handle = find(self.calls, self.which, os.environ)
        self.answers: dict[str, Any] = {}

    def ask(self, function: str, *arguments: Any) -> Any:
        """NVML's answer for this GPU; raises Missing if it has none."""
        return value_of(self.calls.ask(function, value_of(self.handle), *arguments))

    def once(self, name: str, measure: Callable[[Bench], Any]) -> Any:
        """A measurement that several lines share, made for the first; if it fails, all of them fail."""
        if name not in self.answers:
            try:
                self.answers[name] = measure(self)
            except Missing as error:
                self.answers[name] = error
        if isinstance(self.answers[name], Missing):
            raise self.answers[name]
        return self.answers[name]

    @cached_property
    def gpu(self) -> Gpu:
        """The GPU as the suite opens it."""
        return Gpu.open(self.which, limit_s=LIMIT_S)

    @cached_property
    def arrays(self) -> Any:
        if isinstance(self.device, str):
            raise Missing(self.device)
        return arrays.arrays_on(Device("cuda", self.index))

    @cached_property
    def clock(self) -> CudaClock:
        return CudaClock(self.arrays.torch.cuda)

    @cached_property
    def pair(self) -> tuple[Any, Any]:
        """Source and target of a large copy."""
        free = self.arrays.torch.cuda.mem_get_info(self.arrays.device)[0]
        size = min(COPY_BYTES, free // OF_FREE)
        return self.arrays.bytes(size), self.arrays.bytes(size)

    @cached_property
    def burst(self) -> Callable[[], int]:
        """Make copies for about 10 ms and wait for them; returns the bytes read and written."""
        source, target = self.pair
        target.copy_(source)
        self.arrays.synchronize()
        began = time.perf_counter()
        target.copy_(source)
        self.arrays.synchronize()
        count = max(1, round(BURST_S / (time.perf_counter() - began)))

        def run() -> int:
            for _ in range(count):
                target.copy_(source)
            self.arrays.synchronize()
            return 2 * count * len(source)

        return run

    def rate(self, seconds: float, burst: Callable[[], int], gaps: float = 0.0) -> float:
        """Bytes per second of bursts over ``seconds``, each followed by a pause ``gaps`` times as long."""
        moved, began = 0, time.perf_counter()
        while moved == 0 or time.perf_counter() < began + seconds:
            start = time.perf_counter()
            moved += burst()
            if gaps:
                time.sleep(gaps * (time.perf_counter() - start))
        return moved / (time.perf_counter() - began)

    @contextmanager
    def load(self) -> Iterator[None]:
        """Copies without a pause, in another thread."""
        burst, done, failed = self.burst, threading.Event(), []

        def run() -> None:
            try:
                self.arrays.torch.cuda.set_device(self.arrays.place)  # a thread starts on the first GPU
                while not done.is_set():
                    burst()
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        if failed:
            raise Missing(f"the copies failed ({type(failed[0]).__name__})")


def value_of(reading: Reading[Any]) -> Any:
    """The value of a reading; raises Missing if it has none."""
    if reading.reason is not None:
        raise Missing(reading.reason)
    return reading.value


def watch(read: Callable[[], float], seconds: float, every_s: float) -> Series:
    """Readings every ``every_s`` over ``seconds``; at least two."""
    series: Series = []
    end = time.perf_counter() + seconds
    while len(series) < 2 or time.perf_counter() < end:
        before = time.perf_counter()
        value = read()
        series.append(((before + time.perf_counter()) / 2, value))
        time.sleep(max(0.0, every_s - (time.perf_counter() - before)))
    return series


def changes(series: Series) -> Series:
    """The readings that differ from the previous one."""
    return [now for last, now in itertools.pairwise(series) if now[1] != last[1]]


def passed(series: Series, began_s: float, before: float, share: float) -> float | None:
    """Seconds until this share of the rise to the final value; None if it rises by less than a tenth."""
    tail = sorted(value for _, value in series[-max(1, len(series) // 4) :])
    end = tail[len(tail) // 2]
    if end < 1.1 * before:
        return None
    level = before + share * (end - before)
    return next((at_s - began_s for at_s, value in series if value >= level), None)


def spelled(values: Sequence[float], form: str = "{:.3g}") -> str:
    """Numbers with commas between them."""
    return ", ".join(form.format(value) for value in values)
