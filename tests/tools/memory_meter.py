"""Whether a meter on memory tells what the core's does not: python -m tests.tools.memory_meter --seconds 300

Times turns of a cold lookup on one thread with two candidates before and after each: a chase of 200 reads, of
which each waits for the one before, and 2,000 reads that do not wait, both at random lines of a private array
of 64 MB, never the same lines twice in a row. A process that streams through memory on another processor is
switched on and off every two seconds. Prints, for rounds at full speed by the core's meter, with that process
off, on, and either: points of the lookup's medians, how well each candidate goes with them (correlation of
logarithms), and the points of those rounds that are at full speed by the candidate too.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from suite import stats

LINE_BYTES = 64
ARRAY_BYTES = 1 << 26
STATE_S = 2.0
SETTLE_S = 0.2
"""After the streaming process was switched, rounds do not count for so long."""
KINDS = {"chased": 200, "independent": 2000}
"""Reads of each candidate: some 20 µs."""
PARTS = 3
"""A reading is the least of so many, as the core's is."""
POINTS = (10, 50, 90)
HOG = "import numpy as n; a, b = n.ones(1 << 25), n.ones(1 << 25)\nwhile True: a[:] = b"


def candidates() -> dict[str, Callable[[], float]]:
    """Readers of seconds; each goes on through the array where it stopped."""
    lines, (chase, scatter) = ARRAY_BYTES // LINE_BYTES, compiled()
    memory = mmap.mmap(-1, ARRAY_BYTES)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory, np.int64)
    order = np.random.default_rng(0).permutation(lines) * (LINE_BYTES // 8)
    array[order] = np.roll(order, -1)
    place = {"chased": int(order[0]), "independent": 0}

    def chased() -> None:
        place["chased"] = chase(array, place["chased"], KINDS["chased"])

    def independent() -> None:
        end = place["independent"] + KINDS["independent"]
        scatter(array, order[place["independent"] : end])
        place["independent"] = end if end + KINDS["independent"] <= lines else 0

    return {"chased": reader(chased), "independent": reader(independent)}


def compiled() -> tuple[Any, Any]:
    """Reads that wait for each other, and reads that do not."""
    from numba import njit

    @njit
    def chase(array: Any, at: Any, reads: Any) -> Any:
        for _ in range(reads):
            at = array[at]
        return at

    @njit
    def scatter(array: Any, places: Any) -> Any:
        total = 0
        for at in places:
            total += array[at]
        return total

    return chase, scatter


def reader(run: Callable[[], None]) -> Callable[[], float]:
    """The least time of a few runs, which is a reading."""

    def read() -> float:
        found = []
        for _ in range(PARTS):
            began = time.perf_counter()
            run()
            found.append(time.perf_counter() - began)
        return min(found)

    run()
    return read


def turn_of(name: str) -> Callable[[], tuple[float, float]]:
    """Takes a turn of 60 cold lookups: their median and the core's slowest reading, in seconds."""
    from backends import load
    from suite.cases import ids
    from suite.cases.case import Case
    from suite.engine import binding, operands
    from suite.engine.arrays import HostArrays
    from suite.engine.clocks.host import HostClock
    from suite.engine.meter import meter_of

    case, arrays = Case(1_000_000, 64, "float32", 512), HostArrays()
    batches = [ids.draw(case, turn, 0) for turn in range(400)]
    laid_out = operands.lay_out(case, arrays, operands.build_table(arrays, case), batches)
    backend = load(name)
    lookups = [laid_out.prepared(backend(), slot) for slot in laid_out.slots]
    clock = HostClock(kept=len(lookups), binding=binding.of_this_process(), meters=meter_of)
    clock.use_meter(threaded=False)
    if clock.meter is None:
        sys.exit("the core's meter: not here; install Numba")
    at = 0

    def turn() -> tuple[float, float]:
        nonlocal at
        order = [lookups[(at + k) % len(lookups)] for k in range(70)]
        at = (at + 70) % len(lookups)
        found = clock.turn(order[:10], order[10:], 1)
        return float(np.median(found.call_s)), max(found.meter_s)

    return turn


@contextmanager
def hog(processor: int) -> Iterator[Callable[[bool], None]]:
    """A process that streams through memory on a processor; switched by what this gives."""
    child = subprocess.Popen([sys.executable, "-c", HOG])
    os.sched_setaffinity(child.pid, {processor})

    def switch(on: bool) -> None:
        child.send_signal(signal.SIGCONT if on else signal.SIGSTOP)

    try:
        yield switch
    finally:
        child.kill()
        child.wait()


def rounds(name: str, seconds: float) -> np.ndarray:
    """One row a round: hog, lookup, core, and the mean of each candidate before and after; seconds."""
    from suite.engine import binding
    from suite.machine.cpu import processors_by_core

    bound, read, turn = binding.of_this_process(), candidates(), turn_of(name)
    rows: list[tuple[float, ...]] = []
    with hog(processors_by_core()[-1]) as switch:
        end, on = time.perf_counter() + seconds, True
        while (began := time.perf_counter()) < end:
            on = not on
            switch(on)
            time.sleep(SETTLE_S)
            while time.perf_counter() < began + STATE_S:
                with bound.caller():
                    before = [of() for of in read.values()]
                lookup, core = turn()
                with bound.caller():
                    after = [of() for of in read.values()]
                means = [(a + b) / 2 for a, b in zip(before, after, strict=True)]
                rows.append((float(on), lookup, core, *means))
    return np.array(rows)


def points(times: np.ndarray) -> str:
    if len(times) == 0:
        return "none"
    return "/".join(f"{1e6 * point:.2f}" for point in np.percentile(times, POINTS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--backend", default="numpy_take")
    given = parser.parse_args()
    found = rounds(given.backend, given.seconds)
    full = found[:, 2] <= stats.low_quantile(found[:, 2].tolist()) * (1 + stats.FULL_SPEED_TOLERANCE)
    print(f"{given.backend}, cold: {len(found)} rounds, points {'/'.join(map(str, POINTS))} in us")
    for state, kept in (("off", found[:, 0] == 0), ("on", found[:, 0] == 1), ("either", found[:, 0] >= 0)):
        these = found[kept & full]
        print(f"streaming {state}: {full[kept].mean():.0%} at the core's full speed: {points(these[:, 1])}")
        for place, kind in enumerate(KINDS, 3):
            best = stats.low_quantile(found[full, place].tolist())
            fast = these[:, place] <= best * (1 + stats.FULL_SPEED_TOLERANCE)
            r = np.corrcoef(np.log(these[:, 1]), np.log(these[:, place]))[0, 1] if len(these) > 2 else np.nan
            told = f"{kind} {points(these[:, place])}, r {r:.2f}; at full speed by it too"
            print(f"  {told} {fast.mean():.0%}: {points(these[fast, 1])}", flush=True)


if __name__ == "__main__":
    main()
