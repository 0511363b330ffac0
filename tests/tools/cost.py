"""What share of a run's wall time is timed samples, and how long until the first.

Run as `python -m tests.tools.cost [ARGUMENTS OF suite.run]`: runs the suite and prints the shares.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from suite.records.store import Run

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(argv[argv.index("--out") + 1] if "--out" in argv else f"{folder}/run").absolute()
        rest = argv if "--out" in argv else [*argv, "--out", str(out)]
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "suite.run", *rest], cwd=ROOT, check=True)
        wall = time.monotonic() - began
        records, _ = Run.open(out).records()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    samples = [(r.samples, r) for r in records if r.samples is not None]
    timed = sum(_seconds(s.kernel_s or s.call_s) * s.calls_per_sample for s, _ in samples)
    converged = sum(bool(r.converged) for _, r in samples)
    print(f"wall {wall:.0f} s, {len(records)} records, {converged} of {len(samples)} converged")
    print(f"timed samples {timed:.0f} s ({timed / wall:.0%})")
    print(f"a whole run of one small case {first_sample_s():.1f} s")
    print(f"largest process {peak / 1e9:.2f} GB")


def _seconds(rounds: tuple[tuple[float, ...], ...]) -> float:
    return sum(map(sum, rounds))


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
