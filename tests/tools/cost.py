"""What share of a run's wall time is timed samples, where the rest goes, and how long until the first.

    python -m tests.tools.cost [ARGUMENTS OF suite.run]

Runs the suite, the default preset unless told otherwise, and prints seconds. Rounds of a case last from the
beginning of its first turn to the end of the last; beside samples and the meter they hold the calls that
settle a turn, spot checks, and the turns of what failed. Between rounds are the start of workers, tables,
prepare, checks, and the phase for counters; tests.tools.phases says more of them.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from suite.engine.meter import RUNS
from suite.records.record import Record, Samples
from suite.records.store import Run

ROOT = Path(__file__).resolve().parents[2]
READING = 1 + RUNS
"""A reading of the meter takes so many times what it says."""


def main(argv: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(argv[argv.index("--out") + 1] if "--out" in argv else f"{folder}/run").absolute()
        rest = argv if "--out" in argv else [*argv, "--out", str(out)]
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "suite.run", *rest], cwd=ROOT, check=True)
        wall = time.monotonic() - began
        records, _ = Run.open(out).records()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(*said(records, wall), sep="\n", flush=True)
    print(f"a whole run of one small case {first_sample_s():.1f} s")
    print(f"largest process {peak / 1e9:.2f} GB")


def said(records: Sequence[Record], wall: float) -> Iterator[str]:
    """Where the wall time of a run went."""
    taken = [(r.samples, r) for r in records if r.samples is not None]
    timed = sum(map(timed_s, (samples for samples, _ in taken)))
    meters = READING * sum(sum(map(sum, samples.meter_s)) for samples, _ in taken)
    rounds = rounds_s(r for _, r in taken)
    passes = max((r.pass_number for r in records), default=0)
    converged = sum(bool(r.converged) for _, r in taken)
    yield (
        f"wall {wall:.0f} s, {passes} passes, {len(records)} records, {converged} of {len(taken)} converged"
    )
    for what, seconds in (
        ("timed samples", timed),
        ("the meter", meters),
        ("the rest of the rounds", rounds - timed - meters),
        ("between rounds", wall - rounds),
    ):
        yield f"{what} {seconds:.1f} s ({seconds / wall:.1%})"


def timed_s(samples: Samples) -> float:
    """What its samples took, in seconds."""
    return sum(map(sum, samples.kernel_s or samples.call_s)) * samples.calls_per_sample


def rounds_s(records: Iterable[Record]) -> float:
    """What the rounds of all cases took: of each, from the first turn's beginning to the last one's end."""
    ends: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        samples = record.samples
        assert samples is not None
        last_s = sum(record.rounds[-1]) * samples.calls_per_sample if record.rounds else 0.0
        if samples.began_s:
            ends[record.measurement, record.device] += [samples.began_s[0], samples.began_s[-1] + last_s]
    return sum(max(some) - min(some) for some in ends.values())


def first_sample_s() -> float:
    """Wall time of a whole run of one small case with torch in it: no sample comes later."""
    with tempfile.TemporaryDirectory() as folder:
        case = ["--vocab", "1000", "--dim", "64", "--batch", "17", "--time-budget", "1s"]
        began = time.monotonic()
        command = [sys.executable, "-m", "suite.run", *case, "--backend", "torch_index_select"]
        subprocess.run([*command, "--out", f"{folder}/run"], cwd=ROOT, check=True, capture_output=True)
        return time.monotonic() - began


if __name__ == "__main__":
    main(sys.argv[1:])
