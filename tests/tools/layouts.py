"""What a cold lookup's time scatters by: processes, tables, slots, rounds, or only the time of day.

    python -m tests.tools.layouts [--processes 5] [--minutes 6]

Each of a few processes holds copies of one table, each with sets of slots (ids and outputs), and times all in
turns. Processes are measured one after the other, as the runs of a suite are, and once more in turns, so that
a change over time meets all of them: what they differ by then is theirs. Of the rounds at full speed by the
core's meter it prints the standard deviation, in percent of the time, that each level adds to those below it
(a nested analysis of variance; negative estimates are 0), and that of the processes' medians.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from backends import load
from suite import stats
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import binding, operands
from suite.engine.arrays import HostArrays
from suite.engine.clocks.host import HostClock
from suite.engine.meter import meter_of

ROOT = Path(__file__).resolve().parents[2]
TABLES, SETS = 2, 2
TURN = 40
SHAPES = ((1_000_000, 64, 512), (1_000_000, 64, 8192))
"""vocab, dim, batch."""
SLOT_BYTES = 96_000_000
Shape = tuple[int, int, int]


def lookups_of(name: str, shape: Shape) -> dict[tuple[int, int], list[Callable[[], object]]]:
    """The lookups of each set of slots, by table and set."""
    vocab, dim, batch = shape
    case, arrays, backend = Case(vocab, dim, "float32", batch), HostArrays(), load(name)()
    batches = [ids.draw(case, turn, 0) for turn in range(SLOT_BYTES // (batch * dim * 4 * TABLES * SETS))]
    found = {}
    for table in range(TABLES):
        built = operands.build_table(arrays, case)
        for number in range(SETS):
            laid_out = operands.lay_out(case, arrays, built, batches)
            found[table, number] = [laid_out.prepared(backend, slot) for slot in laid_out.slots]
    return found


def child(name: str, shape: Shape) -> None:
    """For every line read a line of rounds: table, set, the lookup's median, the meter's slowest reading."""
    lookups = lookups_of(name, shape)
    clock = HostClock(kept=TURN, binding=binding.of_this_process(), meters=meter_of)
    clock.use_meter(threaded=False)
    if clock.meter is None:
        sys.exit("the core's meter: not here; install Numba")
    rng, at = np.random.default_rng(), 0
    print(flush=True)
    for _ in sys.stdin:
        rows = []
        for key in rng.permutation(np.array(list(lookups))).tolist():
            some = lookups[tuple(key)]
            order = [some[(at + k) % len(some)] for k in range(TURN + 5)]
            turn = clock.turn(order[:5], order[5:], 1)
            rows.append([*key, float(np.median(turn.call_s)), max(turn.meter_s)])
        at += TURN + 5
        print(json.dumps(rows), flush=True)


class Child:
    """A process that gives rounds when it is asked to."""

    def __init__(self, name: str, shape: Shape) -> None:
        command = [sys.executable, "-m", "tests.tools.layouts", "--child", json.dumps([name, shape])]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self.read()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def rounds(self) -> list[list[float]]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        rows: list[list[float]] = json.loads(self.read())
        return rows


def measure(children: Sequence[Child], seconds: float, in_turns: bool) -> np.ndarray:
    """Rows of process, table, set, time, meter."""
    rows: list[list[float]] = []
    spans = [seconds] if in_turns else [seconds / len(children)] * len(children)
    for first, span in enumerate(spans):
        end = time.perf_counter() + span
        while time.perf_counter() < end:
            for number, one in enumerate(children):
                if in_turns or number == first:
                    rows += [[number, *row] for row in one.rounds()]
    return np.array(rows)


def deviations(rows: np.ndarray) -> dict[str, float]:
    """What each level adds, of rows of process, table, set and time: standard deviations, relative."""
    values, keys = np.log(rows[:, 3]), rows[:, :3].astype(int)
    found, below = {}, 0.0
    for depth, level in zip((3, 2, 1, 0), ("rounds", "slots", "tables", "processes"), strict=True):
        groups, place = np.unique(keys[:, :depth], axis=0, return_inverse=True)
        place = place.ravel() if depth else np.zeros(len(values), int)
        sizes = np.bincount(place)
        means = np.bincount(place, values) / sizes
        spread = float(((values - means[place]) ** 2).sum() / max(1, len(values) - len(sizes)))
        found[level] = max(0.0, spread - below) ** 0.5
        below = spread / (len(values) / len(sizes))
        values, keys = means, groups
    return found


def said(rows: np.ndarray) -> str:
    """What a measurement came to."""
    full = stats.low_quantile(rows[:, 4].tolist()) * (1 + stats.FULL_SPEED_TOLERANCE)
    fast = rows[rows[:, 4] <= full]
    each = ", ".join(f"{level} {one:.2%}" for level, one in deviations(fast).items())
    medians = [np.median(np.log(fast[fast[:, 0] == p, 3])) for p in np.unique(fast[:, 0])]
    time_us = 1e6 * float(np.median(fast[:, 3]))
    apart = f"a process's median {np.std(medians, ddof=1):.2%}"
    return f"{len(fast)} of {len(rows)} rounds, {time_us:.2f} us: {each}; {apart}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--backend", nargs="+", default=["numpy_take", "torch_index_select"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        name, shape = json.loads(given.child)
        child(name, tuple(shape))
        return
    each_s = 60 * given.minutes / len(given.backend) / len(SHAPES) / 2
    for shape in SHAPES:
        for name in given.backend:
            children = [Child(name, shape) for _ in range(given.processes)]
            for in_turns in (False, True):
                how = "in turns" if in_turns else "one after the other"
                print(f"{name} {shape}, {how}: {said(measure(children, each_s, in_turns))}", flush=True)
            for one in children:
                one.process.kill()


if __name__ == "__main__":
    main()
