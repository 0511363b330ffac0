"""What the meter reads: how fast readings lie together, how far off slow ones are, how many a best one needs.

    python -m tests.tools.full_speed --out FOLDER [--runs 5] [--minutes 5]
    python -m tests.tools.full_speed read FOLDER

A run is a new process. It reads the meter on one thread and on all, by turns, each after 5 ms of a lookup on
as many threads, as in a turn. The best is the low quantile by which the suite tells full speed; other
quantiles are said as how far above it they are. Estimates of the best are from so many readings in a row, and
from as many drawn from the whole time, as a run has them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from suite.stats import FULL_SPEED_QUANTILE, FULL_SPEED_TOLERANCE, low_quantile
from tests.tools import trials

BETWEEN_S = 0.005
QUANTILES = (0.001, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
BOUNDS = (0.02, 0.04, FULL_SPEED_TOLERANCE, 0.1, 0.15, 0.25, 0.5)
COUNTS = (10, 30, 100, 300, 1000)
DRAWS = 300
Readings = Mapping[int, Sequence[Sequence[float]]]
"""In seconds, by number of threads, by process, in order."""


def measure(out: Path, runs: int, minutes: float) -> None:
    from suite.worker.process import environ_of

    out.mkdir(parents=True, exist_ok=True)
    environment = environ_of(len(os.sched_getaffinity(0)))
    for number in range(1, runs + 1):
        file = out / f"readings-{number:02}.jsonl"
        if not file.exists():
            seconds = str(60 * minutes / runs)
            command = [sys.executable, "-m", "tests.tools.full_speed", "readings", seconds]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            file.write_text(done.stdout)
            print(f"{file.name}: {done.stdout.count(chr(10))} readings", flush=True)


def readings(seconds: float) -> None:
    """Read for so long in this process: a line of JSON a reading."""
    import torch

    from suite.engine import binding
    from suite.engine.meter import meter_of

    bound = binding.of_this_process()
    bound.pool()
    table, ids = torch.zeros((50257, 64)), torch.randint(0, 50257, (8192,))
    table_of_numpy, ids_of_numpy = table.numpy(), ids.numpy()
    lookups: tuple[Callable[[], object], ...] = (
        lambda: table_of_numpy.take(ids_of_numpy, axis=0, mode="clip"),
        lambda: torch.index_select(table, 0, ids),
    )
    meters = [meter_of(threaded=False), meter_of(threaded=True)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for meter, lookup in zip(meters, lookups, strict=True):
            with bound.caller():
                until = time.perf_counter() + BETWEEN_S
                while time.perf_counter() < until:
                    lookup()
                if meter is not None:
                    print(json.dumps([meter.threads, time.time(), meter.read()]))


def read(out: Path) -> Iterator[str]:
    """The lines to print of the readings in a folder."""
    found: dict[int, list[list[float]]] = defaultdict(list)
    for file in sorted(out.glob("readings-*.jsonl")):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for threads in sorted({line[0] for line in lines}):
            found[threads].append([line[2] for line in lines if line[0] == threads])
    for threads, processes in found.items():
        yield from said(threads, processes)


def said(threads: int, processes: Sequence[Sequence[float]]) -> Iterator[str]:
    """What there is to say of the readings on so many threads."""
    every = [one for process in processes for one in process]
    best = low_quantile(every)
    ordered = sorted(every)
    yield f"on {threads} thread{'s' * (threads > 1)}: {len(every)} readings, best {best * 1e6:.2f} us"
    bests = ", ".join(f"{low_quantile(process) / best - 1:+.1%}" for process in processes)
    yield f"  the {FULL_SPEED_QUANTILE:.0%} quantile of each process, against that of all: {bests}"
    at = (f"{q:.1%} {ordered[int(q * len(ordered))] / best - 1:+.1%}" for q in QUANTILES)
    yield f"  quantiles: {', '.join(at)}"
    bounds = [(low, high) for low, high in zip((-1.0, *BOUNDS), (*BOUNDS, float("inf")), strict=True)]
    shares = (f"to {high:.0%} {_share_between(every, best, low, high)}" for low, high in bounds)
    yield f"  above the best by: {', '.join(shares).replace('to inf%', 'more')}"
    for count in COUNTS:
        if count <= len(every) // 2:
            yield f"  best of {count}: {_settled('in a row', _rows(processes, count), best)}; " + _settled(
                "drawn", _drawn(every, count), best
            )


def _share_between(every: Sequence[float], best: float, low: float, high: float) -> str:
    return trials.share(sum(low < one / best - 1 <= high for one in every), every)


def _settled(how: str, estimates: Sequence[float], best: float) -> str:
    apart = sorted(abs(one / best - 1) for one in estimates)
    if not apart:
        return f"{how}, too few"
    within = trials.share(sum(one <= 0.02 for one in apart), apart)
    return f"{how}, {within} within 2 %, 95 % within {apart[int(0.95 * len(apart))]:.1%}"


def _rows(processes: Sequence[Sequence[float]], count: int) -> list[float]:
    """Estimates, each from readings one after the other in a process."""
    rng = random.Random(0)
    long = [process for process in processes if len(process) >= count]
    starts = [(p, rng.randrange(len(p) - count + 1)) for p in rng.choices(long, k=DRAWS)] if long else []
    return [low_quantile(process[start : start + count]) for process, start in starts]


def _drawn(every: Sequence[float], count: int) -> list[float]:
    rng = random.Random(0)
    return [low_quantile(rng.sample(every, count)) for _ in range(DRAWS)]


def main(argv: Sequence[str]) -> None:
    if argv[:1] == ["readings"]:
        readings(float(argv[1]))
        return
    folder = trials.folder_to_read(argv)
    if folder is None:
        given = trials.parser(str(__doc__), runs=5, minutes=5).parse_args(argv)
        measure(given.out, given.runs, given.minutes)
        folder = given.out
    print(*read(folder), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
