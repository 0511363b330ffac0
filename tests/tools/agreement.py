"""The suite's time of a hot lookup against timeit's, pyperf's and torch.utils.benchmark's, at full speed.

    python -m tests.tools.agreement --out FOLDER [--runs 5] [--minutes 15]
    python -m tests.tools.agreement read FOLDER

A run is a pair of processes for every case: a worker of the suite, then one of the others, each new, since
where memory and threads come to lie is chosen once a process. The others are made to read the suite's meter
before and after each of their repeats. A round of the suite, and a repeat of theirs, counts if the readings
in it are at full speed, as all processes of the folder show it together. What is printed of every lookup is
the median over the pairs, and the relative difference with the smallest and largest of the pairs; then the
same over all rounds and repeats, as these harnesses have it of themselves. pyperf is left out where it is not
installed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends import choose
from suite import stats
from suite.cases.case import Case, Sweep, plan
from suite.engine.measure import Settings
from suite.machine.cpu import cache_bytes
from suite.machine.environment import available_bytes
from suite.records.device import CPU
from suite.stats import FULL_SPEED_TOLERANCE, low_quantile
from suite.worker.messages import Job
from tests.tools import trials

CASES = plan(
    [
        Sweep((50257,), (64,), ("float32",), (8192, 16384), cache=("hot",)),
        Sweep((50257,), (768,), ("float32",), (2048,), cache=("hot",)),
        Sweep((100_000,), (129,), ("bfloat16",), (8192,), cache=("hot",)),
    ]
)
BACKENDS = ("numpy_take", "torch_index_select")
LIMIT_S = 4.0
OTHERS_S = 2.0
REPEAT_S = 0.02
"""Of a repeat of the others: as a turn is."""
FEWEST = 3
"""With fewer at full speed there is no median."""
Taken = list[list[float]]
"""Rounds or repeats: the time of a lookup in seconds, then what the meter read around it."""
Times = dict[str, dict[str, float]]
"""By backend: the median of each harness, in seconds."""


def measure(out: Path, runs: int, minutes: float) -> None:
    threads = len(os.sched_getaffinity(0))
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * minutes
    for run in range(1, runs + 1):
        for number, case in enumerate(CASES):
            path = out / f"pair-{run:02}-{number}.json"
            if time.monotonic() > end:
                print(f"time is up before {path.name}", flush=True)
                return
            if not path.exists():
                ours = of_the_suite(case, threads)
                theirs = of_a_new_process(number, threads, {name: of["threads"] for name, of in ours.items()})
                both = {name: {**ours[name], **theirs[name]} for name in ours}
                path.write_text(json.dumps(both), encoding="utf-8")
                print(f"{path.name}: {case}", flush=True)


def of_the_suite(case: Case, threads: int) -> dict[str, dict[str, Any]]:
    """Of a new worker, by backend: its rounds, and on how many threads the meter was read."""
    from suite.worker.supervisor import Supervisor

    supervisor = Supervisor(60, available_bytes(), threads)
    settings = Settings(limit_s=LIMIT_S, cache_bytes=cache_bytes())
    records = supervisor.measure(Job(case, CPU, tuple(map(choose, BACKENDS)), "agreement", settings))
    supervisor.close()
    found = {}
    for record in records:
        if record.role == "backend" and (samples := record.samples):
            meters = samples.meter_s or ((),) * len(samples.call_s)
            rounds = zip(stats.round_medians(samples.call_s), meters, strict=True)
            taken = [[median, *readings] for median, readings in rounds]
            found[record.backend] = {"threads": samples.meter_threads, "suite": taken}
    return found


def of_a_new_process(number: int, threads: int, meters: Mapping[str, int | None]) -> dict[str, Any]:
    """What the others take of a case in a process of their own, by backend and harness."""
    from suite.worker.process import environ_of

    command = [sys.executable, "-m", "tests.tools.agreement", "--others", str(number), json.dumps(meters)]
    done = subprocess.run(command, env=environ_of(threads), check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_the_others(case: Case, meters: Mapping[str, int | None]) -> dict[str, dict[str, Taken]]:
    """The repeats of timeit, torch.utils.benchmark and pyperf in this process."""
    import torch
    from torch.utils.benchmark import Timer

    from backends import load
    from suite.cases import ids
    from suite.engine import operands
    from suite.engine.arrays import HostArrays
    from suite.engine.meter import meter_of

    arrays = HostArrays()
    laid_out = operands.lay_out(case, arrays, operands.build_table(arrays, case), [ids.draw(case, 0, 0)])
    found: dict[str, dict[str, Taken]] = {}
    for name, threads in meters.items():
        backend = load(name)
        lookup = laid_out.prepared(backend(), laid_out.slots[0])
        meter = meter_of(threaded=threads != 1) if threads else None
        read = meter.read if meter else None
        timer = timeit.Timer(lookup)
        number = calls_for(timer)
        torchs = Timer("lookup()", globals={"lookup": lookup}, num_threads=torch.get_num_threads())
        found[name] = {
            "timeit": repeated(lambda n=number, t=timer: t.timeit(n) / n, read),
            "torch": repeated(lambda n=number, t=torchs: t.timeit(n).median, read),
        }
        if find_spec("pyperf"):
            found[name]["pyperf"] = of_pyperf(name, lookup, number, read)
    return found


def calls_for(timer: timeit.Timer) -> int:
    """So many calls that a repeat takes REPEAT_S."""
    calls, took_s = timer.autorange()
    return max(1, round(calls * REPEAT_S / took_s))


def repeated(once: Callable[[], float], read: Callable[[], float] | None) -> Taken:
    """A harness's repeats, with a reading of the meter before and after each."""
    taken: Taken = []
    end = time.monotonic() + OTHERS_S
    while time.monotonic() < end:
        before = [read()] if read else []
        took_s = once()
        taken.append([took_s, *before, *([read()] if read else [])])
    return taken


@functools.cache
def pyperf_runner() -> Any:
    """The one that pyperf allows a process."""
    import pyperf

    runner, count = pyperf.Runner(), str(round(OTHERS_S / REPEAT_S))
    runner.parse_args(["--worker", "--quiet", "--loops", "1", "--values", count, "--warmups", "1"])
    return runner


def of_pyperf(name: str, lookup: Callable[[], object], loops: int, read: Callable[[], float] | None) -> Taken:
    """The values of a worker of pyperf's, which is this process."""
    import pyperf

    taken: Taken = []

    def timed(loops: int) -> float:
        before = [read()] if read else []
        began = pyperf.perf_counter()
        for _ in range(loops):
            lookup()
        took_s: float = pyperf.perf_counter() - began
        taken.append([took_s / loops, *before, *([read()] if read else [])])
        return took_s

    runner = pyperf_runner()
    runner.args.loops = loops
    with contextlib.redirect_stdout(io.StringIO()):
        values = runner.bench_time_func(name, timed).get_values()
    return taken[-len(values) :]


def read(out: Path) -> Iterator[str]:
    """The lines to print of the pairs in a folder."""
    pairs = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("pair-*.json"))
    }
    best = best_of(list(pairs.values()))
    for number, case in enumerate(CASES):
        of_case = [pair for stem, pair in pairs.items() if stem.endswith(f"-{number}")]
        for name in BACKENDS:
            for how, most in (("at full speed", 1 + FULL_SPEED_TOLERANCE), ("at any", float("inf"))):
                times = [medians(pair[name], best, most) for pair in of_case if name in pair]
                ours = [{name: one} for one in times if "suite" in one]
                theirs = [{name: {k: v for k, v in of[name].items() if k != "suite"}} for of in ours]
                lines = said(name, ours, theirs) if ours else ["no rounds"]
                yield f"{name} {case.dim} {case.dtype} batch {case.batch}, {how}: {' '.join(lines)}"


def best_of(pairs: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """What the meter reads at full speed, by threads, from all readings of all pairs."""
    readings: dict[int, list[float]] = {}
    for of in (of for pair in pairs for of in pair.values() if of["threads"]):
        for harness in of.keys() - {"threads"}:
            readings.setdefault(of["threads"], []).extend(s for one in of[harness] for s in one[1:])
    return {threads: low_quantile(some) for threads, some in readings.items() if some}


def medians(of: Mapping[str, Any], best: Mapping[int, float], most: float) -> dict[str, float]:
    """The median of each harness over what was taken while the meter read no more than ``most`` its best."""
    found = {}
    for harness in of.keys() - {"threads"}:
        full = best.get(of["threads"] or 0, float("inf"))
        kept = [one[0] for one in of[harness] if max(one[1:], default=0.0) <= most * full]
        if len(kept) >= FEWEST:
            found[harness] = statistics.median(kept)
    return found


def said(name: str, ours: list[Times], theirs: list[Times]) -> list[str]:
    """What to print of one backend: its medians, and how far each other harness's are apart, pair by pair."""
    mine = [times[name]["suite"] for times in ours]
    words = [f"suite {statistics.median(mine) * 1e6:.1f} us"]
    for harness in sorted({harness for times in theirs for harness in times[name]}):
        both = [(a, t[name][harness]) for a, t in zip(mine, theirs, strict=True) if harness in t[name]]
        apart = [a / b - 1 for a, b in both]
        other = statistics.median(b for _, b in both)
        middle = statistics.median(a for a, _ in both) / other - 1
        words.append(
            f"{harness} {other * 1e6:.1f} us ({middle:+.1%}; pairs {min(apart):+.1%} to {max(apart):+.1%})"
        )
    return words


def main(argv: Sequence[str]) -> None:
    if argv[:1] == ["--others"]:
        print(json.dumps(of_the_others(CASES[int(argv[1])], json.loads(argv[2]))))
        return
    folder = trials.folder_to_read(argv)
    if folder is None:
        given = trials.parser(str(__doc__), runs=5, minutes=15).parse_args(argv)
        measure(given.out, given.runs, given.minutes)
        folder = given.out
    print(*read(folder), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
